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

// consoleSocket returns a function that sends a terminal to the listener of
// --console-socket, or nil without one.
func consoleSocket(in *input) (func(*os.File) error, error) {
	return socket(in, "console-socket", "/dev/ptmx")
}

// socket returns a function that sends a file to the listener of a flag, or nil without
// one. The name only informs the receiver.
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
	// output is locked while somebody copies from the container's terminal.
	output sync.Mutex
	// ended is true when the copying has ended.
	ended bool
}

// take puts the caller's terminal, if there is one, into raw mode and copies both ways.
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

// awaitOutput waits some milliseconds, or for ever with -1, until there is something to
// copy or nobody has the terminal open any more.
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

// plainLines stops the container's terminal from turning "\n" into "\r\n", as runc does:
// its output is a stream that may go to a file. The caller's terminal still processes
// output, and makes "\r\n" of it.
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

// The last output of a process that has ended arrives within a moment. rt reads no more
// than a terminal holds; others that have it open may print for ever.
const (
	outputDelay = 20 // ms
	outputLimit = 256 << 10
)

// restore copies the last output of the process that has ended, and restores the caller's
// terminal.
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
