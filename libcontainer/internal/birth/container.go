package birth

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/sysfile"
	"github.com/rtcontainers/rt/libcontainer/internal/cgroup"
	"github.com/rtcontainers/rt/libcontainer/internal/hooks"
	"github.com/rtcontainers/rt/libcontainer/internal/resctrl"
	"github.com/rtcontainers/rt/libcontainer/internal/state"
	"golang.org/x/sys/unix"
)

// Container is a container's directory and its state.
type Container struct {
	Dir   *state.Dir
	State *state.State
}

// Document is the state of the container: runtime.md, "State".
func (c Container) Document(status specs.ContainerState, pid int) specs.State {
	return specs.State{
		Version: c.State.OCIVersion, ID: c.State.ID, Status: status, Pid: pid, Bundle: c.State.Bundle, Annotations: c.State.Annotations,
	}
}

// text is the document that hooks read.
func (c Container) text(status specs.ContainerState, pid int) []byte {
	data, _ := json.Marshal(c.Document(status, pid)) // strings and numbers only
	return append(data, '\n')
}

// Poststart runs the hooks that follow the start. When one fails the caller has
// to remove the container.
func (c Container) Poststart(list []specs.Hook) error {
	return hooks.Run("hooks.poststart", list, c.State.Bundle, c.text(specs.StateRunning, c.State.Pid), c.State.Annotations)
}

// Process opens the container's first process. The error is unix.ESRCH when it
// has ended. The pid alone would not do, it may belong to another process by now.
func (c Container) Process() (*os.File, error) {
	if c.State.Pid == 0 {
		return nil, unix.ESRCH
	}
	fd, err := unix.PidfdOpen(c.State.Pid, 0)
	switch err {
	case nil:
	case unix.ESRCH, unix.EINVAL, unix.ENOENT: // the last two: the number is a thread's now
		return nil, unix.ESRCH
	default:
		return nil, fmt.Errorf("container %q: pidfd_open: %w", c.State.ID, err)
	}
	stat, err := sysfile.ReadProcess(c.State.Pid)
	ended := errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOENT)
	switch {
	case err != nil && !ended:
		unix.Close(fd)
		return nil, fmt.Errorf("container %q: %w", c.State.ID, err)
	case ended, stat.Start != c.State.StartTime, stat.Dead():
		unix.Close(fd)
		return nil, unix.ESRCH
	}
	return os.NewFile(uintptr(fd), "pidfd"), nil
}

// Lives tells whether the container's first process has not ended, as far as can
// be known.
func (c Container) Lives() bool {
	p, err := c.Process()
	if err == nil {
		p.Close()
	}
	return err != unix.ESRCH
}

// CheckMemory returns an error when the container's process has ended already,
// for lack of memory.
func (c Container) CheckMemory() error {
	if c.Lives() {
		return nil
	}
	cg, err := c.Cgroup()
	if errors.Is(err, cgroup.ErrNone) {
		return nil // nor a limit
	}
	if err != nil {
		return err
	}
	if why := cg.OutOfMemory(); why != "" {
		return fmt.Errorf("%s: the kernel killed the container's process for lack of memory as it started", why)
	}
	return nil
}

// awaitEnd waits until the container's process has ended, which it is about to:
// who looks next shall find a stopped container.
func (c Container) awaitEnd() {
	if p, err := c.Process(); err == nil {
		waitEnd(int(p.Fd()))
		p.Close()
	}
}

// waitEnd waits until the process of a pidfd has ended, and tells whether it has
// within ten seconds.
func waitEnd(pidfd int) bool {
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	for {
		if n, err := unix.Poll(fds, 10_000); err != unix.EINTR {
			return n > 0
		}
	}
}

// Running is Process for who needs a container that runs.
func (c Container) Running() (*os.File, error) {
	p, err := c.Process()
	if err == unix.ESRCH {
		err = c.NotRunning()
	}
	return p, err
}

// NotRunning is the error of who needs a container that runs.
func (c Container) NotRunning() error {
	return fmt.Errorf("container %q: %w: container not running", c.State.ID, state.ErrWrongState)
}

// Cgroup opens the container's cgroup.
func (c Container) Cgroup() (*cgroup.Cgroup, error) {
	return cgroup.Load(cgroup.Config(c.State.Cgroup))
}

// Remove ends what runs and removes what is left, and runs the poststop hooks.
// It can be repeated after a failure at any point.
func (c Container) Remove(warn func(string)) error {
	// With the init of a pid namespace of its own all of the container has ended.
	if err := c.destroy(c.State.SharedPids || c.State.Pid == 0, warn); err != nil {
		return err
	}
	if c.State.Pid != 0 { // it has been created
		c.poststop(warn)
	}
	return nil
}

func (c Container) poststop(warn func(string)) {
	if h := c.State.Hooks; h != nil {
		hooks.RunAll("hooks.poststop", state.SpecHooks(h.Poststop), c.State.Bundle, c.text(specs.StateStopped, 0), c.State.Annotations, warn)
	}
}

// destroy ends the first process and removes what is left of the container, but
// for the poststop hooks. If there may be other processes of the container, its
// cgroup tells, and they are ended.
func (c Container) destroy(others bool, warn func(string)) error {
	cg, err := c.Cgroup()
	if err := c.end(cg); err != nil {
		return err
	}
	if err == nil && (cg.Systemd || !cg.Remove()) {
		if err := c.removeCgroup(cg, others, warn); err != nil {
			return err
		}
	}
	if c.State.Resctrl != nil {
		if err := resctrl.Group(*c.State.Resctrl).Remove(); err != nil {
			return err
		}
	}
	if err := c.unmountRoot(); err != nil {
		return err
	}
	return c.Dir.Remove()
}

// end ends the first process, which may be frozen in its cgroup; there may be none.
func (c Container) end(cg *cgroup.Cgroup) error {
	p, err := c.Process()
	if err == unix.ESRCH {
		return nil
	}
	if err != nil {
		return err
	}
	defer p.Close()
	if err := unix.PidfdSendSignal(int(p.Fd()), unix.SIGKILL, nil, 0); err == unix.ESRCH {
		return nil
	} else if err != nil {
		return fmt.Errorf("container %q: pidfd_send_signal: %w", c.State.ID, err)
	}
	if cg != nil {
		cg.Thaw()
	}
	if !waitEnd(int(p.Fd())) {
		return fmt.Errorf("process %d does not end", c.State.Pid)
	}
	return nil
}

// removeCgroup removes a cgroup that is not empty. If there are no processes of the
// container any more, those in it came otherwise: another container with the same
// linux.cgroupsPath, for one.
func (c Container) removeCgroup(cg *cgroup.Cgroup, others bool, warn func(string)) error {
	if others {
		if err := cg.Kill(); err != nil {
			return err
		}
		if err := cg.Destroy(); err != nil {
			return fmt.Errorf("remove the cgroup: %w", err)
		}
		return nil
	}
	pids, _ := cg.Pids()
	if len(pids) == 0 && cg.Destroy() == nil {
		return nil
	}
	if warn != nil {
		pids, _ = cg.Pids()
		warn(fmt.Sprintf("linux.cgroupsPath: processes %v, which are not of container %q, use its cgroup: rt does not remove it", pids, c.State.ID))
	}
	return nil
}
