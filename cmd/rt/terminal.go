package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"sync"

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
	// output is held by who copies from the container's terminal.
	output sync.Mutex
	// ended is true when nobody copies any more.
	ended bool
}

// take puts the caller's terminal, if there is one, into raw mode and copies
// both ways.
func (t *foreground) take(master *os.File) error {
	c, err := console.ConsoleFromFile(master)
	if err != nil {
		return fmt.Errorf("process.terminal: %w", err)
	}
	t.container = c
	if err := plainLines(c); err != nil {
		return err
	}
	if own, err := console.ConsoleFromFile(os.Stdin); err == nil {
		t.own = own
		if err := own.SetRaw(); err != nil {
			return fmt.Errorf("process.terminal: %w", err)
		}
		t.resize()
	}
	go func() {
		_, err := io.Copy(master, os.Stdin)
		if err == nil && t.own == nil {
			const endOfFile = 4 // VEOF, termios(3)
			_, _ = master.Write([]byte{endOfFile})
		}
	}()
	go func() {
		for more := true; more; {
			awaitOutput(master, -1)
			t.output.Lock()
			more = !t.ended && t.copyOutput(master) > 0
			t.output.Unlock()
		}
	}()
	return nil
}

// awaitOutput tells whether there is something to copy, or nobody any more who
// has the terminal open, within some milliseconds; -1 waits.
func awaitOutput(master console.File, milliseconds int) bool {
	fds := []unix.PollFd{{Fd: int32(master.Fd()), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, milliseconds)
		if err != unix.EINTR {
			return n > 0
		}
	}
}

// copyOutput copies what can be read at once, and returns how much that was. The
// terminal's end is an error, EIO.
func (t *foreground) copyOutput(master io.Reader) int {
	var buffer [32 << 10]byte
	n, err := master.Read(buffer[:])
	if err != nil {
		t.ended = true
		return 0
	}
	_, _ = os.Stdout.Write(buffer[:n])
	return n
}

// plainLines lets the container's terminal end lines with "\n" alone, as runc does: what
// comes out of it is a stream that may go to a file. The caller's terminal, which goes on
// processing output, makes "\r\n" of it.
func plainLines(container console.Console) error {
	modes, err := unix.IoctlGetTermios(int(container.Fd()), unix.TCGETS)
	if err == nil {
		modes.Oflag &^= unix.ONLCR
		err = unix.IoctlSetTermios(int(container.Fd()), unix.TCSETS, modes)
	}
	if err != nil {
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

// What a process printed before it ended arrives within a moment. It is not more
// than a terminal holds; others who have it open may print for ever.
const (
	outputDelay = 20 // ms
	outputLimit = 256 << 10
)

// restore copies the last output of the process that has ended, and gives the
// caller's terminal back.
func (t *foreground) restore() {
	if t == nil || t.container == nil {
		return
	}
	t.output.Lock()
	for n := 0; !t.ended && n < outputLimit && awaitOutput(t.container, outputDelay); {
		n += t.copyOutput(t.container)
	}
	t.ended = true
	t.output.Unlock()
	if t.own != nil {
		_ = t.own.Reset()
	}
	t.container = nil
}
