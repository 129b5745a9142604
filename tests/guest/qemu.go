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

// machine is the guest's hardware: no acceleration, since guests hang on the
// virtual one of a virtual machine. Writes to the disks are forgotten.
func machine(dir, job string) []string {
	disk := func(name string) string {
		return "file=" + filepath.Join(dir, name) + ",format=raw,if=virtio,snapshot=on,cache=unsafe"
	}
	return []string{
		"-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "3G",
		"-kernel", filepath.Join(dir, "vmlinuz"), "-initrd", filepath.Join(dir, "initrd.img"),
		"-append", commandLine(job),
		"-drive", disk("disk.img"), "-drive", disk("payload.img"),
		"-display", "none", "-serial", "stdio", "-monitor", "none", "-nic", "none", "-no-reboot",
	}
}

// commandLine is the kernel's. A job that begins with v1 has cgroup v1 only.
func commandLine(job string) string {
	line := "root=/dev/vda rw console=ttyS0 quiet panic=-1 mitigations=off hugepages=16 job=" + job
	if strings.HasPrefix(job, "v1") {
		line += " systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1"
	}
	return line
}

// runJob boots a guest and waits for its end.
func runJob(ctx context.Context, dir, job string) error {
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", machine(dir, job)...)
	// The console ends with the guest; a copy of it that stays open must not
	// keep us.
	cmd.WaitDelay = 5 * time.Second
	console := newConsole(os.Stdout, job)
	cmd.Stdout, cmd.Stderr = console, console
	err := cmd.Run()
	if ctx.Err() != nil {
		return fmt.Errorf("it had not ended: %w", context.Cause(ctx))
	}
	return errors.Join(err, console.verdict())
}
