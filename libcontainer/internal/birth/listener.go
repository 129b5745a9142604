package birth

import (
	"encoding/json"
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/internal/state"
	"golang.org/x/sys/unix"
)

// HandListener sends the listener of the container's seccomp filter to the agent at
// linux.seccomp.listenerPath, with the container process state: runtime.md and
// config-linux.md, "The Container Process State". The program waits, and has not executed
// the user's yet.
func (c Container) HandListener(number, pidfd, pid int) error {
	s := c.State.Seccomp
	if s == nil {
		return fmt.Errorf("linux.seccomp.listenerPath: there is no agent")
	}
	fd, err := unix.PidfdGetfd(pidfd, number, 0)
	if err != nil {
		return fmt.Errorf("linux.seccomp.listenerPath: get the listener: %w", os.NewSyscallError("pidfd_getfd", err))
	}
	defer unix.Close(fd)
	doc, err := json.Marshal(&specs.ContainerProcessState{
		Version: specs.Version, Fds: []string{specs.SeccompFdName}, Pid: pid, Metadata: s.Metadata,
		State: c.Document(specs.StateCreating, pid),
	})
	if err == nil {
		err = sendFD(s.ListenerPath, doc, fd)
	}
	if err != nil {
		return fmt.Errorf("linux.seccomp.listenerPath: %s: %w", s.ListenerPath, err)
	}
	return nil
}

// sendFD sends a message with a descriptor to a listening unix socket.
func sendFD(path string, msg []byte, fd int) error {
	conn, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(conn)
	if err := unix.Connect(conn, &unix.SockaddrUnix{Name: path}); err != nil {
		return os.NewSyscallError("connect", err)
	}
	return os.NewSyscallError("sendmsg", unix.Sendmsg(conn, msg, unix.UnixRights(fd), nil, 0))
}

// seccompState is what the start needs of linux.seccomp.
func seccompState(s *specs.Spec) *state.Seccomp {
	if s.Linux == nil || s.Linux.Seccomp == nil || s.Linux.Seccomp.ListenerPath == "" {
		return nil
	}
	return &state.Seccomp{ListenerPath: s.Linux.Seccomp.ListenerPath, Metadata: s.Linux.Seccomp.ListenerMetadata}
}
