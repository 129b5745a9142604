package launch

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/internal/sysfile"
	"golang.org/x/sys/unix"
)

// A program may have good reasons to be silent, such as a file system with a slow server.
// A stopped program has none: the container's root can send SIGSTOP to a process that
// joins its pid namespace, or freeze the cgroup, and rt would wait for ever.
const (
	// lookEvery is how often rt checks a silent program.
	lookEvery = time.Second
	// stoppedFor is how many times in a row it may be found stopped.
	stoppedFor = 10
)

// watch lets Receive look at a silent program.
func (c *Conversation) watch() {
	if defence.Off(defence.BoundedWait) {
		return
	}
	every := unix.NsecToTimeval(lookEvery.Nanoseconds())
	_ = unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &every)
}

// silence counts how often in a row a program was found stopped, or dead.
type silence struct{ stopped, dead int }

// look returns an error if the program has been stopped for too long: io.EOF if it is dead,
// and a child of it that nobody knows of holds the conversation open. frozen returns its
// cgroup if that is frozen; it may be nil.
func (s *silence) look(pid int, frozen func(pid int) string) error {
	if pid == 0 {
		return nil
	}
	p, err := sysfile.ReadProcess(pid)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOENT) || err == nil && p.Dead() {
		// Its last message may have come right before.
		if s.dead++; s.dead > 1 {
			return io.EOF
		}
		return nil
	}
	stopped, where := err == nil && (p.State == 'T' || p.State == 't'), ""
	if !stopped && frozen != nil {
		where = frozen(pid)
	}
	if !stopped && where == "" {
		s.stopped = 0
		return nil
	}
	if s.stopped++; s.stopped < stoppedFor {
		return nil
	}
	if where != "" {
		return fmt.Errorf("the init program, process %d, has been frozen for %d s in the cgroup %s: rt does not wait longer; resume the container, or let it thaw the cgroup", pid, stoppedFor, where)
	}
	return fmt.Errorf("the init program, process %d, has been stopped for %d s, by SIGSTOP or a debugger: rt does not wait longer", pid, stoppedFor)
}
