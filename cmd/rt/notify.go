package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
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

// newNotifier returns nil if no service manager wants to be notified.
func newNotifier() *notifier {
	host := os.Getenv("NOTIFY_SOCKET")
	if host == "" {
		return nil
	}
	// Hooks and other children are not the service.
	os.Unsetenv("NOTIFY_SOCKET")
	return &notifier{host: host, done: make(chan struct{})}
}

// bind makes the container's socket. Everybody may write to it, whoever the
// container's process is.
func (n *notifier) bind(path string) (err error) {
	const everybody = 0o777
	if defence.Off(defence.NotifySocket) {
		if n.container, err = listen(path, nil); err == nil {
			time.Sleep(5 * time.Millisecond) // so that the attack succeeds soon
			err = os.Chmod(path, everybody)
		}
	} else {
		n.container, err = listenWithMode(path, everybody)
	}
	if err != nil {
		return fmt.Errorf("NOTIFY_SOCKET: %w", err)
	}
	return nil
}

// listenWithMode makes a socket that has its mode from the beginning: unix(7) gives its
// name the mode of the socket, less the umask. Once there is a name, the container may
// have put a symlink in its place, and chmod(2) would follow it.
func listenWithMode(path string, mode uint32) (conn *net.UnixConn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: this thread, which gets its own umask, ends
		if err = unix.Unshare(unix.CLONE_FS); err != nil {
			err = os.NewSyscallError("unshare(CLONE_FS)", err)
			return
		}
		unix.Umask(0)
		conn, err = listen(path, func(fd int) error { return os.NewSyscallError("fchmod", unix.Fchmod(fd, mode)) })
	}()
	<-done
	return conn, err
}

// listen makes a socket at a path; prepare gets its descriptor before that.
func listen(path string, prepare func(fd int) error) (*net.UnixConn, error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		if prepare == nil {
			return nil
		}
		if e := c.Control(func(fd uintptr) { err = prepare(int(fd)) }); e != nil {
			return e
		}
		return err
	}}
	conn, err := config.ListenPacket(context.Background(), "unixgram", path)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UnixConn), nil
}

// passedOn are the messages about the service. Others, such as MAINPID and FDSTORE, would
// let a container speak for the host.
var passedOn = []string{"READY", "STATUS", "RELOADING", "STOPPING", "ERRNO", "WATCHDOG", "EXTEND_TIMEOUT_USEC", "MONOTONIC_USEC"}

// forward passes messages on until finish is called. mainPID is the process that the
// service manager then watches, or 0 for rt itself. ready is closed when the service is
// ready.
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

// finish ends forward when it has passed on what the container's process sent before it
// ended.
func (n *notifier) finish() {
	_ = n.container.SetReadDeadline(time.Now())
	<-n.done
	n.container.Close()
}

// send waits until the service manager has read the message: the manager checks who sent
// it, and rt may be about to end.
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
				return errors.New("NOTIFY_SOCKET: the container ended before it was ready")
			}
		}
	}
}
