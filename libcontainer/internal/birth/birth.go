// Package birth makes the processes of containers: a first process together with its
// container, further processes, and programs that change the mounts of a container. All
// take the same steps (Birth.make): enter the cgroup, compile the program, start it, and
// serve its requests until it has become the user's. Each step records its undo; if a
// later step fails, the undos run in reverse order.
package birth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/internal/cgroup"
	"github.com/rtcontainers/rt/libcontainer/internal/compile"
	"github.com/rtcontainers/rt/libcontainer/internal/launch"
	"github.com/rtcontainers/rt/libcontainer/internal/program/image"
	"golang.org/x/sys/unix"
)

// Phase is how far a birth has come.
type Phase uint8

// The phases, in their order.
const (
	Begun Phase = iota
	// Checked: the configuration of a first process is checked.
	Checked
	// Reserved is the id of a new container; Found, the first process of another one.
	Reserved
	Found
	Compiled
	Started
	Limited
	// Answered: the program has got something, and is not started again.
	Answered
	// Permitted: nothing remains to be done before the user's program runs.
	Permitted
	// Made and Joined: the program is ready, and continues to execute the user's.
	Made
	Joined
	Executed
)

var phases = [...]string{
	Checked: "read and checked the configuration", Reserved: "reserved the id", Found: "found the container's first process",
	Compiled: "compiled the program", Started: "started the program", Limited: "set the limits",
	Permitted: "let the program go on", Made: "the program made the container", Joined: "the program joined the container",
	Executed: "executed the process",
}

// String says what was done; it is empty for phases that nobody has to know.
func (p Phase) String() string {
	if int(p) < len(phases) {
		return phases[p]
	}
	return ""
}

// Caller is what the caller passes to a new process, and gets from it.
type Caller struct {
	// Stdin, Stdout and Stderr are the standard streams. Nil means /dev/null.
	Stdin, Stdout, Stderr *os.File
	// Preserve are further descriptors, from 3 on; a nil is a gap.
	Preserve []*os.File
	// Terminal takes the master of the process's terminal.
	Terminal func(master *os.File) error
	// PidFile and PIDFD receive the pid and a pidfd of the process.
	PidFile string
	PIDFD   func(pidfd *os.File) error
	// Keeper has the caller's wishes for the program that replaces it, or is nil.
	Keeper *compile.Keeper
	// Debug and Warn may be nil.
	Debug, Warn func(message string)
	// Trace is told the time of each step, if it is not nil.
	Trace func(Step)
}

// Born is a process that was made.
type Born struct {
	Container Container
	Process   *launch.Process
	// Keeper is the executable of the program that replaces the caller, or nil.
	Keeper *os.File
}

// Birth is what all kinds of births have.
type Birth struct {
	Caller
	ctx       context.Context
	kind      kind
	phase     Phase
	times     timeline
	container Container
	spec      *specs.Spec
	plan      *compile.Plan
	proc      *launch.Process
	keeper    *os.File
	cgroup    *cgroup.Cgroup
	// place is how to get into the cgroup; thread is entering it, or nil.
	place  *cgroup.Placement
	thread *launch.Thread
	// left is closed when the thread has left what can stop it; nil: there was none.
	left  <-chan struct{}
	clone launch.Config
	// release lets the program continue when it is ready, if it has no gate.
	release *os.File
	// births are those that the program has announced.
	births int
	// interruption ends the watch over ctx and returns why ctx has ended; nil before the watch.
	interruption func() error
	// devices are nodes in the state directory that were made for the container.
	devices []string
	// late is true if the process is born outside the cgroup and moved there.
	late bool
	// rootless: it is no error if the right to lower process.oomScoreAdj is missing.
	rootless bool
	// lent files are closed when the program has them, held files at the end.
	lent, held []*os.File
	// undo reverses the steps, the last one first.
	undo []func()
}

// kind is what differs between births.
type kind interface {
	server
	// enter makes the cgroup, and starts to enter it if that is how to get in.
	enter() error
	compile(streams [3]*os.File) (*compile.Plan, error)
	// open opens a control descriptor of the program.
	open(f *compile.File) (*os.File, error)
	// meanwhile does what is possible while the program works.
	meanwhile() error
	// record saves what others have to know about the process, before it runs.
	record() error
	// permit lets the program execute the user's.
	permit() error
	// ready is called when the program is ready.
	ready() (answer, error)
}

// The defaults for kinds that have nothing to do at a step.
func (b *Birth) enter() error     { return nil }
func (b *Birth) meanwhile() error { return nil }
func (b *Birth) record() error    { return nil }
func (b *Birth) permit() error    { return nil }

// reach notes a phase.
func (b *Birth) reach(p Phase) {
	b.phase = max(b.phase, p)
	b.note(p.String())
	b.mark(p)
}

func (b *Birth) note(text string) {
	if b.Debug != nil && text != "" {
		b.Debug(text)
	}
}

// undoing records the undo of a step.
func (b *Birth) undoing(f func()) { b.undo = append(b.undo, f) }

// goBack undoes all steps.
func (b *Birth) goBack() {
	b.awaitLeft()
	for _, f := range slices.Backward(b.undo) {
		f()
	}
	b.undo = nil
}

func (b *Birth) born() *Born { return &Born{b.container, b.proc, b.keeper} }

// lend closes a file when the program has it.
func (b *Birth) lend(f *os.File, err error) (*os.File, error) {
	b.lent = append(b.lent, f)
	return f, err
}

// hold closes a file at the end.
func (b *Birth) hold(f *os.File, err error) (*os.File, error) {
	b.held = append(b.held, f)
	return f, err
}

// close releases what is not needed any more, whether or not the birth succeeded.
func (b *Birth) close() {
	b.leave()
	closeFiles(b.held)
	b.held = nil
}

// awaitLeft waits until the thread is not in the container's cgroup any more, as far as that can
// be limited, frozen or killed.
func (b *Birth) awaitLeft() {
	if b.left != nil {
		<-b.left
	}
}

// leave ends the thread, which then leaves the container's cgroup.
func (b *Birth) leave() {
	if b.thread != nil {
		_ = b.thread.Wait()
		var last func()
		if b.place != nil {
			last = b.place.Leave
		}
		b.left = b.thread.End(last)
		b.thread = nil
	}
	if b.place != nil && b.place.Dir != nil {
		b.place.Dir.Close()
	}
	closeFiles(b.lent)
	b.lent = nil
}

// make runs the steps.
func (b *Birth) make() error {
	defer b.leave()
	defer b.readTimes()
	if b.ctx.Err() != nil {
		return context.Cause(b.ctx)
	}
	streams, err := b.streams()
	if err != nil {
		return err
	}
	if err := b.kind.enter(); err != nil {
		return err
	}
	if b.plan, err = b.kind.compile(streams); err != nil {
		return err
	}
	WarnAll(b.Warn, b.plan.Warnings)
	exe, err := image.Executable(b.plan.Program)
	if err != nil {
		return err
	}
	defer exe.Close()
	b.reach(Compiled)
	if err := b.start(exe, streams); err != nil {
		return b.full(err, errors.Is(err, launch.ErrNoRoom))
	}
	b.reach(Started)
	b.interruption = nil
	b.heed()
	err = b.kind.meanwhile()
	if err == nil {
		err = b.served(serve(&b.proc.Conversation, b.timed(b.kind)))
	}
	return cmp.Or(b.cancelled(), err)
}

// heed lets the end of ctx interrupt the birth as soon as the program has named all of its
// children: one that was not named would be nobody's to end, and a zombie of the caller's.
func (b *Birth) heed() {
	if b.births == b.plan.Births {
		b.interruption = interruptible(b.ctx, &b.proc.Conversation)
	}
}

// cancelled returns why ctx has ended, or nil.
func (b *Birth) cancelled() error {
	if b.interruption == nil {
		return nil
	}
	return b.interruption()
}

// interruptible ends a conversation with ctx. The function that it returns has to be
// called before the conversation is closed; it returns why ctx has ended, or nil.
func interruptible(ctx context.Context, c *launch.Conversation) (end func() error) {
	if ctx.Done() == nil {
		return func() error { return nil }
	}
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		c.Interrupt()
		close(interrupted)
	})
	return func() error {
		if stop() {
			return nil
		}
		<-interrupted
		return context.Cause(ctx)
	}
}

// start clones the program.
func (b *Birth) start(exe *os.File, streams [3]*os.File) (err error) {
	defer b.leave()
	files := append(streams[:], filled(b.Preserve, exe)...)
	for i := range b.plan.Files {
		f := &b.plan.Files[i]
		var file *os.File
		switch f.Kind {
		case compile.Conversation: // launch makes it
		case compile.Spare:
			file = exe
		case compile.Release:
			file, err = b.lend(b.releasePipe())
		case compile.Timeline:
			file, err = b.openTimeline()
		default:
			file, err = b.kind.open(f)
		}
		if err != nil {
			return err
		}
		files = append(files, file)
	}
	b.clone.Image, b.clone.Files, b.clone.Conversation, b.clone.CloneFlags = exe, files, 3+len(b.Preserve), b.plan.CloneFlags
	if b.thread != nil { // which continues by itself when it is in the cgroup
		b.proc, err = b.thread.Start(&b.clone)
	} else {
		b.proc, err = launch.Start(&b.clone)
	}
	if err == nil {
		b.undoing(func() {
			b.proc.Kill()
			if b.births != b.plan.Births {
				b.proc.KillUnnamed()
			}
			b.proc.Close()
		})
	}
	return err
}

// allow lets a program that waits at the other end of the pipe continue. If nobody reads
// the pipe, Receive reports it.
func (b *Birth) allow() error {
	if _, err := b.release.Write([]byte{1}); err != nil && !errors.Is(err, unix.EPIPE) {
		return fmt.Errorf("let the init program execute the process: %w", err)
	}
	return nil
}

// releasePipe makes the pipe through which the program gets its permission. Unlike one of
// os.Pipe, it is not in the Go runtime's poller.
func (b *Birth) releasePipe() (*os.File, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	b.release, _ = b.hold(os.NewFile(uintptr(fds[1]), "pipe"), nil)
	return os.NewFile(uintptr(fds[0]), "pipe"), nil
}

// goOnIn continues with a child of the program.
func (b *Birth) goOnIn(pid int) error {
	b.dropKeeper() // it waits for the other one
	if err := b.proc.Adopt(pid); err != nil {
		return err
	}
	if err := b.attach(); err != nil {
		return err
	}
	if err := b.proc.Reply(); err != nil {
		return err
	}
	b.births++
	b.heed()
	return b.goAhead()
}

// attach moves a process that was born outside the container's cgroup there.
func (b *Birth) attach() error {
	if !b.late {
		return nil
	}
	if err := b.place.Attach(b.proc.Pid); err != nil {
		return fmt.Errorf("move the process to the container's cgroup: %w", err)
	}
	return nil
}

// goAhead lets the program execute the user's as soon as it is ready, if the process
// exists and the program has no requests before that: an observer must not find a created
// container in between.
func (b *Birth) goAhead() error {
	if b.plan.Asks || b.births != b.plan.Births {
		return nil
	}
	return b.finish()
}

// finish does the remaining steps before the user's program runs, and permits that, once.
func (b *Birth) finish() error {
	if b.phase >= Permitted {
		return nil
	}
	b.reach(Answered)
	p := b.spec.Process
	if err := adjustOOM(p, b.proc.Pid, b.rootless, b.Warn); err != nil {
		return err
	}
	if b.plan.ParentSets {
		if err := setPriorities(p, b.proc.Pid); err != nil {
			return err
		}
	}
	if err := b.kind.record(); err != nil {
		return err
	}
	if err := b.announce(); err != nil {
		return err
	}
	b.reach(Permitted)
	return b.kind.permit()
}

// serve serves the requests that programs of all kinds may send.
func (b *Birth) serve(r *request) (answer, error) {
	switch q := r.Request.(type) {
	case compile.RequestChild:
		return given, b.goOnIn(q.Pid)
	case compile.RequestTerminal:
		return b.answered(takeTerminal(r.take(), b.spec.Process, b.Terminal))
	case compile.RequestListener:
		return b.answered(b.container.HandListener(q.FD, b.proc.PidFD, b.proc.Pid))
	case compile.RequestReady:
		return b.kind.ready()
	case compile.RequestFailure:
		return given, b.failure(q)
	}
	return given, unexpected(r)
}

// answered lets the program continue after its request.
func (b *Birth) answered(err error) (answer, error) {
	if err == nil {
		b.reach(Answered)
	}
	return goOn, err
}
