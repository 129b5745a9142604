package libcontainer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/internal/birth"
	"github.com/rtcontainers/rt/libcontainer/internal/cgroup"
	"github.com/rtcontainers/rt/spec"
)

// ExecOptions say how a further process is started in a container.
type ExecOptions struct {
	// Process is what to run. Container.Process returns what the container's
	// first process was made from.
	Process *specs.Process

	// Stdin, Stdout and Stderr are the standard streams of a process without a
	// terminal. Nil means /dev/null.
	Stdin, Stdout, Stderr *os.File
	// Preserve are further descriptors for the process, from 3 on; as in Options.
	Preserve []*os.File
	// Terminal receives the master of the terminal when Process.Terminal is
	// set. It must take the file over.
	Terminal func(master *os.File) error

	// PidFile receives the pid of the process.
	PidFile string
	// PIDFD receives a pidfd of the process, pidfd_open(2). It must take the
	// file over. It may be nil.
	PIDFD func(pidfd *os.File) error
	// Cgroup is where below the container's cgroup the process belongs: by
	// controller, or "" for all that are not named (cgroup v2: only that).
	Cgroup map[string]string
	// IgnorePaused allows a process in a paused container: it will wait there.
	IgnorePaused bool
	// Keeper prepares Process.Handover. It may be nil.
	Keeper *KeeperOptions
	// Logger is as in Options. It may be nil.
	Logger *slog.Logger
	// Trace is as in Options. It may be nil.
	Trace func(Step)
}

// Process returns a copy of process of the container's configuration, to be
// changed and given to Exec.
func (c *Container) Process() (*specs.Process, error) {
	s, err := c.spec()
	if err != nil {
		return nil, err
	}
	if s.Process == nil {
		return nil, errors.New("process: the container's configuration has none")
	}
	return s.Process, nil
}

// spec reads the configuration as it was at create.
func (c *Container) spec() (*specs.Spec, error) {
	data, err := c.dir.Config()
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("container %q: %w: it is %s, and was never created", c.ID(), ErrWrongState, c.Status())
	}
	if err != nil {
		return nil, fmt.Errorf("container %q: %w", c.ID(), err)
	}
	return spec.Parse(data)
}

// Exec starts a process in the container, which must have been created. It is a
// child of the caller. If Exec fails, or ctx ends before it is done, nothing is left of
// the process.
func (c *Container) Exec(ctx context.Context, o ExecOptions) (*Process, error) {
	status := c.Status()
	switch {
	case status == Paused && !o.IgnorePaused:
		return nil, fmt.Errorf("container %q: %w: cannot start a process in a paused container: resume it, or use --ignore-paused", c.ID(), ErrWrongState)
	case status != Running && status != Created && status != Paused:
		return nil, fmt.Errorf("container %q: %w: cannot start a process in a container that is %s", c.ID(), ErrWrongState, status)
	}
	s, err := c.spec()
	if err != nil {
		return nil, err
	}
	born, err := birth.Further(ctx, birth.FurtherOptions{
		Caller: birth.Caller{
			Stdin: o.Stdin, Stdout: o.Stdout, Stderr: o.Stderr, Preserve: o.Preserve, Terminal: o.Terminal,
			PidFile: o.PidFile, PIDFD: o.PIDFD, Keeper: o.Keeper.keeper(), Warn: warner(o.Logger), Debug: stepper(o.Logger), Trace: tracer(o.Trace),
		},
		Container: c.birth(), Spec: s, Process: o.Process, Cgroup: o.Cgroup, IgnorePaused: o.IgnorePaused,
	})
	if err != nil {
		return nil, err
	}
	return &Process{born.Process, born.Keeper}, nil
}

// SubCgroups reads values of --cgroup: a path for all controllers, or
// CONTROLLER[,CONTROLLER]:PATH.
func SubCgroups(values []string) (map[string]string, error) { return cgroup.ParseBelow(values) }
