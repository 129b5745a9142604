// Package compile translates a configuration into the program that sets the container up.
// It is pure: it uses only its arguments, so a plan can be read, compared and simulated
// anywhere.
package compile

import (
	"fmt"
	"maps"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"github.com/rtcontainers/rt/libcontainer/seccomp"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

type compiler struct {
	*program.Builder
	spec *specs.Spec
	host Host
	opt  Options
	plan Plan

	conv   program.Reg // socket to the parent
	status program.Reg // where failures are reported
	fsfd   program.Reg // file system context whose log explains a failure, or -1
	root   program.Reg // the container's root directory
	proc   program.Reg // a procfs that the program mounted itself; Scratch when none
	// hostProc is the host's /proc, opened before the program enters another mount
	// namespace; Scratch if it is not needed.
	hostProc program.Reg

	reply, failure program.Ref
	stat           program.Ref // for the answers of statx(2) and fstatfs(2)
	cold           []func()

	// inherited closes the caller's descriptors, from the first number after the control
	// descriptors.
	inherited *program.Step
	// waitsAt is where the program waits for its start: a StartSocket or a Release.
	waitsAt   program.Arg
	hookFiles hookFiles
	filter    *seccomp.Filter
	// early: the filter is loaded before the program waits, or enters the container's pid
	// namespace. filtered is true for the calls after it, and behind are their
	// instructions.
	early, filtered bool
	behind          []part
	// filterData is the address of the filter, once it is needed.
	filterData *program.Ref
	made       made
	// ahead are copies of the sources of bind mounts, by the entry of mounts.
	ahead map[int]program.Ref
	// unfinished are mounts that become read-only when everything below them is made.
	unfinished []unfinished
	// further is true for an existing container.
	further bool
	// before are the mounts that a container has before others are added.
	before []specs.Mount
	// attached are descriptors of the added mounts, to unmount them if a later one fails;
	// ownFiles is where they are found.
	attached []program.Ref
	ownFiles ownFiles
	// gone is where the program ends if its parent is gone, once it is needed.
	gone *program.Label
	// limitNow is room for a struct rlimit.
	limitNow *program.Ref
	// late sets the capabilities after the filter is loaded, if it is not nil.
	late func()
	// executable holds the path of the program to execute once it is found.
	executable program.Reg
	located    bool
	// labelFiles are the opened files of processLabels.
	labelFiles []program.Reg
	// master is the terminal of a further process, until the parent has it.
	master program.Reg
	// spare are the numbers of descriptors that stay open until the last execve.
	spare []program.Arg
	// standing is how many control descriptors stay open as long.
	standing int
	// timedFrom is the first instruction whose time can be written, and filterAt the first
	// one that loads the filter.
	timedFrom, filterAt int
}

// Compile makes the plan for a new container.
func Compile(s *specs.Spec, host Host, opt Options) (*Plan, error) {
	return filterEarly(func(early bool) (*Plan, error) { return compile(s, host, opt, early) })
}

func compile(s *specs.Spec, host Host, opt Options, early bool) (*Plan, error) {
	c := &compiler{Builder: program.NewBuilder(), spec: s, host: host, opt: opt, early: early}
	if err := c.seccompFilter(); err != nil {
		return nil, err
	}
	if opt.Hold {
		return c.compileHold()
	}
	c.plan.ParentSets = spec.FindNamespace(s, specs.UserNamespace) != nil
	c.prologue()
	c.allProcessors()
	c.session()
	c.namespaces()
	c.labelKeys()
	c.leaveHostProc()
	c.keyring()
	c.rootfs()
	c.closeOwn()
	c.credentials()
	if opt.Gate {
		c.locate()
	}
	c.ready()
	c.containerHooks("hooks.startContainer", StartContainer, c.hooks().StartContainer)
	return c.finish()
}

// finish ends the program by becoming the user's.
func (c *compiler) finish() (*Plan, error) {
	c.execute()
	c.endPart()
	return c.end()
}

// end appends the rarely executed code to the program.
func (c *compiler) end() (*Plan, error) {
	c.plan.Rare = c.Len()
	for i := 0; i < len(c.cold); i++ {
		c.cold[i]()
	}
	c.beginPart(len(c.behind) > 0)
	c.failureHandler()
	c.endPart()
	if !c.allowedBehind() {
		return nil, errFilterForbids
	}
	if err := c.passesCapset(); err != nil {
		return nil, err
	}
	if c.inherited != nil {
		c.inherited.SetArg(0, program.Imm(c.firstFile()+len(c.plan.Files)))
	}
	p, err := c.Build()
	if err != nil {
		return nil, err
	}
	c.plan.Program = p
	c.time()
	return &c.plan, nil
}

// index names an entry of a list in config.json.
func index(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }

// warn records a warning about something that rt ignores.
func (c *compiler) warn(format string, args ...any) {
	c.plan.Warnings = append(c.plan.Warnings, fmt.Sprintf(format, args...))
}

// later emits rarely executed code after the main path, which then reads from top to
// bottom. The code keeps the current source, purpose and mounts.
func (c *compiler) later(source, purpose string, emit func()) {
	regs, mounts, filtered := c.Regs(), maps.Clone(c.made.mounts), c.filtered
	c.cold = append(c.cold, func() {
		c.SetRegs(regs)
		c.made.mounts = mounts
		c.Source(source, purpose)
		c.beginPart(filtered)
		emit()
		c.endPart()
	})
}

func (c *compiler) note() (source, purpose string) {
	n := c.CurrentNote()
	return n.Source, n.Purpose
}

func (c *compiler) prologue() {
	c.begin()
	c.standingFiles()
	c.timeline()
	c.unblockSignals()
	c.openHostProc()
	c.setUp()
}

// begin protects the program, closes foreign descriptors and opens the conversation.
func (c *compiler) begin() {
	c.conv, c.status, c.fsfd, c.root = c.Reg(), c.Reg(), c.Reg(), c.Reg()
	c.reply = c.Buffer("reply", 8)
	c.failure = c.Buffer("failure", failureSize)
	c.stat = c.Buffer("statx", 256)
	c.Source("", "know where to report a failure, from the first call on")
	c.Move(c.conv, c.file(File{Kind: Conversation}))
	c.Move(c.status, program.R(c.conv))
	c.Move(c.fsfd, program.Imm(-1))
	c.undumpable()
	if !defence.Off(defence.InheritedFiles) {
		c.Source("", "close the descriptors that the caller of rt left open")
		closing := c.closeFrom(0, 0) // the first number is known at the end
		c.inherited = &closing
	}
	c.Source("", "mark descriptors that are not for the container close-on-exec")
	c.closeFrom(c.firstFile(), unix.CLOSE_RANGE_CLOEXEC)
}

// setUp does what all later steps rely on.
func (c *compiler) setUp() {
	c.Do(program.Umask, program.Imm(0)).For("create files with exactly the requested modes")
}

// undumpable prevents other processes from tracing the program, whatever they share with
// it (CVE-2016-9962).
func (c *compiler) undumpable() {
	if defence.Off(defence.Dumpable) {
		return
	}
	c.Source("", "protect the program from the container's processes")
	c.Do(program.Prctl, program.Imm(unix.PR_SET_DUMPABLE), program.Imm(0), program.Imm(0), program.Imm(0), program.Imm(0))
}

// firstFile is the number of the first control descriptor.
func (c *compiler) firstFile() int { return 3 + c.opt.PreserveFDs }

// file adds a control descriptor and returns its number as an argument.
func (c *compiler) file(f File) program.Arg {
	c.plan.Files = append(c.plan.Files, f)
	return program.Imm(c.firstFile() + len(c.plan.Files) - 1)
}

// standingFiles gives the lowest numbers to the control descriptors that stay open until
// the user's program is executed, so that all others can be closed at once.
func (c *compiler) standingFiles() {
	if c.opt.Gate {
		c.waitsAt = c.file(File{Kind: StartSocket})
	} else {
		c.waitsAt = c.file(File{Kind: Release})
	}
	if h := c.hooks(); len(h.CreateContainer)+len(h.StartContainer) > 0 && !c.further {
		c.hookFiles = hookFiles{c.file(File{Kind: HookState}), c.file(File{Kind: HookOutput}), c.file(File{Kind: HookErrors})}
	}
	if !c.further {
		for range c.processLabels() {
			c.spare = append(c.spare, c.file(File{Kind: Spare}))
		}
	}
	c.standing = len(c.plan.Files)
}

// stand moves a descriptor to a number that closeOwn spares.
func (c *compiler) stand(fd program.Reg) {
	place := c.spare[0]
	c.spare = c.spare[1:]
	c.Do(program.Dup3, program.R(fd), place, program.Imm(unix.O_CLOEXEC))
	c.Do(program.Close, program.R(fd))
	c.Move(fd, place)
}

// closeFrom closes the descriptors from one number on, or applies the flags of
// close_range(2) to them.
func (c *compiler) closeFrom(first, flags int) program.Step {
	return c.Do(program.CloseRange, program.Imm(first), program.Imm(uint32(1<<32-1)), program.Imm(flags))
}

// closeOwn closes the program's descriptors before anything of the image is entered or
// executed: the working directory, a hook, or the interpreter of a script could be a path
// through /proc/self/fd (CVE-2024-21626).
func (c *compiler) closeOwn() {
	if defence.Off(defence.OwnFiles) || defence.Off(defence.InheritedFiles) {
		return
	}
	c.Source("", "close the descriptors that only the setup needed")
	c.closeFrom(c.firstFile()+c.standing, 0)
	for _, fd := range c.opt.Gaps {
		c.Do(program.Close, program.Imm(fd)).For("leave a gap among the preserved descriptors")
	}
}

// doneWith closes a descriptor that is no longer needed.
func (c *compiler) doneWith(fd program.Arg) {
	if !defence.Off(defence.OwnFiles) {
		c.Do(program.Close, fd)
	}
}
