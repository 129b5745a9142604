package launch

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// gateName is the socket at which a created container waits for its start.
const gateName = "start.sock"

// ErrNoGate means that no program waits at the gate: the container has already started, or
// its process is gone.
var ErrNoGate = errors.New("no program waits for the start")

// gateAddress names the socket through the directory's descriptor: paths of
// sockets are limited to 108 bytes, unix(7).
func gateAddress(dir *os.File) *unix.SockaddrUnix {
	return &unix.SockaddrUnix{Name: fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), gateName)}
}

// OpenGate makes the listening socket that a waiting program accepts from.
func OpenGate(dir *os.File) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), gateName)
	if err := unix.Bind(fd, gateAddress(dir)); err != nil {
		f.Close()
		return nil, os.NewSyscallError("bind "+gateName, err)
	}
	if err := unix.Listen(fd, 16); err != nil {
		f.Close()
		return nil, os.NewSyscallError("listen", err)
	}
	return f, nil
}

func dial(dir *os.File) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	for {
		err = unix.Connect(fd, gateAddress(dir))
		if err != unix.EINTR {
			break
		}
	}
	if err == nil {
		return fd, nil
	}
	unix.Close(fd)
	if err == unix.ENOENT || err == unix.ECONNREFUSED {
		return -1, ErrNoGate
	}
	return -1, os.NewSyscallError("connect "+gateName, err)
}

// Waits tells whether a program waits at the gate in dir.
func Waits(dir *os.File) bool {
	fd, err := dial(dir)
	if err != nil {
		return false
	}
	unix.Close(fd)
	return true
}

// PassGate lets the program, process pid, continue. Its messages come over the
// conversation: io.EOF means that the user's program is running.
func PassGate(dir *os.File, pid int) (*Conversation, error) {
	fd, err := dial(dir)
	if err != nil {
		return nil, err
	}
	c := &Conversation{fd: fd, pid: pid}
	c.watch()
	if c.Reply() != nil {
		c.Close()
		return nil, ErrNoGate
	}
	return c, nil
}

// RemoveGate removes the socket of a container that has started.
func RemoveGate(dir *os.File) error {
	return unix.Unlinkat(int(dir.Fd()), gateName, 0)
}

// HasGate tells whether the gate of a container exists; its start removes it.
func HasGate(dir *os.File) bool {
	return unix.Faccessat(int(dir.Fd()), gateName, unix.F_OK, 0) == nil
}
