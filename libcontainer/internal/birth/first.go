package birth

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/sysfile"
	"github.com/rtcontainers/rt/libcontainer/internal/compile"
	"github.com/rtcontainers/rt/libcontainer/internal/hooks"
	"github.com/rtcontainers/rt/libcontainer/internal/launch"
	"github.com/rtcontainers/rt/libcontainer/internal/netdev"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"github.com/rtcontainers/rt/libcontainer/internal/resctrl"
	"github.com/rtcontainers/rt/libcontainer/internal/state"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// FirstOptions say how a container is made; see libcontainer.Options.
type FirstOptions struct {
	Caller
	Root, ID, Bundle, Config string
	// Spec is the configuration, in place of a file.
	Spec   *specs.Spec
	Env    []string
	Notify func(path string) error
	// Gate makes the program wait for `rt start`.
	Gate bool
	// Hold lets the program be the container's process.
	Hold, NoPivot, NoNewKeyring, SystemdCgroup, NoCgroup, Rootless bool
}

// first is the birth of a container.
type first struct {
	Birth
	o      FirstOptions
	config []byte
	rootfs string
	// keyring is the name of the session keyring.
	keyring string
	// resctrl is where the resctrl file system is mounted, if the configuration needs it.
	resctrl string
	// hookState and hookOutput are the files of hooks that run in the container, if there
	// are any; hooks watches their time.
	hookState, hookOutput *os.File
	hooks                 hookWatch
	// poststop is true if the poststop hooks must run whatever happens: other hooks have
	// begun, or the program was ready.
	poststop bool
	// copyFrom is the directory that tmpcopyup copies next.
	copyFrom *os.File
	// endedEarly is true if the program ended before it was permitted to execute the
	// user's.
	endedEarly bool
	// moved is true if systemd has made the container's scope.
	moved bool
	// unlocked is true if others may have changed the container, or deleted it.
	unlocked bool
}

// First makes a container with its first process. If it fails, or ctx ends before it is
// done, nothing is left behind.
func First(ctx context.Context, o FirstOptions) (*Born, error) {
	f := newFirst(ctx, o)
	f.thread = launch.NewThread()
	defer f.close()
	if err := f.load(); err != nil {
		return nil, err
	}
	if err := f.nameKeyring(); err != nil {
		return nil, err
	}
	f.reach(Checked)
	if err := f.reserve(); err != nil {
		return nil, err
	}
	f.reach(Reserved)
	if err := f.make(); err != nil {
		f.goBack()
		return nil, err
	}
	f.container.Dir.Unlock()
	return f.born(), nil
}

// close releases what is not needed any more.
func (f *first) close() {
	f.hooks.stop()
	f.Birth.close()
}

func newFirst(ctx context.Context, o FirstOptions) *first {
	f := &first{Birth: Birth{Caller: o.Caller, ctx: ctx, rootless: o.Rootless}, o: o}
	f.kind = f
	f.mark(Begun)
	f.clone.CgroupFD = -1
	return f
}

// PlanFirst makes the plan of First.
func PlanFirst(o FirstOptions) (*compile.Plan, error) {
	f := newFirst(context.Background(), o)
	if err := f.load(); err != nil {
		return nil, err
	}
	if !o.NoNewKeyring {
		f.keyring = keyringName(o.ID, "NUMBER")
	}
	return f.compile([3]*os.File{})
}

// reserve takes the id and saves what must be cleaned up if rt dies.
func (f *first) reserve() error {
	dir, err := state.Create(f.o.Root, f.o.ID)
	if err != nil {
		return err
	}
	if err := f.cgroup.CheckUnused(); err != nil {
		return errors.Join(err, dir.Remove(), dir.Close())
	}
	s := &state.State{
		OCIVersion: f.spec.Version, ID: f.o.ID, Bundle: f.o.Bundle, Rootfs: f.rootfs,
		Created: time.Now().UTC(), UID: os.Geteuid(), Annotations: f.spec.Annotations,
		Cgroup: state.Cgroup(f.cgroup.Config), Keyring: f.keyring, Seccomp: seccompState(f.spec),
	}
	f.container = Container{dir, s}
	f.undoing(func() { dir.Close() })
	f.undoing(f.remove)
	pidns := spec.FindNamespace(f.spec, specs.PIDNamespace)
	s.SharedPids = pidns == nil || pidns.Path != ""
	if f.resctrl != "" {
		group := state.Resctrl(resctrl.Plan(f.resctrl, f.o.ID, f.spec.Linux.IntelRdt))
		s.Resctrl = &group
	}
	if h := f.spec.Hooks; h != nil {
		s.Hooks = &state.Hooks{
			StartContainer: state.StoredHooks(h.StartContainer), Poststart: state.StoredHooks(h.Poststart), Poststop: state.StoredHooks(h.Poststop),
		}
	}
	f.noteMounts()
	return nil
}

// remove removes everything that is in the state.
func (f *first) remove() {
	if f.unlocked && errors.Is(f.container.Dir.Lock(), state.ErrNotExist) {
		return
	}
	// Only a process that is not the init of a pid namespace can have left others.
	others := f.proc != nil && f.plan.CloneFlags&unix.CLONE_NEWPID == 0
	_ = f.container.destroy(others, f.Warn)
	if f.poststop {
		f.container.poststop(f.Warn)
	}
}

// enter makes the cgroup after saving it in the state. The thread does the last steps
// before it starts the program.
func (f *first) enter() error {
	if err := f.addNotify(); err != nil {
		return err
	}
	if err := f.container.Dir.Save(f.container.State); err != nil {
		return err
	}
	f.undoing(f.forgetScope)
	if err := f.cgroup.Create(); err != nil {
		return err
	}
	if f.cgroup.Missing {
		f.note("made no cgroup, which this user may not: the container cannot be limited, paused or measured")
	}
	f.thread.Do(func() error {
		if err := f.cgroup.RestrictDevices(); err != nil {
			return err
		}
		place, err := f.cgroup.Placement()
		if f.place = place; err != nil {
			return err
		}
		if place.Dir != nil {
			f.clone.CgroupFD = int(place.Dir.Fd())
		}
		if place.Prepare == nil {
			return nil
		}
		return place.Prepare()
	})
	return nil
}

// forgetScope forgets a systemd scope that does not exist or belongs to another container.
func (f *first) forgetScope() {
	if f.cgroup.Systemd && !f.moved {
		f.cgroup.Remove()
		f.container.State.Cgroup.Paths = nil
	}
}

// compile makes the plan for this machine.
func (f *first) compile(streams [3]*os.File) (*compile.Plan, error) {
	host, err := hostFacts(f.spec, f.rootfs, f.cgroup, streams)
	if err != nil {
		return nil, err
	}
	o := compile.Options{
		ID: f.o.ID, Rootfs: f.rootfs, Bundle: f.o.Bundle, NoPivot: f.o.NoPivot, Keyring: f.keyring,
		PreserveFDs: len(f.Preserve), Gaps: gaps(f.Preserve), Gate: f.o.Gate, MoveCgroup: f.cgroup.Systemd, Timeline: f.Trace != nil, Hold: f.o.Hold,
	}
	if o.NoPivot {
		if o.HostMounts, err = hostMounts(f.rootfs); err != nil {
			return nil, err
		}
	}
	plan, err := compile.Compile(f.spec, host, o)
	if err == nil && plan.KeepCapabilities {
		for n := 0; n <= host.LastCap; n++ {
			f.clone.AmbientCaps = append(f.clone.AmbientCaps, uintptr(n))
		}
	}
	return plan, err
}

func (f *first) open(file *compile.File) (*os.File, error) {
	switch file.Kind {
	case compile.StartSocket:
		return f.lend(launch.OpenGate(f.container.Dir.File))
	case compile.HookState:
		var err error
		f.hookState, err = f.hold(hooks.File("hook-state"))
		return f.hookState, err
	case compile.HookOutput:
		return f.hookStream(spec.AnnotationHooksStdout)
	case compile.HookErrors:
		return f.hookStream(spec.AnnotationHooksStderr)
	case compile.Namespace:
		return f.lend(f.openNamespace(file))
	}
	return nil, nil
}

// meanwhile sets the limits, unless the program waits to be moved.
func (f *first) meanwhile() error {
	s := f.container.State
	f.hooks = hookWatch{hooks: cmp.Or(f.spec.Hooks, new(specs.Hooks)), output: f.hookOutput}
	f.cgroup.Paths = f.place.Paths
	s.Cgroup = state.Cgroup(f.cgroup.Config)
	if f.o.Gate {
		s.Image = (*state.Image)(&f.proc.Image)
	}
	if f.cgroup.Systemd {
		return nil
	}
	f.awaitLeft()
	if err := f.cgroup.Limit(); err != nil {
		return err
	}
	f.reach(Limited)
	if f.o.Gate {
		return nil
	}
	if err := f.goAhead(); err != nil {
		return err
	}
	return f.prepareKeeper()
}

// enterCgroup moves the program to its cgroup if it could not be born there.
func (f *first) enterCgroup() error {
	if err := f.place.Move(f.proc.Pid); err != nil {
		return err
	}
	f.moved = true
	if err := f.cgroup.Limit(); err != nil {
		return err
	}
	f.reach(Limited)
	return f.prepareKeeper()
}

// serve serves requests that only the program of a new container sends, if this one has a
// reason to.
func (f *first) serve(r *request) (answer, error) {
	switch q := r.Request.(type) {
	case compile.RequestCgroup:
		if f.place.Move != nil {
			return goOn, f.enterCgroup()
		}
	case compile.RequestMaps:
		if f.spec.Linux != nil {
			return goOn, f.writeMaps()
		}
	case compile.RequestPath:
		return given, f.makePath(q.Index, r.file)
	case compile.RequestSource:
		return given, f.sendSource(q.Index)
	case compile.RequestMapIDs:
		return goOn, f.mapIDs(q.Index, r.file)
	case compile.RequestCopyFrom:
		return goOn, f.copyUpFrom(r.take())
	case compile.RequestCopyTo:
		return given, f.copyUp(r.file)
	case compile.RequestNetDevices:
		if r.file != nil && f.spec.Linux != nil {
			return goOn, netdev.Move(f.spec.Linux.NetDevices, f.proc.Pid, r.file)
		}
	case compile.RequestHooks:
		return goOn, f.runHooks()
	case compile.RequestHook:
		f.poststop = true
		return goOn, f.hooks.begin(q, r.take())
	case compile.RequestHookDone:
		return goOn, f.hooks.done(q)
	}
	return f.Birth.serve(r)
}

// ready completes the state. If there is a gate, the program waits there.
func (f *first) ready() (answer, error) {
	f.removeDevices()
	if err := f.finish(); err != nil {
		return given, err
	}
	f.reach(Made)
	f.poststop = true
	if f.o.Gate {
		return over, nil
	}
	return given, nil
}

// record saves the container's process: from now on the container is created.
func (f *first) record() error {
	if f.resctrl != "" {
		if err := resctrl.Apply(f.resctrl, f.o.ID, f.spec.Linux.IntelRdt, f.proc.Pid); err != nil {
			return err
		}
	}
	if err := f.saveState(); err != nil {
		return err
	}
	return f.writeHookState()
}

// permit lets the program go to the gate, or execute the user's. A program that has ended,
// because the new limits killed it, or that has failed, cannot have done so: ended finds
// out why.
func (f *first) permit() error {
	if f.o.Gate {
		return f.proc.Reply()
	}
	f.endedEarly = f.proc.Ended()
	return f.allow()
}

// ended: the socket closes when the program executes the user's.
func (f *first) ended(err error) error {
	if !errors.Is(err, io.EOF) || f.phase < Made || f.endedEarly {
		return f.died(err)
	}
	if err := f.hooks.gone(); err != nil {
		return err
	}
	f.reach(Executed)
	if f.Warn != nil && f.cgroup.MemoryLimit() > 0 {
		// If the kernel killed the process at once, there may be nothing to see of it.
		if err := f.container.CheckMemory(); err != nil {
			f.Warn(err.Error())
		}
	}
	return f.started()
}

// started runs the hooks after the start.
func (f *first) started() error {
	if f.spec.Hooks == nil || len(f.spec.Hooks.Poststart) == 0 {
		return nil
	}
	// A hook may call rt.
	f.container.Dir.Unlock()
	f.unlocked = true
	return f.container.Poststart(f.ctx, f.spec.Hooks.Poststart)
}

// saveState saves the process.
func (f *first) saveState() error {
	s := f.container.State
	p, err := sysfile.ReadProcess(f.proc.Pid)
	if err != nil {
		return err
	}
	s.Pid, s.StartTime = f.proc.Pid, p.Start
	if f.o.Gate {
		if err := f.container.Dir.SaveSteps(steps(f.plan)); err != nil {
			return err
		}
	}
	if err := f.container.Dir.SaveConfig(f.config); err != nil {
		return err
	}
	return f.container.Dir.Save(s)
}

// steps describes the instructions that still run at the start, for the errors of `rt
// start`.
func steps(plan *compile.Plan) []state.Step {
	var list []state.Step
	for i := plan.Ready; i < len(plan.Program.Instructions); i++ {
		if ins := &plan.Program.Instructions[i]; ins.Op == program.OpSyscall {
			list = append(list, state.Step{Index: i, Call: ins.Call.String(), Source: ins.Source, Purpose: ins.Purpose})
		}
	}
	return list
}
