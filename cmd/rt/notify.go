package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer"
	"golang.org/x/sys/unix"
)

// notifier passes the messages of a container's process on to the service
// manager that started rt: sd_notify(3).
type notifier struct {
	host      string
	container *net.UnixConn
	done      chan struct{} // closed when forward has returned
}

// newNotifier returns nil when no service manager wants to be notified.
func newNotifier() *notifier {
	host := os.Getenv("NOTIFY_SOCKET")
	if host == "" {
		return nil
	}
	// Hooks and the like are not the service.
	os.Unsetenv("NOTIFY_SOCKET")
	return &notifier{host: host, done: make(chan struct{})}
}

// bind makes the container's socket.
func (n *notifier) bind(path string) (err error) {
	if n.container, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path}); err != nil {
		return fmt.Errorf("NOTIFY_SOCKET: %w", err)
	}
	return os.Chmod(path, 0o777) // whoever the process is
}

// passedOn are the messages that are the service's business. Others, such as
// MAINPID and FDSTORE, would let a container speak for the host.
var passedOn = []string{"READY", "STATUS", "RELOADING", "STOPPING", "ERRNO", "WATCHDOG", "EXTEND_TIMEOUT_USEC", "MONOTONIC_USEC"}

// forward passes messages on until finish is called. mainPID is who the
// service manager shall look after from then on, or 0 for rt itself. ready is
// closed when the service is.
func (n *notifier) forward(mainPID int, ready chan<- struct{}) {
	defer close(n.done)
	buffer := make([]byte, 4096)
	for {
		size, err := n.read(buffer)
		if err != nil {
			return
		}
		var message []byte
		isReady := false
		for line := range bytes.Lines(buffer[:size]) {
			key, value, _ := bytes.Cut(bytes.TrimSpace(line), []byte("="))
			if !slices.Contains(passedOn, string(key)) {
				continue
			}
			isReady = isReady || string(key) == "READY" && string(value) == "1"
			message = fmt.Appendf(message, "%s=%s\n", key, value)
		}
		if isReady && mainPID != 0 {
			message = fmt.Appendf(message, "MAINPID=%d\n", mainPID)
		}
		if len(message) > 0 {
			_ = n.send(message)
		}
		if isReady && ready != nil {
			close(ready)
			ready = nil
		}
	}
}

// read returns an error when finish was called and the queue is empty.
func (n *notifier) read(buffer []byte) (int, error) {
	size, err := n.container.Read(buffer)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return size, err
	}
	conn, err := n.container.SyscallConn()
	if err != nil {
		return 0, err
	}
	if e := conn.Control(func(fd uintptr) { size, err = unix.Read(int(fd), buffer) }); e != nil {
		return 0, e
	}
	return size, err
}

// finish ends forward when it has passed on what the container's process had
// sent before it ended.
func (n *notifier) finish() {
	_ = n.container.SetReadDeadline(time.Now())
	<-n.done
	n.container.Close()
}

// send waits until the service manager has read the message: it looks at who
// sent it, and rt may be about to end.
func (n *notifier) send(message []byte) error {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.host})
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write(message); err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	_, _, err = conn.WriteMsgUnix([]byte("BARRIER=1"), unix.UnixRights(int(w.Fd())), nil)
	w.Close()
	if err != nil {
		return err
	}
	_ = r.SetReadDeadline(time.Now().Add(5 * time.Second))
	_, _ = r.Read(make([]byte, 1)) // until the manager has closed it
	return nil
}

// awaitReady forwards until the service is ready or has ended.
func (n *notifier) awaitReady(c *libcontainer.Container) error {
	ready := make(chan struct{})
	go n.forward(c.State().Pid, ready)
	for {
		select {
		case <-ready:
			n.finish()
			return nil
		case <-time.After(100 * time.Millisecond):
			if c.Status() != specs.StateStopped {
				continue
			}
			n.finish()
			select {
			case <-ready:
				return nil
			default:
				return errors.New("NOTIFY_SOCKET: the container has ended without being ready")
			}
		}
	}
}
