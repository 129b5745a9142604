package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// guest is what all guests have in common.
type guest struct {
	// dir has the disks, the kernel and its initrd.
	dir string
	// only selects tests, if it is not empty.
	only string
	// timeout is for one boot.
	timeout time.Duration
}

// machine is the guest's hardware: no acceleration, since guests hang on the virtual one
// of a virtual machine. Writes to the disks are discarded.
func (g guest) machine(job string) []string {
	disk := func(name string) string {
		return "file=" + filepath.Join(g.dir, name) + ",format=raw,if=virtio,snapshot=on,cache=unsafe"
	}
	return []string{
		"-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "3G",
		"-kernel", filepath.Join(g.dir, "vmlinuz"), "-initrd", filepath.Join(g.dir, "initrd.img"),
		"-append", g.commandLine(job),
		"-drive", disk("disk.img"), "-drive", disk("payload.img"),
		"-display", "none", "-serial", "stdio", "-monitor", "none", "-nic", "none", "-no-reboot",
	}
}

// commandLine is the kernel's. A job that begins with v1 has cgroup v1 only, one
// that ends with selinux has SELinux in AppArmor's place.
func (g guest) commandLine(job string) string {
	line := "root=/dev/vda rw console=ttyS0 quiet panic=-1 mitigations=off hugepages=16 job=" + job
	if strings.HasPrefix(job, "v1") {
		line += " systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1"
	}
	if strings.HasSuffix(job, "selinux") {
		line += " security=selinux"
	}
	if g.only != "" {
		line += " run=" + g.only
	}
	return line
}

// silence is how long a machine that prints every 20 seconds may print nothing: after that
// it hangs, as emulated ones sometimes do.
const silence = 5 * time.Minute

var errSilent = errors.New("the machine hangs: no sign of life")

// runJob boots a guest and waits for its end. A guest that hangs is started again, once. A
// failed test is not repeated.
func (g guest) runJob(ctx context.Context, job string) error {
	err := g.boot(ctx, job)
	if errors.Is(err, errSilent) {
		fmt.Printf("guest %s: %v for %v: it is started again\n", job, err, silence)
		err = g.boot(ctx, job)
	}
	return err
}

func (g guest) boot(ctx context.Context, job string) error {
	ctx, end := context.WithTimeout(ctx, g.timeout)
	defer end()
	silent, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cmd := exec.CommandContext(silent, "qemu-system-x86_64", g.machine(job)...)
	// The console ends with the guest; a copy of it that stays open must not
	// keep us.
	cmd.WaitDelay = 5 * time.Second
	console := newConsole(os.Stdout, job)
	watch := time.AfterFunc(silence, func() { cancel(errSilent) })
	defer watch.Stop()
	console.heard = func() { watch.Reset(silence) }
	cmd.Stdout, cmd.Stderr = console, console
	err := cmd.Run()
	if silent.Err() != nil {
		return fmt.Errorf("it had not ended: %w", context.Cause(silent))
	}
	return errors.Join(err, console.verdict())
}
