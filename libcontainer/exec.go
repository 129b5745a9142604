package libcontainer

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/internal/sysfile"
	"github.com/rtcontainers/rt/libcontainer/internal/cgroup"
	"github.com/rtcontainers/rt/libcontainer/internal/compile"
	"github.com/rtcontainers/rt/libcontainer/internal/launch"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
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
	// Keep prepares Process.Keep. It may be nil.
	Keep *KeepOptions
	// Debug is told when a step is done. It may be nil.
	Debug func(step string)
	// Warn is told what the specification wants to be logged. It may be nil.
	Warn func(message string)
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
// child of the caller.
func (c *Container) Exec(o ExecOptions) (*Process, error) {
	status := c.Status()
	switch {
	case status == Paused && !o.IgnorePaused:
		return nil, fmt.Errorf("container %q: %w: cannot start a process in a paused container: resume it, or use --ignore-paused", c.ID(), ErrWrongState)
	case status != Running && status != Created && status != Paused:
		return nil, fmt.Errorf("container %q: %w: cannot start a process in a container that is %s", c.ID(), ErrWrongState, status)
	}
	e := &execution{container: c, o: &o}
	defer e.close()
	err := e.start()
	if err != nil {
		e.undo()
		return nil, err
	}
	return &Process{e.proc, e.keeper}, nil
}

// execution is a process that is being started.
type execution struct {
	container *Container
	o         *ExecOptions
	// announced is true when the pid file is written.
	announced bool
	spec      *specs.Spec
	plan      *compile.Plan
	cgroup    *cgroup.Cgroup
	proc      *launch.Process
	keeper    *os.File
	ready     bool
	// release lets the program go on when it is ready.
	release *os.File
	// settled is true when nothing is left to do before the user's program runs.
	settled bool
	// place is how to get into the container's cgroup; thread is on its way, or nil.
	place  *cgroup.Placement
	thread *launch.Thread
	// births are those that the program has announced.
	births int
	// below is true when the process begins where the container's first process is.
	below bool
	// late is true when the process is born outside and moved to the cgroup: one
	// that is full takes it, but not the program, its child and the thread.
	late bool
	// answered is true when the program was given something: it is not started
	// again.
	answered bool
	// first is the container's first process, root its root directory.
	first, root *os.File
	// tasks are how the program enters hierarchies of cgroup v1 itself.
	tasks []*os.File
}

func (e *execution) done(step string) {
	if e.o.Debug != nil {
		e.o.Debug(step)
	}
}

func (e *execution) close() { closeFiles([]*os.File{e.first, e.root, e.release}) }

func (e *execution) start() error {
	s, err := e.container.spec()
	if err != nil {
		return err
	}
	// What a further process does not say is as with the first.
	first, p := s.Process, *e.o.Process
	if first != nil {
		if p.Capabilities == nil {
			p.Capabilities = first.Capabilities
		}
		if p.ApparmorProfile == "" {
			p.ApparmorProfile = first.ApparmorProfile
		}
		if p.SelinuxLabel == "" {
			p.SelinuxLabel = first.SelinuxLabel
		}
		if len(p.Rlimits) == 0 {
			p.Rlimits = first.Rlimits
		}
	}
	s.Process = &p
	if err := spec.ValidateProcess(s); err != nil {
		return err
	}
	if s.Process.Terminal && e.o.Terminal == nil {
		return errors.New("process.terminal: there is nobody to take the terminal: give --console-socket, or do not detach")
	}
	if err := checkLabels(&specs.Spec{Process: s.Process}); err != nil {
		return err
	}
	e.spec = s
	if err := e.open(); err != nil {
		return err
	}
	e.done("found the container's first process")
	streams, closeNull, err := stdio(e.o.Stdin, e.o.Stdout, e.o.Stderr)
	if err != nil {
		return err
	}
	defer closeNull()
	err = e.begin(streams)
	if errors.Is(err, unix.EBUSY) && !e.answered && e.mayBeBelow() {
		e.reset()
		e.below = true
		err = e.begin(streams)
	}
	if errors.Is(err, unix.EAGAIN) && !e.answered {
		e.reset()
		e.late = true
		err = e.begin(streams)
	}
	return explainFork(err, e.spec)
}

// reset forgets a program that could not be started, for another one.
func (e *execution) reset() {
	e.undo()
	closeFiles([]*os.File{e.release})
	e.proc, e.thread, e.release, e.settled, e.births = nil, nil, nil, false, 0
}

// begin starts the program and serves it until it becomes the user's.
func (e *execution) begin(streams [3]*os.File) error {
	if err := e.launch(streams); err != nil {
		return err
	}
	return e.converse()
}

// open takes hold of the container.
func (e *execution) open() error {
	first, err := e.container.process()
	if err == unix.ESRCH {
		return fmt.Errorf("container %q: %w: container not running", e.container.ID(), ErrWrongState)
	}
	if err != nil {
		return err
	}
	e.first = first
	e.root, err = openPath(fmt.Sprintf("/proc/%d/root", e.container.state.Pid))
	return err
}

func openPath(name string) (*os.File, error) {
	fd, err := unix.Open(name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// otherNamespaces are those of a container that a process of rt does not have:
// those that were made for it, and of those that it joined or kept the ones that
// are not rt's own. setns(2) refuses a user namespace that one is in already.
func otherNamespaces(s *specs.Spec, pid int) (uint64, error) {
	var flags uint64
	for _, n := range spec.Namespaces {
		if made := spec.FindNamespace(s, n.Type); made != nil && made.Path == "" {
			flags |= n.Flag
			continue
		}
		theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, n.Proc))
		if errors.Is(err, os.ErrNotExist) {
			continue // not in this kernel
		}
		if err != nil {
			return 0, err
		}
		if own, _ := os.Readlink("/proc/self/ns/" + n.Proc); own != theirs {
			flags |= n.Flag
		}
	}
	return flags, nil
}

func (e *execution) launch(streams [3]*os.File) error {
	defer e.leave()
	if err := e.enter(); err != nil {
		return err
	}
	namespaces, err := otherNamespaces(e.spec, e.container.state.Pid)
	if err != nil {
		return err
	}
	host, err := hostFacts(e.spec, e.root.Name(), nil, streams)
	if err != nil {
		return err
	}
	e.plan, err = compile.CompileExec(e.spec, host, compile.ExecOptions{
		ID: e.container.ID(), Keyring: e.container.state.Keyring, Namespaces: namespaces, PreserveFDs: len(e.o.Preserve), Gaps: gaps(e.o.Preserve),
		Cgroup: e.place.Dir != nil && !e.late, Tasks: len(e.tasks),
	})
	if err != nil {
		return err
	}
	exe, err := executable(e.plan, e.o.Warn)
	if err != nil {
		return err
	}
	defer exe.Close()
	e.done("compiled the program")
	defer e.done("started the program")
	if err := e.clone(exe, streams); err != nil {
		return err
	}
	if e.cgroup != nil && !e.o.IgnorePaused && !defence.Off(defence.BoundedWait) {
		e.proc.Frozen = e.cgroup.FrozenAt
	}
	if e.plan.Births > 0 {
		return nil // the process is still to be born
	}
	if err := e.attach(); err != nil {
		return err
	}
	return e.settleAhead()
}

// enter begins to step into the container's cgroup, where that is how to get in,
// while the program is made.
func (e *execution) enter() error {
	var err error
	e.cgroup, err = e.container.cgroup()
	if errors.Is(err, cgroup.ErrNone) && len(e.o.Cgroup) == 0 {
		e.place = new(cgroup.Placement)
		return nil // the container of a user who can have none
	}
	if err != nil {
		return err
	}
	if e.below {
		e.place, err = e.cgroup.PlacementOf(e.container.state.Pid)
	} else {
		e.place, err = e.cgroup.PlacementBelow(e.o.Cgroup)
	}
	if err != nil {
		return err
	}
	if e.late {
		return nil
	}
	for _, name := range e.place.Halting {
		file, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		e.tasks = append(e.tasks, file)
	}
	if e.place.Prepare != nil {
		e.thread = launch.NewThread()
		e.thread.Do(e.place.Prepare)
	}
	return nil
}

// leave gives up what enter took hold of, also when it failed half-way.
func (e *execution) leave() {
	if e.thread != nil {
		e.thread.End()
	}
	if e.place != nil {
		closeFiles(append(e.tasks, e.place.Dir))
	}
	e.tasks = nil
}

// clone starts the program in the container's cgroup.
func (e *execution) clone(exe *os.File, streams [3]*os.File) error {
	control, release, err := e.controlFiles(exe)
	if err != nil {
		return err
	}
	defer closeFiles([]*os.File{release})
	cfg := &launch.Config{
		Image: exe, CgroupFD: -1, Conversation: 3 + len(e.o.Preserve),
		Files: append(append(streams[:], filled(e.o.Preserve, exe)...), control...),
	}
	if e.thread != nil {
		e.proc, err = e.thread.Start(cfg)
	} else {
		e.proc, err = launch.Start(cfg)
	}
	return err
}

// mayBeBelow tells whether the process can begin where the container's first is, if
// the container's cgroup of v2 takes no processes, since those below it do.
func (e *execution) mayBeBelow() bool {
	return len(e.o.Cgroup) == 0 && !e.below && e.cgroup != nil && e.cgroup.Unified() != ""
}

// attach moves a process that was born outside of the container's cgroup there.
func (e *execution) attach() error {
	if !e.late {
		return nil
	}
	if err := e.place.Attach(e.proc.Pid); err != nil {
		return fmt.Errorf("move the process to the container's cgroup: %w", err)
	}
	return nil
}

// controlFiles are the plan's files. The conversation's place stays nil. The end
// of the pipe that is the program's is the caller's to close.
func (e *execution) controlFiles(exe *os.File) (files []*os.File, release *os.File, err error) {
	files = make([]*os.File, len(e.plan.Files))
	tasks := e.tasks
	for i, f := range e.plan.Files {
		switch f.Kind {
		case compile.ContainerProcess:
			files[i] = e.first
		case compile.ContainerRoot:
			files[i] = e.root
		case compile.ContainerTasks:
			files[i], tasks = tasks[0], tasks[1:]
		case compile.ContainerCgroup:
			files[i] = e.place.Dir
		case compile.Spare:
			files[i] = exe
		case compile.Release:
			if release, e.release, err = pipe(); err != nil {
				return nil, nil, err
			}
			files[i] = release
		}
	}
	return files, release, nil
}

func (e *execution) converse() error {
	for {
		m, err := e.proc.Receive()
		if err != nil {
			if e.ready && errors.Is(err, io.EOF) {
				e.done("executed the process")
				return nil
			}
			return died(err, e.proc, e.cgroup)
		}
		switch m.Words[0] {
		case compile.RequestChild:
			if err = e.proc.Adopt(int(m.Words[1])); err == nil {
				err = e.attach()
			}
			if err == nil {
				err = e.proc.Reply()
			}
			if e.births++; err == nil && e.births == e.plan.Births {
				err = e.settleAhead()
			}
		case compile.RequestTerminal:
			err = e.answer(takeTerminal(m.File, e.o.Process, e.o.Terminal))
		case compile.RequestListener:
			err = e.answer(e.container.handListener(m, e.proc.PidFD, e.proc.Pid))
		case compile.RequestReady:
			e.done("the program joined the container")
			e.ready = true
			err = e.goAhead()
		case compile.RequestFailure:
			return failure(e.plan, m)
		default:
			return fmt.Errorf("unknown request %d from the init program", m.Words[0])
		}
		if err != nil && !errors.Is(err, launch.ErrGone) { // else Receive says so
			return err
		}
	}
}

// answer lets the program go on after what it asked for, if that is done.
func (e *execution) answer(err error) error {
	if err != nil {
		return err
	}
	e.answered = true
	return e.proc.Reply()
}

// settleAhead lets the program execute the user's as soon as it is ready, if there
// is nothing that it has to ask for before.
func (e *execution) settleAhead() error {
	if e.plan.Asks {
		return nil
	}
	return e.goAhead()
}

// goAhead lets the program execute the user's, once.
func (e *execution) goAhead() error {
	if e.settled {
		return nil
	}
	e.settled, e.answered = true, true
	if err := e.settle(); err != nil {
		return err
	}
	permit(e.release)
	e.prepareKeeper()
	return nil
}

// settle does what is left before the user's program runs.
func (e *execution) settle() error {
	if err := adjustOOM(e.o.Process, e.proc.Pid, os.Geteuid() != 0 || sysfile.InUserNamespace(), e.o.Warn); err != nil {
		return err
	}
	if e.plan.ParentSets {
		if err := setPriorities(e.spec.Process, e.proc.Pid); err != nil {
			return err
		}
	}
	err := announce(e.proc, e.o.PidFile, e.o.PIDFD)
	e.announced = err == nil
	return err
}

// prepareKeeper makes the program of Process.Keep while the process is executed.
// Without one the caller stays.
func (e *execution) prepareKeeper() {
	if e.o.Keep != nil {
		e.keeper, _ = keeperFile(&compile.Keeper{Pid: e.proc.Pid, PidFD: e.proc.PidFD, Keep: true, Ignored: e.o.Keep.Ignored})
	}
}

func (e *execution) undo() {
	if e.keeper != nil {
		e.keeper.Close()
	}
	if e.proc != nil {
		e.proc.Kill()
		e.proc.Close()
	}
	if e.announced {
		removeFile(e.o.PidFile)
	}
}

// adjustOOM sets process.oomScoreAdj. Only root may lower the value, which a
// rootless container lives without.
func adjustOOM(p *specs.Process, pid int, rootless bool, warn func(string)) error {
	if p == nil || p.OOMScoreAdj == nil {
		return nil
	}
	adj := strconv.Itoa(*p.OOMScoreAdj)
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	if defence.Off(defence.OwnProcfs) {
		dir += "/root/proc/self" // the container's
	}
	err := sysfile.Write(filepath.Join(dir, "oom_score_adj"), []byte(adj))
	switch {
	case err == nil:
		return nil
	case !rootless || !errors.Is(err, unix.EACCES):
		return fmt.Errorf("process.oomScoreAdj: set %s: %w", adj, err)
	case warn != nil:
		warn(fmt.Sprintf("process.oomScoreAdj: only root may set %s, less than rt's own: it stays as it is", adj))
	}
	return nil
}

// SubCgroups reads values of --cgroup: a path for all controllers, or
// CONTROLLER[,CONTROLLER]:PATH.
func SubCgroups(values []string) (map[string]string, error) { return cgroup.ParseBelow(values) }
