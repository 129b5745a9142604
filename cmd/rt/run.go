package main

import (
	"errors"
	"os"
	"os/signal"
	"time"

	"github.com/rtcontainers/rt/libcontainer"
	"golang.org/x/sys/unix"
)

func runCommand() command {
	return command{
		name:  "run",
		usage: "create and start a container, wait for it, and delete it",
		args:  "<container-id | bundle directory>",
		flags: append(creationFlags(),
			flag{name: "detach", alias: "d", usage: "do not wait for the container"},
			flag{name: "keep", usage: "do not delete the container after it has ended"},
			flag{name: "no-subreaper", usage: "do not adopt the container's orphaned processes"},
		),
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
	var tty *foreground
	if o.Terminal == nil && !detach {
		tty = new(foreground)
		defer tty.restore()
		o.Terminal = tty.take
	}
	if !detach && !in.Bool("no-subreaper") {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			return os.NewSyscallError("prctl(PR_SET_CHILD_SUBREAPER)", err)
		}
	}
	signals := make(chan os.Signal, 128)
	if !detach {
		// While the container is made they wait in the channel.
		go signal.Notify(signals, forwarded...)
	}
	c, p, err := libcontainer.Run(*o)
	if err != nil {
		return err
	}
	defer c.Close()
	if detach {
		p.Close()
		return nil
	}
	status := wait(p, signals, tty)
	if !in.Bool("keep") {
		if err := c.Delete(true); err != nil && !errors.Is(err, libcontainer.ErrNotExist) {
			return err
		}
	}
	tty.restore()
	if code := exitCode(status); code != 0 {
		return exitStatus(code)
	}
	return nil
}

// forwarded are the signals that people and service managers send. The Go
// runtime needs a tenth of a millisecond to take a signal over, so the many
// others follow when the container turns out to run for longer than that
// matters.
var forwarded = []os.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2}

const lateSignals = 20 * time.Millisecond

// wait forwards signals to the process until it has ended, and collects the
// orphans that rt adopted meanwhile.
func wait(p *libcontainer.Process, signals chan os.Signal, tty *foreground) unix.WaitStatus {
	go func() {
		for s := range signals {
			switch sig := s.(unix.Signal); sig {
			case unix.SIGURG, unix.SIGCHLD, unix.SIGPIPE: // the Go runtime's, and rt's own
			case unix.SIGWINCH:
				tty.resize()
			default:
				_ = p.Signal(sig)
			}
		}
	}()
	defer time.AfterFunc(lateSignals, func() { signal.Notify(signals) }).Stop()
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

// exitCode is the status that shells give: 128 and the signal's number when a
// signal ended the process.
func exitCode(ws unix.WaitStatus) int {
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}
