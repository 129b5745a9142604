package libcontainer

import (
	"context"
	"errors"
	"log/slog"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/internal/birth"
)

// Options say how a container is made.
type Options struct {
	// Root is the directory in which containers keep their state.
	Root string
	// ID is the container's name: letters, digits and _ + - .
	ID string
	// Bundle is the directory with config.json. Relative paths in the configuration
	// begin there.
	Bundle string
	// Config is the file with the configuration, if it is not Bundle's config.json.
	Config string
	// Spec is the configuration itself, in place of a file. It is not changed.
	Spec *specs.Spec

	// Stdin, Stdout and Stderr are the standard streams of a container
	// without a terminal. Nil means /dev/null.
	Stdin, Stdout, Stderr *os.File
	// Preserve are further descriptors for the container, from 3 on. A nil leaves a
	// gap: the container has no descriptor of that number.
	Preserve []*os.File
	// Terminal receives the master of the terminal when process.terminal is
	// set, before hooks in the container and its process can write to it. It must take
	// the file over.
	Terminal func(master *os.File) error

	// Env are variables for the container's process, beside process.env.
	Env []string
	// PidFile receives the pid of the container's first process.
	PidFile string
	// PIDFD receives a pidfd of the container's first process, pidfd_open(2), before
	// the process runs. It must take the file over. It may be nil. Afterwards,
	// Process.PidFD is enough.
	PIDFD func(pidfd *os.File) error
	// Notify receives the path of the socket that the container's process finds
	// as $NOTIFY_SOCKET, sd_notify(3), before the process starts. Nil means that
	// there is none.
	Notify func(path string) error
	// Hold lets the init program stay in the place of process.args: it holds the
	// namespaces of a pod and reaps its orphans, until SIGTERM or SIGINT. It has an empty
	// root file system; mounts, devices and hooks are not made. Only Run can do that.
	Hold bool
	// NoPivot, NoNewKeyring: as the flags of `rt create`.
	NoPivot, NoNewKeyring bool
	// SystemdCgroup lets systemd manage the container's cgroup.
	SystemdCgroup bool
	// NoCgroup makes no cgroup: the container stays in that of who makes it, without
	// limits of its own.
	NoCgroup bool
	// Rootless makes missing permissions over cgroups no error.
	Rootless bool
	// Keeper prepares Run for Container.Handover. It may be nil.
	Keeper *KeeperOptions
	// Logger is told what the specification wants to be logged, as warnings, and the
	// steps of the creation, at the level of debugging. It may be nil.
	Logger *slog.Logger
	// Trace is told of every step that was done, with its time, in no order: the program's
	// steps come at the end. It may be nil. With it, the program is slower by one system
	// call a step.
	Trace func(Step)
}

// Create makes a container that waits for Start. If it fails, or ctx ends before it is
// done, nothing is left of the container. The process is a child of the caller, which
// waits for it, or closes it.
func Create(ctx context.Context, o Options) (*Container, *Process, error) {
	return create(ctx, o, true)
}

// Run makes a container and starts its process. The caller waits for the
// process, which is its child, and deletes the container. If Run fails, or ctx ends
// before it is done, nothing is left of the container.
func Run(ctx context.Context, o Options) (*Container, *Process, error) {
	return create(ctx, o, false)
}

func create(ctx context.Context, o Options, gate bool) (*Container, *Process, error) {
	if o.Hold && gate {
		return nil, nil, errors.New("libcontainer: Options.Hold: only Run makes a container that holds namespaces")
	}
	born, err := birth.First(ctx, o.first(gate))
	if err != nil {
		return nil, nil, err
	}
	return &Container{dir: born.Container.Dir, state: born.Container.State}, &Process{born.Process, born.Keeper}, nil
}

func (o *Options) first(gate bool) birth.FirstOptions {
	return birth.FirstOptions{
		Caller: birth.Caller{
			Stdin: o.Stdin, Stdout: o.Stdout, Stderr: o.Stderr, Preserve: o.Preserve, Terminal: o.Terminal,
			PidFile: o.PidFile, PIDFD: o.PIDFD, Keeper: o.Keeper.keeper(), Warn: warner(o.Logger), Debug: stepper(o.Logger), Trace: tracer(o.Trace),
		},
		Root: o.Root, ID: o.ID, Bundle: o.Bundle, Config: o.Config, Spec: o.Spec, Env: o.Env, Notify: o.Notify, Gate: gate, Hold: o.Hold, NoPivot: o.NoPivot,
		NoNewKeyring: o.NoNewKeyring, SystemdCgroup: o.SystemdCgroup, NoCgroup: o.NoCgroup, Rootless: o.Rootless,
	}
}
