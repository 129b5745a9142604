package birth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

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
func (c Container) Poststart(ctx context.Context, list []specs.Hook) error {
	return hooks.Run(ctx, "hooks.poststart", list, c.State.Bundle, c.text(specs.StateRunning, c.State.Pid), c.State.Annotations)
}

// Process opens the container's first process. The error is unix.ESRCH if it has ended.
// The pid alone is not enough: it may belong to another process by now.
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
	if err := c.alive(); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "pidfd"), nil
}

// Lives tells whether the container's first process has not ended, as far as rt can know.
func (c Container) Lives() bool {
	return c.State.Pid != 0 && c.alive() != unix.ESRCH
}

// alive returns unix.ESRCH if the pid is not that of the container's first process any more.
func (c Container) alive() error {
	stat, err := sysfile.ReadProcess(c.State.Pid)
	ended := errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOENT)
	switch {
	case err != nil && !ended:
		return fmt.Errorf("container %q: %w", c.State.ID, err)
	case ended, stat.Start != c.State.StartTime, stat.Dead():
		return unix.ESRCH
	}
	return nil
}

// CheckMemory returns an error if the container's process has already ended for lack of
// memory.
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

// awaitEnd waits for the end of the container's process, which is near: the next observer
// must find a stopped container.
func (c Container) awaitEnd() {
	if p, err := c.Process(); err == nil {
		waitEnd(int(p.Fd()))
		p.Close()
	}
}

// waitEnd waits up to ten seconds for the process of a pidfd to end, and tells whether it
// has.
func waitEnd(pidfd int) bool {
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	for {
		if n, err := unix.Poll(fds, 10_000); err != unix.EINTR {
			return n > 0
		}
	}
}

// Running is Process for callers that need a running container.
func (c Container) Running() (*os.File, error) {
	p, err := c.Process()
	if err == unix.ESRCH {
		err = c.NotRunning()
	}
	return p, err
}

// NotRunning is the error for callers that need a running container.
func (c Container) NotRunning() error {
	return fmt.Errorf("container %q: %w: container not running", c.State.ID, state.ErrWrongState)
}

// Cgroup opens the container's cgroup.
func (c Container) Cgroup() (*cgroup.Cgroup, error) {
	return cgroup.Load(cgroup.Config(c.State.Cgroup))
}

// Remove kills what runs, removes what is left, and runs the poststop hooks. It can be
// repeated after a failure at any point.
func (c Container) Remove(warn func(string)) error {
	// When the init of a pid namespace has ended, all of the container has.
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

// destroy kills the first process and removes what is left of the container, without
// running the poststop hooks. If the container may have other processes, it finds them by
// the cgroup and kills them.
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

// end kills the first process, if there is one; it may be frozen in its cgroup.
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
		if err := cg.Thaw(); err != nil {
			return err
		}
	}
	if !waitEnd(int(p.Fd())) {
		return fmt.Errorf("process %d does not end", c.State.Pid)
	}
	return nil
}

// removeCgroup removes a cgroup that may not be empty. If the container has no processes
// any more, those in the cgroup belong to somebody else: to another container with the
// same linux.cgroupsPath, for example.
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
	// The program of an exec that was interrupted may be in the cgroup, and not yet in the
	// container's pid namespace. It ends by itself.
	for end, wait := time.Now().Add(emptiness), time.Millisecond; ; wait *= 2 {
		if pids, _ := cg.Pids(); len(pids) == 0 && cg.Destroy() == nil {
			return nil
		}
		if time.Now().After(end) {
			break
		}
		time.Sleep(wait)
	}
	if warn != nil {
		pids, _ := cg.Pids()
		warn(fmt.Sprintf("linux.cgroupsPath: processes %v, which are not of container %q, use its cgroup: rt does not remove it", pids, c.State.ID))
	}
	return nil
}

// emptiness is how long deletion waits for processes in the cgroup that are not the
// container's.
const emptiness = time.Second
