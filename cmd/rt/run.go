package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rtcontainers/rt/internal/signals"
	"github.com/rtcontainers/rt/libcontainer"
	"github.com/sirupsen/logrus"
	"github.com/urfave/cli/v3"
	"golang.org/x/sys/unix"
)

func runCommand() command {
	return command{
		Command: cli.Command{
			Name:      "run",
			Usage:     "create and start a container, wait until it exits, and delete it",
			ArgsUsage: "<container-id | bundle directory>",
			Description: `rt exits with the status of the container's process, or 128 and the number of the
signal that killed it.

Example:
   rt run --bundle /srv/box box`,
			Flags: append(creationFlags(),
				&cli.BoolFlag{Name: "detach", Aliases: []string{"d"}, Usage: "run the container in the background"},
				&cli.BoolFlag{Name: "keep", Usage: "keep the container's state after it exits"},
				&cli.BoolFlag{Name: "no-subreaper", Usage: "do not reap the container's orphaned processes"},
			),
		},
		run: run,
	}
}

func run(in *input) error {
	o, err := creationOptions(in)
	if err != nil {
		return err
	}
	if o.Terminal, err = consoleSocket(in); err != nil {
		return err
	}
	detach := in.Bool("detach")
	f, err := attach(in, o.Terminal, detach)
	if err != nil {
		return err
	}
	defer f.tty.restore()
	o.Terminal = f.terminal
	n := newNotifier()
	if n != nil {
		o.Notify = n.bind
	}
	if !detach && n == nil {
		if o.Keeper, err = keeperOptions(in, o.ID); err != nil {
			return err
		}
	}
	ctx, made := f.interruptible()
	c, p, err := libcontainer.Run(ctx, *o)
	made()
	if err != nil {
		return err
	}
	defer c.Close()
	if detach {
		p.Close()
		if n != nil {
			return n.awaitReady(c)
		}
		return nil
	}
	if n != nil {
		go n.forward(0, nil)
	} else if !f.tty.active() {
		// The keeper replaces rt while the container runs. If it cannot, rt continues.
		f.takeLeave(p, func(last func()) error { return c.Handover(p, last) })
	}
	status := f.wait(p)
	if n != nil {
		n.finish()
	}
	if !in.Bool("keep") {
		if err := c.Delete(true, o.Logger); err != nil && !errors.Is(err, libcontainer.ErrNotExist) {
			return err
		}
	}
	f.tty.restore()
	return exitError(status)
}

// notForwarded are the signals for rt itself, or for its terminal.
var notForwarded = []unix.Signal{unix.SIGURG, unix.SIGCHLD, unix.SIGPIPE, unix.SIGWINCH}

// front is what rt does while it waits for a process: it serves the caller's terminal, if
// the process has one, and forwards signals.
type front struct {
	tty      *foreground
	terminal func(*os.File) error
	signals  chan os.Signal
	// waits is true if rt waits for the process.
	waits bool
	// caught holds signals back until there is a process to send them to.
	caught signals.Caught
}

// attach prepares for waiting, unless rt does not wait. A terminal that goes to a socket
// is not the caller's.
func attach(in *input, socket func(*os.File) error, detach bool) (*front, error) {
	f := &front{terminal: socket, signals: make(chan os.Signal, 128)}
	if detach {
		return f, nil
	}
	var err error
	if f.caught, err = signals.Catch(); err != nil {
		return nil, err
	}
	f.waits = true
	if f.terminal == nil {
		f.tty = new(foreground)
		f.terminal = func(master *os.File) error {
			signal.Notify(f.signals, unix.SIGWINCH) // so that rt misses no change of the size
			return f.tty.take(master)
		}
	}
	if in.Name == "run" && !in.Bool("no-subreaper") {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			return nil, os.NewSyscallError("prctl(PR_SET_CHILD_SUBREAPER)", err)
		}
	}
	return f, nil
}

// interruptible returns a context for the creation. Signals wait for the container's
// process; but if that takes long, as with a hook that hangs, those that ask a program to
// end interrupt the creation. The function stops that.
func (f *front) interruptible() (ctx context.Context, stop func()) {
	const long, every = time.Second, 100 * time.Millisecond
	if !f.waits { // a signal ends rt
		return context.Background(), func() {}
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	var over atomic.Bool
	var look func()
	look = func() {
		if over.Load() {
			return
		}
		if sig := f.caught.Terminating(); sig != 0 {
			cancel(fmt.Errorf("%s came before the container's process existed: nothing is left of the container", unix.SignalName(sig)))
			return
		}
		time.AfterFunc(every, look)
	}
	timer := time.AfterFunc(long, look)
	return ctx, func() {
		over.Store(true)
		timer.Stop()
	}
}

// takeLeave lets keep replace rt by the keeper. If keep returns, rt continues.
func (f *front) takeLeave(p *libcontainer.Process, keep func(last func()) error) {
	tracing.write()
	logrus.Debug("rt stays, no keeper replaces it: ", keep(func() { f.caught.SendTo(p.PidFD()) }))
}

// keeperOptions describe the keeper that replaces rt.
func keeperOptions(in *input, id string) (*libcontainer.KeeperOptions, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return &libcontainer.KeeperOptions{
		NoRemoval: in.Bool("keep"), Delete: []string{self, "--root", in.String("root"), "delete", "--force", id}, Ignored: notForwarded,
	}, nil
}

// lateSignals is when rt takes over the rarely sent signals.
const lateSignals = 20 * time.Millisecond

// wait forwards signals to the process until it has ended, and meanwhile reaps the orphans
// that rt adopted.
func (f *front) wait(p *libcontainer.Process) unix.WaitStatus {
	f.caught.Release(f.signals)
	go func() {
		for s := range f.signals {
			sig := s.(unix.Signal)
			if sig == unix.SIGWINCH {
				f.tty.resize()
			}
			if !slices.Contains(notForwarded, sig) {
				_ = p.Signal(sig)
			}
		}
	}()
	defer time.AfterFunc(lateSignals, func() { signal.Notify(f.signals) }).Stop()
	for {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(-1, &ws, 0, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return ws
		case pid == p.Pid():
			p.Close()
			return ws
		}
	}
}

// exitError makes rt end like the process, as in shells: with 128 and the signal's number
// if a signal ended it.
func exitError(ws unix.WaitStatus) error {
	code := ws.ExitStatus()
	if ws.Signaled() {
		code = 128 + int(ws.Signal())
	}
	if code == 0 {
		return nil
	}
	return exitStatus(code)
}
