package launch

import (
	"fmt"
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

// silence counts how often a program was found stopped.
type silence int

// look returns an error if the program has been stopped for too long. frozen returns its
// cgroup if that is frozen; it may be nil.
func (s *silence) look(pid int, frozen func(pid int) string) error {
	stopped, where := pid != 0 && isStopped(pid), ""
	if pid != 0 && !stopped && frozen != nil {
		where = frozen(pid)
	}
	if !stopped && where == "" {
		*s = 0
		return nil
	}
	if *s++; *s < stoppedFor {
		return nil
	}
	if where != "" {
		return fmt.Errorf("the init program, process %d, has been frozen for %d s in the cgroup %s: rt does not wait longer; resume the container, or let it thaw the cgroup", pid, stoppedFor, where)
	}
	return fmt.Errorf("the init program, process %d, has been stopped for %d s, by SIGSTOP or a debugger: rt does not wait longer", pid, stoppedFor)
}

// isStopped looks at the state of a process in proc_pid_stat(5).
func isStopped(pid int) bool {
	p, err := sysfile.ReadProcess(pid)
	return err == nil && (p.State == 'T' || p.State == 't')
}
