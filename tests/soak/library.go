package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/rtcontainers/rt/libcontainer"
	"golang.org/x/sys/unix"
)

// options are those of the library. The container's output goes to a file, which the caller closes.
func (l *lifecycle) options() (libcontainer.Options, *os.File, error) {
	out, err := os.Create(l.outFile())
	o := libcontainer.Options{Root: l.root, ID: l.id, Bundle: l.bundle, Stdout: out, Stderr: out, PidFile: l.pidFile()}
	if l.spec.Process.Terminal {
		c := &console{master: make(chan *os.File, 1)}
		l.console = c
		o.Terminal = func(master *os.File) error {
			defer close(c.master)
			defer master.Close()
			// One that has deadlines.
			fd, err := unix.FcntlInt(master.Fd(), unix.F_DUPFD_CLOEXEC, 0)
			if err != nil {
				return err
			}
			c.got = pollable(fd)
			return nil
		}
	}
	return o, out, err
}

// ended waits for a process and compares its end. A process that is to be killed has no status.
func ended(ctx context.Context, p *libcontainer.Process, code int, killed bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	status, err := p.Wait(ctx)
	if err != nil {
		return err
	}
	if killed && status.Signaled() && status.Signal() == syscall.SIGKILL {
		return nil
	}
	if killed || !status.Exited() || status.ExitStatus() != code {
		return fmt.Errorf("the process ended with %#x, want status %d, killed %v", status, code, killed)
	}
	return nil
}

func (l *lifecycle) libraryRun(ctx context.Context) error {
	o, out, err := l.options()
	if err != nil {
		return err
	}
	defer out.Close()
	c, p, err := libcontainer.Run(ctx, o)
	if err != nil {
		return err
	}
	defer c.Close()
	return errors.Join(l.libraryRuns(ctx, c, p), c.Delete(true, nil))
}

// libraryRuns looks at a running container, does something with it, and ends it.
func (l *lifecycle) libraryRuns(ctx context.Context, c *libcontainer.Container, p *libcontainer.Process) error {
	l.reaped = true
	if l.console != nil {
		if err := l.console.shows(l.id); err != nil {
			return errors.Join(err, c.Signal(unix.SIGKILL), ended(ctx, p, 0, true))
		}
	}
	if !l.script.ends {
		var failed error
		for range l.rng.IntN(4) {
			operation := libraryOperations[l.rng.IntN(len(libraryOperations))]
			if operation.limits && !l.w.controllers {
				continue
			}
			l.drawn = append(l.drawn, operation.name)
			if err := operation.do(ctx, c); err != nil {
				failed = errors.Join(failed, fmt.Errorf("%s: %w", operation.name, err))
			}
		}
		return errors.Join(failed, c.Signal(unix.SIGKILL), ended(ctx, p, 0, true))
	}
	if err := ended(ctx, p, l.script.code, false); err != nil {
		return err
	}
	if l.console != nil {
		return nil
	}
	text, err := os.ReadFile(l.outFile())
	if err == nil && !bytes.HasPrefix(text, []byte(l.id+"\n")) {
		err = fmt.Errorf("the container wrote %.100q", text)
	}
	return err
}

var libraryOperations = []struct {
	name string
	// limits: it needs the controllers of a machine with limits.
	limits bool
	do     func(ctx context.Context, c *libcontainer.Container) error
}{
	{"Exec", false, func(ctx context.Context, c *libcontainer.Container) error {
		process, err := c.Process()
		if err != nil {
			return err
		}
		process.Terminal, process.Args = false, []string{"/bin/sh", "-c", "exit 5"}
		p, err := c.Exec(ctx, libcontainer.ExecOptions{Process: process})
		if err != nil {
			return err
		}
		return ended(ctx, p, 5, false)
	}},
	{"Pause and Resume", false, func(_ context.Context, c *libcontainer.Container) error {
		if err := c.Pause(); err != nil {
			return err
		}
		status := c.Status()
		if err := c.Resume(); err != nil || status != libcontainer.Paused {
			return errors.Join(err, fmt.Errorf("status %s, want paused", status))
		}
		return nil
	}},
	{"Stats", false, func(_ context.Context, c *libcontainer.Container) error { _, err := c.Stats(); return err }},
	{"Pids", false, func(_ context.Context, c *libcontainer.Container) error {
		pids, err := c.Pids()
		if err == nil && len(pids) == 0 {
			err = errors.New("no processes")
		}
		return err
	}},
	{"State", false, func(_ context.Context, c *libcontainer.Container) error {
		if state := c.State(); state.Status != libcontainer.Running {
			return fmt.Errorf("status %s, want running", state.Status)
		}
		return nil
	}},
	{"WatchOOM", true, func(_ context.Context, c *libcontainer.Container) error {
		stop, err := c.WatchOOM(func() {})
		if err == nil {
			stop()
		}
		return err
	}},
}

func (l *lifecycle) libraryCreate(ctx context.Context) error {
	o, out, err := l.options()
	if err != nil {
		return err
	}
	defer out.Close()
	c, p, err := libcontainer.Create(ctx, o)
	if err != nil {
		return err
	}
	// Whoever loads it does not know the process.
	c.Close()
	if c, err = libcontainer.Load(l.root, l.id); err != nil {
		p.Close()
		return err
	}
	defer c.Close()
	if l.chance(0.2) {
		l.drawn = append(l.drawn, "not started")
		l.reaped = true
		return errors.Join(c.Delete(true, nil), ended(ctx, p, 0, true))
	}
	if err := c.Start(ctx); err != nil {
		p.Close()
		return errors.Join(err, c.Delete(true, nil))
	}
	return errors.Join(l.libraryRuns(ctx, c, p), c.Delete(l.chance(0.5), nil))
}

// libraryCancelled lets the context of a creation end in the middle of it.
func (l *lifecycle) libraryCancelled(ctx context.Context) error {
	o, out, err := l.options()
	if err != nil {
		return err
	}
	defer out.Close()
	ctx2, cancel := context.WithTimeout(ctx, l.moment()/2)
	defer cancel()
	c, p, err := libcontainer.Run(ctx2, o)
	if err != nil {
		if !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("not the context's error: %w", err)
		}
		return nil
	}
	defer c.Close()
	return errors.Join(l.libraryRuns(ctx, c, p), c.Delete(true, nil))
}

func (l *lifecycle) libraryWrong(ctx context.Context) error {
	o, out, err := l.options()
	if err != nil {
		return err
	}
	defer out.Close()
	refused := func(err error) error {
		if err == nil || !strings.Contains(err.Error(), l.refused) {
			return fmt.Errorf("%w, want %q", err, l.refused)
		}
		return nil
	}
	c, p, err := libcontainer.Create(ctx, o)
	if err != nil || l.early {
		if err == nil {
			err = errors.Join(c.Delete(true, nil), ended(ctx, p, 0, true))
			c.Close()
			return errors.Join(err, errors.New("a wrong configuration is accepted"))
		}
		return refused(err)
	}
	defer c.Close()
	err = refused(c.Start(ctx))
	deleted := c.Delete(true, nil)
	// A hook that fails removes the container.
	if errors.Is(deleted, libcontainer.ErrNotExist) {
		deleted = nil
	}
	_, waited := p.Wait(ctx)
	return errors.Join(err, deleted, waited)
}
