package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// The stages of the benchmark are processes: the one that the user starts makes the namespaces; in
// these the first process reaps orphans, and ends everything when it ends; its child measures.
// Another process, in the same view of cgroups, removes the cgroups at the end.
const (
	stageInit   = "in-namespaces"
	stageInside = "measure"
	stageClean  = "remove-cgroups"
)

// errReported is an error of a process whose child has said what went wrong.
var errReported = errors.New("the benchmark has failed")

// cniState is where CNI's library keeps what it did, whatever its configuration says.
const cniState = "/var/lib/cni"

// outside runs the benchmark in namespaces of its own, and removes what it leaves on the machine.
func outside(ctx context.Context, args []string) (err error) {
	view, err := filepath.Abs("tests/view")
	if err != nil {
		return err
	}
	if _, err := os.Stat(view); err != nil {
		return fmt.Errorf("run pods from the top of the repository: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "rt-pods-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if os.Mkdir(cniState, 0o755) == nil {
		defer os.Remove(cniState)
	}
	clean := func() error {
		out, err := exec.Command(view, "v1", self, stageClean, filepath.Base(dir)).CombinedOutput()
		if err != nil {
			return fmt.Errorf("remove the cgroups: %w\n%s", err, out)
		}
		return nil
	}
	defer func() { err = errors.Join(err, clean()) }()

	// The parent death signal comes when the thread ends that started the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// Nothing needs a good end: what it made ends and vanishes with its namespaces.
	cmd := exec.CommandContext(ctx, view, append([]string{"v1", self, stageInit, dir}, args...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWNS,
		Pdeathsig:  syscall.SIGKILL,
		// A ^C reaches this process alone.
		Setpgid: true,
	}
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &exit) && exit.Exited():
		return errReported
	}
	return err
}

// initialise is the first process of the pid namespace.
func initialise(dir string, args []string) error {
	for _, m := range []struct{ kind, target string }{{"proc", "/proc"}, {"tmpfs", "/run"}, {"tmpfs", cniState}} {
		if err := unix.Mount(m.kind, m.target, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("lo: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	child, err := os.StartProcess(self, append([]string{self, stageInside, dir}, args...), &os.ProcAttr{
		Files: []*os.File{nil, os.Stdout, os.Stderr},
	})
	if err != nil {
		return err
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return os.NewSyscallError("wait4", err)
		case pid == child.Pid && status.Exited() && status.ExitStatus() == 0:
			return nil
		case pid == child.Pid:
			return errReported
		}
	}
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}

// world is where the benchmark works.
type world struct {
	// dir is on the machine's disk.
	dir string
	// name is that of the cgroup of everything.
	name string
}

func newWorld(dir string) *world { return &world{dir: dir, name: filepath.Base(dir)} }

// Directories and files of the benchmark's own /run.
const (
	stateDir   = "/run/containerd-state"
	nullSocket = "/run/nullshim.sock"
)

func (w *world) socket() string { return filepath.Join(w.dir, "containerd.sock") }

// podCgroup is the parent of all pods' cgroups, as the runtimes know it.
func (w *world) podCgroup() string { return "/" + w.name + "/pods" }
