package birth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/sysfile"
	"github.com/rtcontainers/rt/libcontainer/internal/cgroup"
	"github.com/rtcontainers/rt/libcontainer/internal/compile"
	"github.com/rtcontainers/rt/libcontainer/internal/launch"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// FurtherOptions say how a further process is started; see libcontainer.ExecOptions.
type FurtherOptions struct {
	Caller
	Container Container
	// Spec is the container's configuration, Process the process to run.
	Spec    *specs.Spec
	Process *specs.Process
	// Cgroup is where the process belongs below the container's cgroup.
	Cgroup       map[string]string
	IgnorePaused bool
}

// further is the birth of a further process.
type further struct {
	Birth
	o FurtherOptions
	// below is true if the process starts where the container's first process is.
	below bool
	// first is the container's first process, root its root directory.
	first, root *os.File
	// tasks are how the program itself enters hierarchies of cgroup v1.
	tasks []*os.File
}

// Further starts a process in a container. If it fails, or ctx ends before it is done,
// nothing is left.
func Further(ctx context.Context, o FurtherOptions) (*Born, error) {
	f := &further{Birth: Birth{Caller: o.Caller, ctx: ctx, container: o.Container}, o: o}
	f.kind = f
	f.mark(Begun)
	f.rootless = os.Geteuid() != 0 || sysfile.InUserNamespace()
	defer f.close()
	if err := f.load(); err != nil {
		return nil, err
	}
	if err := f.find(); err != nil {
		return nil, err
	}
	if err := f.begin(); err != nil {
		f.goBack()
		return nil, err
	}
	return f.born(), nil
}

// load completes the process: missing fields are as for the first one.
func (f *further) load() error {
	f.spec = f.o.Spec
	first, p := f.spec.Process, *f.o.Process
	if first != nil {
		p.Capabilities = cmp.Or(p.Capabilities, first.Capabilities)
		p.ApparmorProfile = cmp.Or(p.ApparmorProfile, first.ApparmorProfile)
		p.SelinuxLabel = cmp.Or(p.SelinuxLabel, first.SelinuxLabel)
		if len(p.Rlimits) == 0 {
			p.Rlimits = first.Rlimits
		}
	}
	f.spec.Process = &p
	if err := spec.ValidateProcess(f.spec); err != nil {
		return err
	}
	if p.Terminal && f.Terminal == nil {
		return errors.New("process.terminal: nothing receives the terminal: give --console-socket, or do not detach")
	}
	return checkLabels(&specs.Spec{Process: &p})
}

// find opens the container.
func (f *further) find() (err error) {
	if f.first, err = f.hold(f.container.Running()); err != nil {
		return err
	}
	if f.root, err = f.hold(openPath(fmt.Sprintf("/proc/%d/root", f.container.State.Pid))); err != nil {
		return err
	}
	f.reach(Found)
	return nil
}

// begin makes the process, and tries another place if the usual one does not work. If the
// container's cgroup of v2 takes no processes because cgroups below it have some, the
// process starts beside the first process. If the cgroup is full, the program starts
// outside: the one process that is moved there fits, but the program, its child and the
// thread do not.
func (f *further) begin() error {
	err := f.try(false, false)
	if errors.Is(err, unix.EBUSY) && f.phase < Answered && len(f.o.Cgroup) == 0 && f.cgroup != nil && f.cgroup.Unified() != "" {
		err = f.try(true, false)
	}
	if full := new(fullError); errors.As(err, &full) && f.phase < Answered {
		err = f.try(f.below, true)
	}
	return err
}

// try forgets a program that could not be started, and makes another one.
func (f *further) try(below, late bool) error {
	f.goBack()
	f.proc, f.births, f.phase, f.below, f.late = nil, 0, Found, below, late
	f.clone = launch.Config{CgroupFD: -1}
	return f.make()
}

// enter starts to enter the container's cgroup, if that is how to get in, while the
// program is compiled.
func (f *further) enter() (err error) {
	f.cgroup, err = f.container.Cgroup()
	if errors.Is(err, cgroup.ErrNone) && len(f.o.Cgroup) == 0 {
		f.place = new(cgroup.Placement)
		return nil // the container of a user who cannot have one
	}
	if err != nil {
		return err
	}
	if f.below {
		f.place, err = f.cgroup.PlacementOf(f.container.State.Pid)
	} else {
		f.place, err = f.cgroup.PlacementBelow(f.o.Cgroup)
	}
	if err != nil || f.late {
		return err
	}
	f.tasks = nil
	for _, name := range f.place.Halting {
		file, err := f.lend(os.OpenFile(name, os.O_WRONLY, 0))
		if err != nil {
			return err
		}
		f.tasks = append(f.tasks, file)
	}
	if f.place.Prepare != nil {
		f.thread = launch.NewThread()
		f.thread.Do(f.place.Prepare)
	}
	return nil
}

func (f *further) compile(streams [3]*os.File) (*compile.Plan, error) {
	namespaces, err := otherNamespaces(f.spec, f.container.State.Pid)
	if err != nil {
		return nil, err
	}
	host, err := hostFacts(f.spec, f.root.Name(), nil, streams)
	if err != nil {
		return nil, err
	}
	return compile.CompileExec(f.spec, host, compile.ExecOptions{
		Options: compile.Options{
			ID: f.container.State.ID, Keyring: f.container.State.Keyring, PreserveFDs: len(f.Preserve), Gaps: gaps(f.Preserve), Timeline: f.Trace != nil,
		},
		Namespaces: namespaces, Cgroup: f.place.Dir != nil && !f.late, Tasks: len(f.tasks),
	})
}

func (f *further) open(file *compile.File) (*os.File, error) {
	switch file.Kind {
	case compile.ContainerProcess:
		return f.first, nil
	case compile.ContainerRoot:
		return f.root, nil
	case compile.ContainerCgroup:
		return f.place.Dir, nil
	case compile.ContainerTasks:
		next := f.tasks[0]
		f.tasks = f.tasks[1:]
		return next, nil
	}
	return nil, nil
}

// meanwhile lets the program execute the user's if the process is already born.
func (f *further) meanwhile() error {
	if f.cgroup != nil && !f.o.IgnorePaused {
		f.proc.Frozen = f.cgroup.FrozenAt
	}
	if f.plan.Births == 0 {
		if err := f.attach(); err != nil {
			return err
		}
	}
	return f.goAhead()
}

// permit also makes the program of Process.Handover while the process is executed. Without
// one the caller stays.
func (f *further) permit() error {
	if err := f.allow(); err != nil {
		return err
	}
	if k := f.Keeper; k != nil {
		_ = f.makeKeeper(&compile.Keeper{Pid: f.proc.Pid, PidFD: f.proc.PidFD, NoRemoval: true, Ignored: k.Ignored})
	}
	return nil
}

func (f *further) ready() (answer, error) {
	err := f.finish()
	if err == nil {
		f.reach(Joined)
	}
	return given, err
}

func (f *further) ended(err error) error {
	if !errors.Is(err, io.EOF) || f.phase < Joined {
		return f.died(err)
	}
	f.reach(Executed)
	return nil
}
