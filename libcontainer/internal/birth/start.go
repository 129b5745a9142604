package birth

import (
	"context"
	"errors"
	"fmt"
	"io"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/internal/compile"
	"github.com/rtcontainers/rt/libcontainer/internal/launch"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"github.com/rtcontainers/rt/libcontainer/internal/program/image"
	"github.com/rtcontainers/rt/libcontainer/internal/state"
)

// start is the end of a birth that another rt began: the start of a created container.
type start struct {
	container Container
	program   *launch.Conversation
	hooks     hookWatch
	// removed is true when the container is, since something has failed.
	removed bool
}

// Start serves a program that was let through the gate until it has executed the
// user's. If a hook fails, or ctx ends, it removes the container.
func Start(ctx context.Context, c Container, program *launch.Conversation, h *state.Hooks) error {
	watch := hookWatch{hooks: &specs.Hooks{StartContainer: state.SpecHooks(h.StartContainer)}}
	end := interruptible(ctx, program)
	s := &start{container: c, program: program, hooks: watch}
	err := serve(program, s)
	s.hooks.stop()
	if why := end(); why != nil && !s.removed {
		return errors.Join(why, c.Remove(nil))
	}
	return err
}

func (s *start) serve(r *request) (answer, error) {
	var err error
	switch q := r.Request.(type) {
	case compile.RequestFailure:
		if s.hooks.hook != nil { // the program waits for the hook, which cannot be executed
			err = s.failure(q)
			break
		}
		s.program.HangUp()
		s.container.awaitEnd()
		return given, s.failure(q)
	case compile.RequestListener:
		err = s.handListener(q.FD)
	case compile.RequestHook:
		err = s.hooks.begin(q, r.take())
	case compile.RequestHookDone:
		err = s.hooks.done(q)
	default:
		err = unexpected(r)
	}
	if err == nil {
		err = s.program.Reply()
	}
	if err != nil && !errors.Is(err, launch.ErrGone) {
		s.removed = true
		err = errors.Join(err, s.container.Remove(nil))
	}
	return given, err
}

func (s *start) handListener(fd int) error {
	p, err := s.container.Process()
	if err != nil {
		return err
	}
	defer p.Close()
	return s.container.HandListener(fd, int(p.Fd()), s.container.State.Pid)
}

// failure finds the step in the file that create has left: there is no plan any more.
func (s *start) failure(r compile.RequestFailure) error {
	f := &program.Failure{Index: image.Index(r.Record), Errno: r.Errno, Purpose: "start the process"}
	// Without them the error has at least its number.
	steps, _ := s.container.Dir.Steps()
	for _, step := range steps {
		if step.Index == f.Index {
			f.Source, f.Purpose, f.Call = step.Source, step.Purpose, step.Call
		}
	}
	return f
}

func (s *start) ended(err error) error {
	if errors.Is(err, io.EOF) {
		err = errors.Join(s.hooks.gone(), s.container.CheckMemory())
		if err == nil && s.program.Unread {
			s.container.awaitEnd()
			err = fmt.Errorf("container %q: its init program ended before it could start the process", s.container.State.ID)
		}
		return err
	}
	return err
}
