package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// The directories of the world. /tmp and /run are its own.
const (
	home       = "/tmp/soak"
	cgroupRoot = "/sys/fs/cgroup"
)

// world is what all lifecycles share.
type world struct {
	options
	view   string
	prefix string
	// controllers says that the limits of cgroup v1 can be set.
	controllers bool
	holder      *exec.Cmd
	places      []*place
	counts      counts
	reaped      reaped
	seccomp     *specs.LinuxSeccomp
	// program is the rt that is executed.
	program string
	// before is what there was before the first lifecycle.
	before snapshot
	// first and last are what this process holds.
	first, last holding
	firstAt     int
}

// place is where a worker's lifecycles are, one after another.
type place struct {
	dir, bundle string
	// root is the directory of the state. The first place uses rt's default.
	root string
}

func newWorld(o options) (*world, error) {
	w := &world{options: o, prefix: fmt.Sprintf("rt-soak-%d", os.Getpid()), counts: newCounts(), reaped: reaped{of: map[int]reapedProcess{}}}
	var err error
	if w.seccomp, err = readSeccomp(o.tests); err != nil {
		return nil, err
	}
	program, err := os.ReadFile(o.rt) // it may be below the directories that isolate hides
	if err != nil {
		return nil, err
	}
	if err := isolate(); err != nil {
		return nil, err
	}
	if w.program = o.rt; !exists(o.rt) {
		w.program = "/run/rt-to-soak"
		if err := os.WriteFile(w.program, program, 0o755); err != nil {
			return nil, err
		}
	}
	// The third descriptor is the first that outer passes on.
	tells := os.NewFile(3, "reaped")
	unix.CloseOnExec(3)
	go w.reaped.listen(tells)
	w.controllers = exists(filepath.Join(cgroupRoot, "memory", "cgroup.procs"))
	switch unified := exists(filepath.Join(cgroupRoot, "unified", "cgroup.procs")); {
	case w.controllers && unified:
		w.view = "hybrid"
	case w.controllers:
		w.view = "v1"
	default:
		w.view = "v2"
	}
	if err := w.furnish(); err != nil {
		return nil, err
	}
	w.before, err = w.look()
	return w, err
}

// isolate gives this process an empty /run and /tmp. It refuses to do so for its parent, too.
func isolate() error {
	own, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return err
	}
	parent, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", os.Getppid()))
	if err != nil || own == parent {
		return errors.Join(errors.New("soak is not in a mount namespace of its own"), err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	for _, dir := range []string{"/run", "/tmp"} {
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=1777"); err != nil {
			return fmt.Errorf("mount a tmpfs on %s: %w", dir, err)
		}
	}
	return nil
}

// furnish makes the places and the holder of namespaces that containers join.
func (w *world) furnish() error {
	for i := range w.workers {
		p := &place{dir: filepath.Join(home, fmt.Sprint(i))}
		p.bundle = filepath.Join(p.dir, "bundle")
		if p.root = "/run/rt"; i > 0 {
			p.root = fmt.Sprintf("/run/soak-%d", i)
		}
		if err := os.MkdirAll(p.root, 0o711); err != nil {
			return err
		}
		if err := p.furnish(); err != nil {
			return err
		}
		w.places = append(w.places, p)
	}
	// It reads from a pipe that ends with this process. (A signal at the parent's death would come
	// when the thread ends that started it.)
	w.holder = exec.Command("unshare", "--net", "--ipc", "--uts", "cat")
	if _, err := w.holder.StdinPipe(); err != nil {
		return err
	}
	if err := w.holder.Start(); err != nil {
		return err
	}
	return w.awaitHolder()
}

func (w *world) awaitHolder() error {
	own, err := os.Readlink("/proc/self/ns/uts")
	if err != nil {
		return err
	}
	for range 1000 {
		// All its namespaces are new when cat runs.
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", w.holder.Process.Pid))
		if link, err := os.Readlink(w.joined("uts")); err == nil && link != own && strings.TrimSpace(string(name)) == "cat" {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return errors.New("the holder of namespaces does not start")
}

// joined is the path of a namespace of the holder's.
func (w *world) joined(name string) string {
	return fmt.Sprintf("/proc/%d/ns/%s", w.holder.Process.Pid, name)
}

var applets = []string{"sh", "true", "false", "sleep", "echo", "cat", "dd", "ls", "touch", "kill", "id"}

// furnish makes a bundle without a configuration. All mount points that lifecycles use exist, so that
// rt has none to make.
func (p *place) furnish() error {
	for _, dir := range []string{"bin", "dev", "etc", "proc", "sys", "tmp", "data", "copied/below", "data2"} {
		if err := os.MkdirAll(filepath.Join(p.bundle, "rootfs", dir), 0o755); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{
		"rootfs/etc/passwd": "root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n", "rootfs/etc/group": "root:x:0:\n",
		"rootfs/copied/file": "content", "rootfs/file": "", "source-file": "content",
	} {
		if err := os.WriteFile(filepath.Join(p.bundle, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(p.bundle, "source"), 0o755); err != nil {
		return err
	}
	busybox := filepath.Join(p.bundle, "rootfs/bin/busybox")
	if err := copyProgram("/bin/busybox", busybox); err != nil {
		return fmt.Errorf("a static busybox is needed: %w", err)
	}
	for _, name := range applets {
		if err := os.Symlink("busybox", filepath.Join(filepath.Dir(busybox), name)); err != nil {
			return err
		}
	}
	return nil
}

func copyProgram(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

// close ends everything that is still there. The mounts go with the namespace.
func (w *world) close() error {
	_ = w.holder.Process.Kill()
	_ = w.holder.Wait()
	for _, p := range w.places {
		entries, _ := os.ReadDir(p.root)
		for _, entry := range entries {
			_ = exec.Command(w.program, "--root", p.root, "delete", "--force", entry.Name()).Run()
		}
	}
	return removeCgroups(w.prefix)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
