package libcontainer

import (
	"errors"
	"fmt"
	"io"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/internal/cgroup"
	"github.com/rtcontainers/rt/libcontainer/internal/compile"
	"github.com/rtcontainers/rt/libcontainer/internal/hooks"
	"github.com/rtcontainers/rt/libcontainer/internal/launch"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"github.com/rtcontainers/rt/libcontainer/internal/program/image"
	"github.com/rtcontainers/rt/libcontainer/internal/resctrl"
	"github.com/rtcontainers/rt/libcontainer/internal/state"
	"golang.org/x/sys/unix"
)

// Process is the first process of a container that Run started: a child of the
// caller.
type Process struct {
	p *launch.Process
	// keeper is the program of Container.Keep, or nil.
	keeper *os.File
}

// Pid is the process's id.
func (p *Process) Pid() int { return p.p.Pid }

// PidFD is a pidfd of the process, pidfd_open(2), which Close closes.
func (p *Process) PidFD() int { return p.p.PidFD }

// Signal sends a signal to the process.
func (p *Process) Signal(sig unix.Signal) error {
	return unix.PidfdSendSignal(p.p.PidFD, sig, nil, 0)
}

// Wait waits until the process has ended, and closes it.
func (p *Process) Wait() unix.WaitStatus {
	defer p.Close()
	return launch.Reap(p.p.Pid)
}

// Close lets the process run on without being waited for.
func (p *Process) Close() {
	p.p.Close()
	if p.keeper != nil {
		p.keeper.Close()
	}
}

// Start lets a created container execute its process. An error of the final
// execve(2) is returned; the container is stopped then.
func (c *Container) Start() error {
	if err := c.lock(); err != nil {
		return err
	}
	defer c.dir.Unlock()
	if cg, err := c.cgroup(); err == nil && cg.Frozen() {
		return fmt.Errorf("container %q: %w: cannot start a container that is paused: resume it first", c.ID(), ErrWrongState)
	}
	program, err := launch.PassGate(c.dir.File, c.state.Pid)
	if errors.Is(err, launch.ErrNoGate) {
		return fmt.Errorf("container %q: %w: cannot start a container that is %s, only a created one", c.ID(), ErrWrongState, c.Status())
	}
	if err != nil {
		return err
	}
	defer program.Close()
	_ = launch.RemoveGate(c.dir.File)
	h := c.state.Hooks
	if h == nil {
		h = &state.Hooks{}
	}
	if err := c.attend(program, &specs.Hooks{StartContainer: state.SpecHooks(h.StartContainer)}); err != nil {
		return err
	}
	// A hook may call rt.
	c.dir.Unlock()
	err = c.poststart(state.SpecHooks(h.Poststart))
	if err != nil && c.lock() == nil {
		err = errors.Join(err, c.remove(nil))
	}
	return err
}

// attend serves the program until it has executed the user's. When a hook fails
// the container is removed.
func (c *Container) attend(program *launch.Conversation, h *specs.Hooks) error {
	watch := &hookWatch{hooks: h}
	for {
		m, err := program.Receive()
		switch {
		case errors.Is(err, io.EOF):
			return errors.Join(watch.gone(), c.checkMemory())
		case err != nil:
			return err
		case m.Words[0] == compile.RequestFailure:
			c.awaitEnd()
			return c.startFailure(m)
		case m.Words[0] == compile.RequestListener:
			err = c.passListener(m)
		default:
			err = watch.handle(m)
		}
		if err == nil {
			err = program.Reply()
		}
		if err != nil && !errors.Is(err, launch.ErrGone) { // else Receive says so
			return errors.Join(err, c.remove(nil))
		}
	}
}

// checkMemory returns an error when the container's process has ended already,
// for lack of memory.
func (c *Container) checkMemory() error {
	if c.lives() {
		return nil
	}
	cg, err := c.cgroup()
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
func (c *Container) awaitEnd() {
	if p, err := c.process(); err == nil {
		waitEnd(int(p.Fd()))
		p.Close()
	}
}

func (c *Container) passListener(m *launch.Message) error {
	p, err := c.process()
	if err != nil {
		return err
	}
	defer p.Close()
	return c.handListener(m, int(p.Fd()), c.state.Pid)
}

func (c *Container) startFailure(m *launch.Message) error {
	f := &program.Failure{Index: image.Index(m.Words[1]), Errno: unix.Errno(m.Words[2]), Purpose: "start the process"}
	for _, s := range c.state.Steps {
		if s.Index == f.Index {
			f.Source, f.Purpose, f.Call = s.Source, s.Purpose, s.Call
		}
	}
	return f
}

// lock waits until no other rt works on the container, and reads the state as it
// is then.
func (c *Container) lock() error {
	err := c.dir.Lock()
	if err != nil {
		return fmt.Errorf("container %q: %w", c.ID(), err)
	}
	s, err := c.dir.Load()
	if err != nil {
		c.dir.Unlock()
		return err
	}
	c.state = s
	return nil
}

func (c *Container) cgroup() (*cgroup.Cgroup, error) {
	return cgroup.Load(cgroup.Config(c.state.Cgroup))
}

// Delete removes a container that has stopped, or was never started. With
// force a running one is killed first, and what a creation left that died in
// the middle is removed.
//
// The poststop hooks follow; warn is told of those that fail, it may be nil.
func (c *Container) Delete(force bool, warn func(string)) error {
	// Its creator is waited for, rather than worked against.
	if err := c.deletable(force); err != nil {
		return err
	}
	if force && c.dir.Locked() {
		// Somebody may wait for the process, such as a start for a hook in it that
		// does not end.
		_ = c.Signal(unix.SIGKILL)
	}
	if err := c.lock(); err != nil {
		return err
	}
	defer c.dir.Unlock()
	if err := c.deletable(force); err != nil {
		return err
	}
	return c.remove(warn)
}

func (c *Container) deletable(force bool) error {
	status := c.Status()
	if (status == Running || status == Paused || status == Creating) && !force {
		return fmt.Errorf("container %q: %w: cannot delete a container that is %s: stop it, or use --force", c.ID(), ErrWrongState, status)
	}
	return nil
}

// Delete deletes the container id below root, as Container.Delete does. It also
// removes a directory in which there is no state, since its creator came no
// further, and with force one whose state cannot be read: then warn is told that
// a cgroup and processes may be left.
func Delete(root, id string, force bool, warn func(string)) error {
	dir, err := state.Open(root, id)
	if err != nil {
		return err
	}
	defer dir.Close()
	s, err := dir.Load()
	if err != nil {
		if isShortage(err) || !force && (!errors.Is(err, ErrNotExist) || dir.Locked()) {
			return err
		}
		// Its creator is waited for.
		if err := dir.Lock(); err != nil {
			return err
		}
		defer dir.Unlock()
		if s, err = dir.Load(); isShortage(err) {
			return err
		} else if err != nil {
			if !errors.Is(err, ErrNotExist) && warn != nil {
				warn(fmt.Sprintf("%v: the container is forgotten; a cgroup and processes of it may be left", err))
			}
			return dir.Remove()
		}
	}
	return (&Container{dir: dir, state: s}).Delete(force, warn)
}

// isShortage tells whether a file could not be read for lack of descriptors or
// memory: it may be whole.
func isShortage(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOMEM)
}

// remove ends what runs and removes what is left, and runs the poststop hooks.
// It can be repeated after a failure at any point.
func (c *Container) remove(warn func(string)) error {
	// With the init of a pid namespace of its own all of the container has ended.
	if err := c.destroy(c.state.SharedPids || c.state.Pid == 0, warn); err != nil {
		return err
	}
	if c.state.Pid != 0 { // it has been created
		c.poststop(warn)
	}
	return nil
}

func (c *Container) poststop(warn func(string)) {
	if h := c.state.Hooks; h != nil {
		hooks.RunAll("hooks.poststop", state.SpecHooks(h.Poststop), c.state.Bundle, c.stateFor(Stopped, 0), c.state.Annotations, warn)
	}
}

// destroy ends the first process and removes what is left of the container, but
// for the poststop hooks. If there may be other processes of the container, its
// cgroup tells, and they are ended.
func (c *Container) destroy(others bool, warn func(string)) error {
	cg, err := c.cgroup()
	if err := c.end(cg); err != nil {
		return err
	}
	if err == nil && (cg.Systemd || !cg.Remove()) {
		if err := c.removeCgroup(cg, others, warn); err != nil {
			return err
		}
	}
	if c.state.Resctrl != nil {
		if err := resctrl.Group(*c.state.Resctrl).Remove(); err != nil {
			return err
		}
	}
	if err := c.unmountRoot(); err != nil {
		return err
	}
	return c.dir.Remove()
}

// end ends the first process, which may be frozen in its cgroup; there may be none.
func (c *Container) end(cg *cgroup.Cgroup) error {
	p, err := c.process()
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
		return fmt.Errorf("container %q: pidfd_send_signal: %w", c.ID(), err)
	}
	if cg != nil {
		cg.Thaw()
	}
	if !waitEnd(int(p.Fd())) {
		return fmt.Errorf("process %d does not end", c.state.Pid)
	}
	return nil
}

// removeCgroup removes a cgroup that is not empty. If there are no processes of the
// container any more, those in it came otherwise: another container with the same
// linux.cgroupsPath, for one.
func (c *Container) removeCgroup(cg *cgroup.Cgroup, others bool, warn func(string)) error {
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
		warn(fmt.Sprintf("linux.cgroupsPath: processes %v, which are not of container %q, use its cgroup: it stays", pids, c.ID()))
	}
	return nil
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
