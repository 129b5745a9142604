package libcontainer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"time"

	"github.com/rtcontainers/rt/libcontainer/internal/birth"
	"github.com/rtcontainers/rt/libcontainer/internal/launch"
	"github.com/rtcontainers/rt/libcontainer/internal/state"
	"golang.org/x/sys/unix"
)

// Process is a process that Create, Run or Exec made: a child of the caller. Its methods
// may be called by several goroutines, but for Wait and Close, one of which ends its use.
type Process struct {
	p *launch.Process
	// keeper is the program of Container.Handover, or nil.
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

// Wait waits until the process has ended, and closes it. If ctx ends before, the process
// runs on, and Wait can be called again.
func (p *Process) Wait(ctx context.Context) (syscall.WaitStatus, error) {
	if err := launch.AwaitEnd(ctx, p.p.PidFD); err != nil {
		return 0, err
	}
	defer p.Close()
	return syscall.WaitStatus(launch.Reap(p.p.Pid)), nil
}

// Close lets the process run on without being waited for.
func (p *Process) Close() {
	p.p.Close()
	if p.keeper != nil {
		p.keeper.Close()
	}
}

// Start lets a created container execute its process. An error of the final
// execve(2) is returned; the container is stopped then. If a hook fails, or ctx ends
// while hooks run, the container is removed.
func (c *Container) Start(ctx context.Context) error {
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
	if err := birth.Start(ctx, c.birth(), program, h); err != nil {
		return err
	}
	// A hook may call rt.
	c.dir.Unlock()
	err = c.birth().Poststart(ctx, state.SpecHooks(h.Poststart))
	if err != nil && c.lock() == nil {
		err = errors.Join(err, c.birth().Remove(nil))
	}
	return err
}

// lock waits until no other rt works on the container, and reads the state as it
// is then.
func (c *Container) lock() error { return c.locked(c.dir.Lock()) }

// locked is told how the attempt to lock the container ended.
func (c *Container) locked(err error) error {
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

// Delete removes a container that has stopped, or was never started. With
// force a running one is killed first, and what a creation left that died in
// the middle is removed.
//
// The poststop hooks follow; the logger, which may be nil, is told of those that fail.
// What was removed before an error need not be there when Delete is called again.
func (c *Container) Delete(force bool, logger *slog.Logger) error {
	// Its creator is waited for, rather than worked against.
	if err := c.deletable(force); err != nil {
		return err
	}
	if force && c.dir.Locked() {
		// Somebody may wait for the process, such as a start for a hook in it that
		// does not end.
		_ = c.Signal(unix.SIGKILL)
	}
	lock := c.dir.Lock
	if force {
		lock = func() error { return c.dir.LockWithin(creation) }
	}
	if err := c.locked(lock()); err != nil {
		return err
	}
	defer c.dir.Unlock()
	if err := c.deletable(force); err != nil {
		return err
	}
	return c.birth().Remove(warner(logger))
}

// creation is how long deletion by force waits for somebody who makes or starts the
// container: for ever, if a hook outside the container hangs.
const creation = 20 * time.Second

func (c *Container) deletable(force bool) error {
	status := c.Status()
	if (status == Running || status == Paused || status == Creating) && !force {
		return fmt.Errorf("container %q: %w: cannot delete a container that is %s: stop it, or use --force", c.ID(), ErrWrongState, status)
	}
	return nil
}

// Delete deletes the container id below root, as Container.Delete does. It also
// removes a directory in which there is no state, since its creator came no
// further, and with force one whose state cannot be read: then the logger is told that
// a cgroup and processes may be left.
func Delete(root, id string, force bool, logger *slog.Logger) error {
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
		lock := dir.Lock
		if force {
			lock = func() error { return dir.LockWithin(creation) }
		}
		if err := lock(); err != nil {
			return err
		}
		defer dir.Unlock()
		if s, err = dir.Load(); isShortage(err) {
			return err
		} else if err != nil {
			if !errors.Is(err, ErrNotExist) && logger != nil {
				logger.Warn(fmt.Sprintf("%v: the container is forgotten; a cgroup and processes of it may be left", err))
			}
			return dir.Remove()
		}
	}
	return (&Container{dir: dir, state: s}).Delete(force, logger)
}

// isShortage tells whether a file could not be read for lack of descriptors or
// memory: it may be whole.
func isShortage(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOMEM)
}
