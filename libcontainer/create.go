package libcontainer

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/internal/cgroup"
	"github.com/rtcontainers/rt/libcontainer/internal/compile"
	"github.com/rtcontainers/rt/libcontainer/internal/launch"
	"github.com/rtcontainers/rt/libcontainer/internal/program/image"
	"github.com/rtcontainers/rt/libcontainer/internal/resctrl"
	"github.com/rtcontainers/rt/libcontainer/internal/state"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// Options say how a container is made.
type Options struct {
	// Root is the directory in which containers keep their state.
	Root string
	// ID is the container's name: letters, digits and _ + - .
	ID string
	// Bundle is the directory with config.json.
	Bundle string
	// Config is the file with the configuration, if it is not Bundle's config.json.
	Config string

	// Stdin, Stdout and Stderr are the standard streams of a container
	// without a terminal. Nil means /dev/null.
	Stdin, Stdout, Stderr *os.File
	// Preserve are further descriptors for the container, from 3 on. A nil leaves a
	// gap: the container has no descriptor of that number.
	Preserve []*os.File
	// Terminal receives the master of the terminal when process.terminal is
	// set. It must take the file over.
	Terminal func(master *os.File) error

	// Env are variables for the container's process, beside process.env.
	Env []string
	// PidFile receives the pid of the container's first process.
	PidFile string
	// PIDFD receives a pidfd of the container's first process, pidfd_open(2). It
	// must take the file over. It may be nil.
	PIDFD func(pidfd *os.File) error
	// Notify receives the path of the socket that the container's process finds
	// as $NOTIFY_SOCKET, sd_notify(3), before the process starts. Nil means that
	// there is none.
	Notify func(path string) error
	// NoPivot, NoNewKeyring: as the flags of `rt create`.
	NoPivot, NoNewKeyring bool
	// SystemdCgroup lets systemd manage the container's cgroup.
	SystemdCgroup bool
	// NoCgroup makes no cgroup: the container stays in that of who makes it, without
	// limits of its own.
	NoCgroup bool
	// Rootless makes missing permissions over cgroups no error.
	Rootless bool
	// Keep prepares Run for Container.Keep. It may be nil.
	Keep *KeepOptions
	// Warn is told what the specification wants to be logged. It may be nil.
	Warn func(message string)
	// Debug is told when a step of the creation is done. It may be nil.
	Debug func(step string)
}

// Create makes a container that waits for Start. If it fails nothing is left
// of the container.
func Create(o Options) (*Container, error) {
	c, p, err := create(&o, true)
	if err != nil {
		return nil, err
	}
	p.Close()
	return c, nil
}

// Run makes a container and starts its process. The caller waits for the
// process, which is its child, and deletes the container.
func Run(o Options) (*Container, *Process, error) {
	return create(&o, false)
}

// creation is a container being made.
type creation struct {
	served
	o      *Options
	gate   bool
	config []byte
	rootfs string
	dir    *state.Dir
	state  *state.State
	cgroup *cgroup.Cgroup
	keeper *os.File
	place  *cgroup.Placement
	// thread is where the container is born; `rt explain` has none.
	thread *launch.Thread
	// keyring is the name of the session keyring.
	keyring string
	// resctrl is where the resctrl file system is mounted, if it is wanted.
	resctrl string
	// hookState and hookOutput are the files of hooks that run in the
	// container, if there are any.
	hookState, hookOutput *os.File
	// hooksBegan is true when the container's environment was made: the
	// poststop hooks follow then, whatever happens.
	hooksBegan bool
	// copyFrom is the directory that tmpcopyup copies next.
	copyFrom *os.File
	// release lets the program go on when it is ready, where it has no gate.
	release *os.File
	// settled is true when nothing is left to do before the user's program runs.
	settled bool
	// ready is true when the program goes on to execute the user's; endedEarly, when it
	// ended before it might.
	ready, endedEarly bool
	// announced is true when the pid file is written.
	announced bool
	// moved is true when systemd has made the container's scope.
	moved bool
	// deleted is true when somebody else has deleted the container.
	deleted bool
	// devices are nodes in the state directory that were made for the container.
	devices []string
	// lastCap is the highest capability of the kernel.
	lastCap int
}

func create(o *Options, gate bool) (*Container, *Process, error) {
	b := &creation{o: o, gate: gate, thread: launch.NewThread()}
	defer b.endThread()
	if err := b.load(); err != nil {
		return nil, nil, err
	}
	if err := b.nameKeyring(); err != nil {
		return nil, nil, err
	}
	b.done("read and checked the configuration")
	if err := b.reserve(); err != nil {
		return nil, nil, err
	}
	b.done("reserved the id")
	err := b.build()
	closeFiles([]*os.File{b.hookState, b.hookOutput, b.release})
	if err != nil {
		b.undo()
		return nil, nil, err
	}
	b.dir.Unlock()
	return &Container{dir: b.dir, state: b.state}, &Process{b.proc, b.keeper}, nil
}

func warnAll(warn func(string), messages []string) {
	const most = 100 // that a person reads
	for i, m := range messages {
		switch {
		case warn == nil:
			return
		case i == most:
			warn(fmt.Sprintf("and %d further warnings", len(messages)-i))
			return
		}
		warn(m)
	}
}

func (b *creation) done(step string) {
	if b.o.Debug != nil {
		b.o.Debug(step)
	}
}

// nameKeyring makes a name for the session keyring: as with runc, and a number that no
// other container can guess.
func (b *creation) nameKeyring() error {
	if b.o.NoNewKeyring {
		return nil
	}
	var number [16]byte
	if _, err := unix.Getrandom(number[:], 0); err != nil {
		return os.NewSyscallError("getrandom", err)
	}
	b.keyring = "_ses." + b.o.ID + "." + hex.EncodeToString(number[:])
	return nil
}

// load reads the configuration. Nothing on the system has changed when it
// fails.
func (b *creation) load() error {
	if err := state.CheckID(b.o.ID); err != nil {
		return err
	}
	if err := checkKernel(); err != nil {
		return err
	}
	bundle, err := filepath.Abs(b.o.Bundle)
	if err != nil {
		return err
	}
	b.o.Bundle = bundle
	config, err := spec.LoadFile(bundle, b.o.Config)
	if err != nil {
		return err
	}
	b.spec, b.config = config.Spec, config.Data
	if p := b.spec.Process; p != nil {
		p.Env = append(p.Env, b.o.Env...)
	}
	warnAll(b.o.Warn, config.Warnings)
	for _, m := range config.Unknown {
		b.done(spec.ConfigName + ": " + m)
	}
	if err := checkRights(b.spec); err != nil {
		return err
	}
	if ahead := namespacesAhead(b.spec); ahead != 0 && b.thread != nil {
		b.thread.Unshare(ahead)
	}
	if b.rootfs, err = rootfs(bundle, b.spec); err != nil {
		return err
	}
	if b.spec.Process != nil && b.spec.Process.Terminal && b.o.Terminal == nil {
		return errors.New("process.terminal: is true, but there is nobody to take the terminal: give --console-socket, or run in the foreground")
	}
	if err := checkLabels(b.spec); err != nil {
		return err
	}
	if l := b.spec.Linux; l != nil && l.IntelRdt != nil {
		if b.resctrl, err = resctrl.Mountpoint(); err != nil {
			return err
		}
	}
	if b.o.NoCgroup {
		b.cgroup, err = cgroup.NewNone(b.spec)
		return err
	}
	b.cgroup, err = cgroup.New(b.spec, b.o.ID, b.o.SystemdCgroup, b.o.Rootless)
	return err
}

// checkRights says what to do about what the kernel would only answer with EPERM:
// clone(2), user_namespaces(7).
func checkRights(s *specs.Spec) error {
	if os.Geteuid() == 0 || spec.FindNamespace(s, specs.UserNamespace) != nil || ownCapabilities()&(1<<unix.CAP_SYS_ADMIN) != 0 {
		return nil
	}
	return errors.New("linux.namespaces: this user is not root and can make containers only in a user namespace: add {\"type\": \"user\"} with linux.uidMappings and linux.gidMappings, as rt spec --rootless does")
}

func rootfs(bundle string, s *specs.Spec) (string, error) {
	path := s.Root.Path
	if !filepath.IsAbs(path) {
		path = filepath.Join(bundle, path)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("root.path: %w", err)
	}
	if !info.IsDir() {
		return "", fmt.Errorf("root.path: %s is not a directory", path)
	}
	return path, nil
}

// reserve takes the id and remembers what must be cleaned up should rt die.
func (b *creation) reserve() error {
	dir, err := state.Create(b.o.Root, b.o.ID)
	if err != nil {
		return err
	}
	if err := b.cgroup.CheckUnused(); err != nil {
		return errors.Join(err, dir.Remove(), dir.Close())
	}
	b.dir = dir
	b.state = &state.State{
		OCIVersion: b.spec.Version, ID: b.o.ID, Bundle: b.o.Bundle, Rootfs: b.rootfs,
		Created: time.Now().UTC(), UID: os.Geteuid(), Annotations: b.spec.Annotations,
		Cgroup: state.Cgroup(b.cgroup.Config), Keyring: b.keyring,
	}
	pidns := spec.FindNamespace(b.spec, specs.PIDNamespace)
	b.state.SharedPids = pidns == nil || pidns.Path != ""
	b.state.Seccomp = seccompState(b.spec)
	if b.resctrl != "" {
		group := state.Resctrl(resctrl.Plan(b.resctrl, b.o.ID, b.spec.Linux.IntelRdt))
		b.state.Resctrl = &group
	}
	if h := b.spec.Hooks; h != nil {
		b.state.Hooks = &state.Hooks{
			StartContainer: state.KeepHooks(h.StartContainer), Poststart: state.KeepHooks(h.Poststart), Poststop: state.KeepHooks(h.Poststop),
		}
	}
	b.noteMounts()
	return nil
}

// build does everything that leaves traces outside of the state directory. The
// cgroup is completed, and entered where that is how to get in, while the program
// is made.
func (b *creation) build() error {
	if err := b.addNotify(); err != nil {
		return err
	}
	stdio, closeNull, err := stdio(b.o.Stdin, b.o.Stdout, b.o.Stderr)
	if err != nil {
		return err
	}
	defer closeNull()
	if err := b.makeCgroup(); err != nil {
		return err
	}
	exe, err := b.compileImage(stdio)
	if b.cgroup.Missing {
		b.done("made no cgroup, which this user may not: the container cannot be limited, paused or measured")
	}
	if err != nil {
		return err
	}
	defer exe.Close()
	b.done("compiled the program")
	if err := b.launch(exe, stdio); err != nil {
		return err
	}
	b.done("started the program")
	if err := b.meanwhile(); err != nil {
		return err
	}
	return b.converse()
}

// meanwhile does what can be done while the program works.
func (b *creation) meanwhile() error {
	if b.cgroup.Systemd {
		return nil // the program waits to be moved
	}
	if err := b.cgroup.Limit(); err != nil {
		return err
	}
	b.done("set the limits")
	if b.gate {
		return nil
	}
	if !b.plan.Asks { // else who looks must not find a created container yet
		if err := b.settle(); err != nil {
			return err
		}
		b.done("saved the state")
		b.permit()
	}
	return b.prepareKeeper()
}

// permit lets the program execute the user's. One that has ended, since the new limits
// killed it, or has failed, cannot have done so: converse finds out why.
func (b *creation) permit() {
	b.endedEarly = b.proc.Ended()
	permit(b.release)
}

// makeCgroup makes the cgroup, after the state knows of it. Its last steps are
// the thread's, before it starts the program.
func (b *creation) makeCgroup() error {
	if err := b.dir.Save(b.state); err != nil {
		return err
	}
	if err := b.cgroup.Create(); err != nil {
		return err
	}
	b.thread.Do(func() error {
		if err := b.cgroup.RestrictDevices(); err != nil {
			return err
		}
		place, err := b.cgroup.Placement()
		if b.place = place; err != nil || place.Prepare == nil {
			return err
		}
		return place.Prepare()
	})
	return nil
}

// compileImage makes the plan and its executable.
func (b *creation) compileImage(stdio [3]*os.File) (*os.File, error) {
	host, err := hostFacts(b.spec, b.rootfs, b.cgroup, stdio)
	if err != nil {
		return nil, err
	}
	if err := b.compile(host); err != nil {
		return nil, err
	}
	return executable(b.plan, b.o.Warn)
}

// executable links a plan's program.
func executable(plan *compile.Plan, warn func(string)) (*os.File, error) {
	warnAll(warn, plan.Warnings)
	im, err := image.Link(plan.Program)
	if err != nil {
		return nil, err
	}
	return im.File()
}

// compile makes the plan for this machine.
func (b *creation) compile(host compile.Host) (err error) {
	b.lastCap = host.LastCap
	o := compile.Options{
		ID: b.o.ID, Rootfs: b.rootfs, Bundle: b.o.Bundle, NoPivot: b.o.NoPivot, Keyring: b.keyring,
		PreserveFDs: len(b.o.Preserve), Gaps: gaps(b.o.Preserve), Gate: b.gate, MoveCgroup: b.o.SystemdCgroup,
	}
	if o.NoPivot {
		if o.HostMounts, err = hostMounts(b.rootfs); err != nil {
			return err
		}
	}
	b.plan, err = compile.Compile(b.spec, host, o)
	return err
}

// stdio completes the standard streams for a program with /dev/null.
func stdio(stdin, stdout, stderr *os.File) ([3]*os.File, func(), error) {
	files := [3]*os.File{stdin, stdout, stderr}
	var null *os.File
	for i, f := range files {
		if f != nil {
			continue
		}
		if null == nil {
			var err error
			if null, err = os.OpenFile("/dev/null", os.O_RDWR, 0); err != nil {
				return files, nil, err
			}
		}
		files[i] = null
	}
	return files, func() { null.Close() }, nil
}

// gaps are the numbers of the preserved descriptors that are not there.
func gaps(preserved []*os.File) (list []int) {
	for i, f := range preserved {
		if f == nil {
			list = append(list, 3+i)
		}
	}
	return list
}

// filled puts a file into the gaps: else the program's own descriptors would come
// there.
func filled(preserved []*os.File, file *os.File) []*os.File {
	list := slices.Clone(preserved)
	for i, f := range list {
		if f == nil {
			list[i] = file
		}
	}
	return list
}

// launch starts the program.
func (b *creation) launch(exe *os.File, stdio [3]*os.File) error {
	control, err := b.openFiles(exe)
	defer closeFiles(control)
	if err != nil {
		return err
	}
	cfg := &launch.Config{
		Image: exe, CloneFlags: b.plan.CloneFlags, CgroupFD: -1,
		Files: append(append(stdio[:], filled(b.o.Preserve, exe)...), control...), Conversation: 3 + len(b.o.Preserve),
	}
	if b.plan.KeepCapabilities {
		for n := 0; n <= b.lastCap; n++ {
			cfg.AmbientCaps = append(cfg.AmbientCaps, uintptr(n))
		}
	}
	// The thread goes on by itself when it is in the cgroup.
	b.thread.Do(func() error {
		if dir := b.place.Dir; dir != nil {
			cfg.CgroupFD = int(dir.Fd())
		}
		return nil
	})
	b.proc, err = b.thread.Start(cfg)
	if err == nil {
		b.cgroup.Paths = b.place.Paths
		b.state.Cgroup = state.Cgroup(b.cgroup.Config)
		if b.gate {
			b.state.Image = (*state.Image)(&b.proc.Image)
		}
	}
	b.endThread()
	return explainFork(err, b.spec)
}

// explainFork names the field when there is no room for another process.
func explainFork(err error, s *specs.Spec) error {
	if l := s.Linux; errors.Is(err, unix.EAGAIN) && l != nil && l.Resources != nil && l.Resources.Pids != nil && l.Resources.Pids.Limit != nil {
		return fmt.Errorf("linux.resources.pids.limit: the limit of %d leaves no room for another process: %w", *l.Resources.Pids.Limit, err)
	}
	return err
}

// namespacesAhead are those of the container's namespaces that take the kernel
// long, and that do not depend on others: what a user namespace owns has to be
// made in it.
func namespacesAhead(s *specs.Spec) (flags uint64) {
	if spec.FindNamespace(s, specs.UserNamespace) != nil {
		return 0
	}
	for _, t := range []specs.LinuxNamespaceType{specs.NetworkNamespace, specs.IPCNamespace} {
		if n := spec.FindNamespace(s, t); n != nil && n.Path == "" {
			flags |= spec.NamespaceFlag(t)
		}
	}
	return flags
}

// endThread ends the thread, and with it its stay in the container's cgroup.
func (b *creation) endThread() {
	if b.thread != nil {
		_ = b.thread.Wait()
		b.thread.End()
		b.thread = nil
	}
	if b.place != nil && b.place.Dir != nil {
		b.place.Dir.Close()
		b.place.Dir = nil
	}
}

// undo removes everything that was made.
func (b *creation) undo() {
	b.endThread()
	if b.keeper != nil {
		b.keeper.Close()
	}
	if b.proc != nil {
		b.proc.Kill()
		b.proc.Close()
	}
	if b.announced {
		removeFile(b.o.PidFile)
	}
	if b.cgroup.Systemd && !b.moved {
		// There is no scope, or it is another container's.
		b.cgroup.Remove()
		b.state.Cgroup.Paths = nil
	}
	if !b.deleted {
		// Only a process that is no init of a pid namespace can have left others.
		others := b.proc != nil && b.plan.CloneFlags&unix.CLONE_NEWPID == 0
		_ = b.container().destroy(others, b.o.Warn)
		if b.hooksBegan || b.ready {
			b.container().poststop(b.o.Warn)
		}
	}
	b.dir.Close()
}
