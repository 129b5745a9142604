package main

import (
	"fmt"
	"io"
	"net"
	"os"

	"github.com/containerd/console"
	"golang.org/x/sys/unix"
)

// consoleSocket returns what hands a terminal to the listener of
// --console-socket, or nil without one.
func consoleSocket(in *input) (func(*os.File) error, error) {
	return socket(in, "console-socket", "/dev/ptmx")
}

// socket returns what hands a file to the listener of a flag, or nil without
// one. The name is for the receiver's information only.
func socket(in *input, flag, name string) (func(*os.File) error, error) {
	path := in.String(flag)
	if path == "" {
		return nil, nil
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", flag, err)
	}
	return func(f *os.File) error {
		defer conn.Close()
		defer f.Close()
		_, _, err := conn.(*net.UnixConn).WriteMsgUnix([]byte(name), unix.UnixRights(int(f.Fd())), nil)
		if err != nil {
			return fmt.Errorf("--%s: %w", flag, err)
		}
		return nil
	}, nil
}

// foreground connects a container's terminal with the caller's.
type foreground struct {
	own, container console.Console
	done           chan struct{}
}

// take puts the caller's terminal, if there is one, into raw mode and copies
// both ways.
func (t *foreground) take(master *os.File) error {
	c, err := console.ConsoleFromFile(master)
	if err != nil {
		return fmt.Errorf("process.terminal: %w", err)
	}
	t.container, t.done = c, make(chan struct{})
	if own, err := console.ConsoleFromFile(os.Stdin); err == nil {
		t.own = own
		if err := setRaw(own); err != nil {
			return err
		}
		t.resize()
	}
	go func() { _, _ = io.Copy(master, os.Stdin) }()
	go func() {
		_, _ = io.Copy(os.Stdout, master) // ends with EIO, when the last process closes it
		close(t.done)
	}()
	return nil
}

// setRaw leaves everything to the container's terminal. The library would have
// the output processed here as well, and every line end in two returns.
func setRaw(c console.Console) error {
	if err := c.SetRaw(); err != nil {
		return fmt.Errorf("process.terminal: %w", err)
	}
	modes, err := unix.IoctlGetTermios(int(c.Fd()), unix.TCGETS)
	if err != nil {
		return fmt.Errorf("process.terminal: %w", err)
	}
	modes.Oflag &^= unix.OPOST
	if err := unix.IoctlSetTermios(int(c.Fd()), unix.TCSETS, modes); err != nil {
		return fmt.Errorf("process.terminal: %w", err)
	}
	return nil
}

// active tells whether rt copies between two terminals.
func (t *foreground) active() bool { return t != nil && t.container != nil }

// resize gives the container's terminal the size of the caller's.
func (t *foreground) resize() {
	if t != nil && t.own != nil && t.container != nil {
		_ = t.container.ResizeFrom(t.own)
	}
}

// restore waits for the last output and gives the caller's terminal back.
func (t *foreground) restore() {
	if t == nil || t.container == nil {
		return
	}
	<-t.done
	if t.own != nil {
		_ = t.own.Reset()
	}
	t.container = nil
}
