package birth

import (
	"errors"
	"fmt"
	"io"

	"github.com/rtcontainers/rt/libcontainer/internal/compile"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"github.com/rtcontainers/rt/libcontainer/internal/program/image"
	"golang.org/x/sys/unix"
)

// failure describes a failed call in words.
func (b *Birth) failure(f compile.RequestFailure) error {
	return b.plan.Program.Failure(image.Index(f.Record), f.Errno, f.Words())
}

// died finishes a program whose conversation is over. If the program ended without a
// message, the error says how. It may have no cgroup.
func (b *Birth) died(err error) error {
	ws := b.proc.Kill()
	if !errors.Is(err, io.EOF) {
		return err
	}
	limit := int64(0)
	if b.cgroup != nil {
		if why := b.cgroup.OutOfMemory(); why != "" {
			return fmt.Errorf("%s: the kernel killed the init program for lack of memory", why)
		}
		limit = b.cgroup.MemoryLimit()
	}
	if ws.Signaled() && ws.Signal() == unix.SIGKILL {
		// systemd removes a scope with its counters as soon as it is empty.
		if limit > 0 {
			return fmt.Errorf("the init program was killed while it set the container up: the limit of %d bytes in linux.resources.memory.limit is probably too low to start a process", limit)
		}
		return errors.New("the init program was killed while it set the container up")
	}
	return fmt.Errorf("the init program ended early: exit status %d, signal %d", ws.ExitStatus(), ws.Signal())
}

// fullError is the error of a process that could not be made because there are too many.
type fullError struct {
	error
	limit *int64
}

func (e *fullError) Unwrap() error { return e.error }

// Error names the field, if the container has a limit.
func (e *fullError) Error() string {
	if e.limit == nil {
		return e.error.Error()
	}
	return fmt.Sprintf("linux.resources.pids.limit: the limit of %d leaves no room for another process: %v", *e.limit, e.error)
}

// served marks an error of the program's own clone(2).
func (b *Birth) served(err error) error {
	f, failed := err.(*program.Failure)
	return b.full(err, failed && f.Errno == unix.EAGAIN && (f.Call == program.Clone.String() || f.Call == program.Clone3.String()))
}

// full marks an error as that of a process that could not be made because there are too
// many.
func (b *Birth) full(err error, is bool) error {
	if !is {
		return err
	}
	e := &fullError{error: err}
	if l := b.spec.Linux; l != nil && l.Resources != nil && l.Resources.Pids != nil {
		e.limit = l.Resources.Pids.Limit
	}
	return e
}

// WarnAll passes as many warnings to warn, which may be nil, as a person reads.
func WarnAll(warn func(string), messages []string) {
	const most = 100
	for i, m := range messages {
		switch {
		case warn == nil:
			return
		case i == most:
			warn(fmt.Sprintf("%d further warnings are not shown", len(messages)-i))
			return
		}
		warn(m)
	}
}
