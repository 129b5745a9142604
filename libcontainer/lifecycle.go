package libcontainer

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/rtcontainers/rt/libcontainer/cgroup"
	"github.com/rtcontainers/rt/libcontainer/launch"
	"github.com/rtcontainers/rt/libcontainer/program"
	"github.com/rtcontainers/rt/libcontainer/program/image"
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
	if err := c.dir.Lock(); err != nil {
		return fmt.Errorf("container %q: %w", c.ID(), err)
	}
	defer c.dir.Unlock()
	if err := c.reload(); err != nil {
		return err
	}
	m, err := launch.PassGate(c.dir.File)
	switch {
	case errors.Is(err, launch.ErrNoGate):
		return fmt.Errorf("container %q: %w: cannot start a container that is %s, only a created one", c.ID(), ErrWrongState, c.Status())
	case errors.Is(err, io.EOF):
		return launch.RemoveGate(c.dir.File)
	case err != nil:
		return err
	}
	_ = launch.RemoveGate(c.dir.File)
	return c.startFailure(m)
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

// reload reads the state again: another rt may have changed it.
func (c *Container) reload() error {
	s, err := c.dir.Load()
	if err == nil {
		c.state = s
	}
	return err
}

func (c *Container) cgroup() (*cgroup.Cgroup, error) { return cgroup.Load(c.state.Cgroup) }

// Delete removes a container that has stopped, or was never started. With
// force a running one is killed first, and what a creation left that died in
// the middle is removed.
func (c *Container) Delete(force bool) error {
	status := c.Status()
	if (status == Running || status == Paused || status == Creating) && !force {
		return fmt.Errorf("container %q: %w: cannot delete a container that is %s: stop it, or use --force", c.ID(), ErrWrongState, status)
	}
	if status == Creating {
		// Wait for its creator rather than work against it.
		c.dir.Unlock()
	}
	if err := c.dir.Lock(); err != nil {
		return fmt.Errorf("container %q: %w", c.ID(), err)
	}
	defer c.dir.Unlock()
	if err := c.reload(); err != nil {
		return err
	}
	return c.remove()
}

// remove ends what runs and removes what is left. It can be repeated after a
// failure at any point.
func (c *Container) remove() error {
	if p, err := c.process(); err == nil {
		err = unix.PidfdSendSignal(int(p.Fd()), unix.SIGKILL, nil, 0)
		if err == nil {
			waitEnd(int(p.Fd()))
		}
		p.Close()
	}
	cg, err := c.cgroup()
	if err == nil && len(c.state.Cgroup.Paths) > 0 && (cg.Systemd || !cg.Remove()) {
		if err := cg.Kill(); err != nil {
			return err
		}
		if err := cg.Destroy(); err != nil {
			return fmt.Errorf("remove the cgroup: %w", err)
		}
	}
	if c.state.RootMount != 0 && mountID(c.state.Rootfs) != c.state.RootMount {
		if err := unix.Unmount(c.state.Rootfs, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount %s: %w", c.state.Rootfs, err)
		}
	}
	return c.dir.Remove()
}

// mountID names the mount that path lies on, 0 when there is no such path.
func mountID(path string) uint64 {
	var st unix.Statx_t
	if unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_MNT_ID, &st) != nil {
		return 0
	}
	return st.Mnt_id
}

// waitEnd waits until the process of a pidfd has ended.
func waitEnd(pidfd int) {
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	for {
		if _, err := unix.Poll(fds, int(10_000)); err != unix.EINTR {
			return
		}
	}
}
