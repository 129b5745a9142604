// Package compile translates a configuration into the program that sets the
// container up. It is pure: it looks at nothing but its arguments, so a plan
// can be read, compared and simulated anywhere.
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

// Host is what the compiler has to know of the machine.
type Host struct {
	// LastCap is the highest capability that the kernel knows.
	LastCap int
	// Capabilities is the mask of those that rt itself has.
	Capabilities uint64
	// Privileged is true when rt may mount and make devices: root with
	// CAP_SYS_ADMIN over the machine's own user namespace.
	Privileged bool
	// Cgroup is the container's place in the cgroup file systems.
	Cgroup Cgroup
	// Home is the home directory of process.user by the image's /etc/passwd,
	// for a process.env that has no HOME.
	Home string
	// OwnStdio says which of the standard descriptors are given to the
	// container's user, so that it can reopen /dev/stdout and its like.
	OwnStdio [3]bool
}

// Cgroup describes the cgroup file systems to a container's cgroup mount.
type Cgroup struct {
	// Unified is the path of the container's directory in cgroup v2; empty
	// when the machine mounts v1 hierarchies.
	Unified string
	// V2 is where the host has mounted cgroup v2: alone, or beside v1. Empty where it has not.
	V2 string
	// V1 are the mounted v1 hierarchies.
	V1 []Hierarchy
	// Joined tells that the cgroup namespace to join is rt's own.
	Joined bool
}

// Hierarchy is one cgroup v1 hierarchy.
type Hierarchy struct {
	// Name is the directory below /sys/fs/cgroup, such as "cpu,cpuacct".
	Name string
	// Options select the hierarchy when it is mounted: controllers or name=X.
	Options []string
	// Path is the container's directory.
	Path string
	// Aliases are symlinks to Name.
	Aliases []string
}

// Options is what the caller of create or run asks for, beside the
// configuration.
type Options struct {
	// ID is the container's name.
	ID string
	// Rootfs is root.path as an absolute path.
	Rootfs string
	// Bundle is where relative sources of mounts begin.
	Bundle string
	// NoPivot uses chroot instead of pivot_root, for a rootfs on a ramdisk.
	NoPivot bool
	// Keyring is the name of the container's session keyring; "" leaves the caller's.
	Keyring string
	// PreserveFDs is the number of descriptors after 2 that are passed on.
	PreserveFDs int
	// Gaps are the numbers of those that are not there; any file is in their place.
	Gaps []int
	// Gate makes the program wait for `rt start`; without it the user's
	// program is executed as soon as everything is ready.
	Gate bool
	// HostMounts are the mount points of the host's proc and sysfs, outside of
	// Rootfs: what NoPivot leaves below the container.
	HostMounts []string
	// MoveCgroup is true when the program is moved to its cgroup after it was
	// born, so that it has to make its cgroup namespace itself, after that.
	MoveCgroup bool
}

// FileKind is what one of the program's control descriptors is.
type FileKind uint8

// The control descriptors of a program.
const (
	// Conversation is the program's end of the socket to its parent.
	Conversation FileKind = iota
	// StartSocket is the listening socket that `rt start` connects to.
	StartSocket
	// Namespace is a namespace to join.
	Namespace
	// ContainerProcess is a pidfd of a container's first process.
	ContainerProcess
	// ContainerRoot is the root directory of that process.
	ContainerRoot
	// ContainerCgroup is the directory of cgroup v2 in which a process is born.
	ContainerCgroup
	// ContainerTasks is a file by which a process enters a hierarchy of cgroup v1.
	ContainerTasks
	// HookState is a file with the container's state for hooks in the container.
	HookState
	// HookOutput and HookErrors are files for what those hooks print.
	HookOutput
	HookErrors
	// Release is the end to read of a pipe. A byte in it lets the program execute
	// the user's: the parent writes it as soon as nothing is left for it to do.
	Release
	// Spare is any file. The program puts a descriptor of its own in its place.
	Spare
)

// File is a control descriptor. The program finds them right after the
// preserved ones, in order.
type File struct {
	Kind FileKind
	// Path is what to open for a Namespace.
	Path string
	// Namespace is the type that a Namespace must have.
	Namespace specs.LinuxNamespaceType
	// Source is the field of config.json that asked for it.
	Source string
}

// Source is a path of the host that the program mounts, where it needs its parent
// for that: to open what is closed to it, or to map the ids.
type Source struct {
	// Path is absolute; it is walked from the program's root directory.
	Path string
	// Recursive takes what is mounted below along.
	Recursive bool
	// NoFollow takes a symlink itself, not what it leads to.
	NoFollow bool
	// Device is the node that it has to be. If the host has none there, the parent
	// makes it elsewhere; the answer says so: SourceMade.
	Device *specs.LinuxDevice
	// IDMap maps the ids of the tree, if it is not nil.
	IDMap *IDMap
	// Field is what asked for it.
	Field string
}

// IDMap is the id mapping of a mount: mount_setattr(2), MOUNT_ATTR_IDMAP.
type IDMap struct {
	UIDs, GIDs []specs.LinuxIDMapping
	// Namespace is the file of a user namespace, the mapping of which it is instead.
	Namespace string
	// Recursive maps the mounts below, too.
	Recursive bool
}

// PathKind is what a Path is to be.
type PathKind uint8

// The kinds of paths that mounts need.
const (
	Directory PathKind = iota
	EmptyFile
)

// Path is a path in the container that the program may ask its parent to make.
type Path struct {
	Name string
	Kind PathKind
	// Source is the field that wants it.
	Source string
}

// Plan is everything that launching a container needs.
type Plan struct {
	Program *program.Program
	// CloneFlags make the namespaces that clone(2) can make.
	CloneFlags uint64
	// Files are the control descriptors.
	Files []File
	// Paths are what RequestPath refers to.
	Paths []Path
	// Sources are what RequestSource and RequestMapIDs refer to.
	Sources []Source
	// Asks is true when the program asks its parent for something, beside a path
	// that is missing, before it is ready.
	Asks bool
	// ParentSets is true when the parent sets process.rlimits, scheduler and
	// ioPriority: in a user namespace nobody may raise them.
	ParentSets bool
	// Births is how often the program goes on in a child, before the last of which
	// the container's process is not there: RequestChild announces each.
	Births int
	// KeepCapabilities asks the launcher to carry the capabilities through
	// the program's own execve (the first process of a user namespace has no
	// mapped user id yet).
	KeepCapabilities bool
	// Rare is the first of the instructions at the end that are reached only where
	// something is missing or fails.
	Rare int
	// Ready is the first instruction that runs after the container is created.
	Ready int
	// Warnings are about what is ignored, as the specification allows.
	Warnings []string
}

// The requests of a program to its parent. A request is two 64-bit words: one
// of these and an argument. The parent answers with one byte, or the program
// ends.
const (
	// RequestMaps asks for the uid and gid maps.
	RequestMaps = 1
	// RequestChild says that the process with the id in the argument goes on
	// as the container; the asking one ends.
	RequestChild = 2
	// RequestTerminal brings the master of the container's terminal.
	RequestTerminal = 3
	// RequestReady says that the container is created.
	RequestReady = 4
	// RequestCgroup asks to be moved to the container's cgroup.
	RequestCgroup = 5
	// RequestPath brings the container's root directory and asks to make the
	// path of Plan.Paths in the argument there.
	RequestPath = 6
	// RequestHooks asks to run the prestart and createRuntime hooks, and to write
	// the state that the createContainer hooks read.
	RequestHooks = 7
	// RequestHook brings the pidfd of a hook that the program has started; the
	// argument says which (see Hook). Its time begins.
	RequestHook = 8
	// RequestHookDone says that it has ended, with its wait(2) status.
	RequestHookDone = 9
	// RequestCopyFrom brings a directory of the container, and RequestCopyTo the
	// file system that its content is to be copied to.
	RequestCopyFrom = 10
	RequestCopyTo   = 11
	// RequestNetDevices brings a socket of netlink(7) in the container's network
	// namespace and asks to move linux.netDevices there.
	RequestNetDevices = 12
	// RequestListener says that the descriptor with the number in the argument
	// is the listener of a seccomp filter, for the agent.
	RequestListener = 13
	// RequestSource asks for a descriptor (O_PATH) of Plan.Sources in the argument,
	// which the answer brings. The program copies the tree itself, in its own mount
	// namespace: only there the kernel locks what the host's mounts forbid, if a
	// user namespace is entered with it (mount_namespaces(7)).
	RequestSource = 14
	// SourceMade is the byte of an answer that brings a mount tree, which is not to be
	// copied any more; SourceOpened one with a path.
	SourceOpened, SourceMade = 1, 2
	// RequestMapIDs brings a detached mount tree, the ids of which are to be mapped
	// as Plan.Sources in the argument says.
	RequestMapIDs = 15
	// RequestCopied is the result of a command of the parent's while it copies for
	// tmpcopyup: a system call's, in the argument.
	RequestCopied = 16
	// RequestFailure reports a failed call: the address of its record, the
	// errno, and the kernel's words about it, if there are any.
	RequestFailure = 255
)

// Sizes of the messages.
const (
	RequestSize = 16
	LogSize     = 232
	FailureSize = 24 + LogSize
)

type compiler struct {
	*program.Builder
	spec *specs.Spec
	host Host
	opt  Options
	plan Plan

	conv   program.Reg // socket to the parent
	status program.Reg // where a failure is reported
	fsfd   program.Reg // file system context whose log belongs to a failure, or -1
	root   program.Reg // the container's root directory
	proc   program.Reg // a procfs that the program mounted itself; Scratch when none
	// hostProc is the host's /proc, opened before the program went anywhere else;
	// Scratch when it is not needed.
	hostProc program.Reg

	reply, failure program.Ref
	stat           program.Ref // for the answers of statx(2) and fstatfs(2)
	cold           []func()

	// inherited closes what the caller left open, from the first number that is no
	// control descriptor.
	inherited *program.Step
	// waitsAt is where the program waits for its start: a StartSocket or a Release.
	waitsAt   program.Arg
	hookFiles hookFiles
	filter    *seccomp.Filter
	// early has the filter loaded before the program waits, or enters the container's
	// pid namespace; filtered is true for what comes after it, and behind are the
	// instructions of that.
	early, filtered bool
	behind          []part
	// filterData is where the filter lies, once it is needed.
	filterData *program.Ref
	made       made
	// ahead are copies of bind mounts' sources, by the entry of mounts.
	ahead map[int]program.Ref
	// unfinished are mounts that become read-only when everything is made below.
	unfinished []unfinished
	// further is true for a container that exists already.
	further bool
	// before are the mounts of a container that gets others.
	before []specs.Mount
	// attached are descriptors of the mounts that were added, to take them off again
	// when a later one fails; ownFiles is where they are found.
	attached []program.Ref
	ownFiles ownFiles
	// gone is where the program ends without its parent, once it is needed.
	gone *program.Label
	// limitNow is room for a struct rlimit.
	limitNow *program.Ref
	// late sets the capabilities after the filter is loaded, if it is not nil.
	late func()
	// executable holds the path of the program to execute once it is located.
	executable program.Reg
	located    bool
	// profile and label are the opened files of labels.
	profile, label program.Reg
	// master is the terminal of a further process, until the parent has it.
	master program.Reg
	// spare are the places of those that stay open until the last execve.
	spare []program.Arg
	// standing is the number of control descriptors that stay open as long.
	standing int
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

// end puts the code behind the program that is rarely reached.
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
	return &c.plan, nil
}

// firstFile is the number of the first control descriptor.
func (c *compiler) firstFile() int { return 3 + c.opt.PreserveFDs }

// file adds a control descriptor and returns its number as an argument.
func (c *compiler) file(f File) program.Arg {
	c.plan.Files = append(c.plan.Files, f)
	return program.Imm(c.firstFile() + len(c.plan.Files) - 1)
}

// index names an entry of a list in config.json.
func index(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }

// warn notes something that is ignored.
func (c *compiler) warn(format string, args ...any) {
	c.plan.Warnings = append(c.plan.Warnings, fmt.Sprintf(format, args...))
}

// later emits code that is rarely reached behind the main line, which then
// reads from top to bottom. The code keeps the source and purpose of now, and what is mounted.
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
	c.unblockSignals()
	c.openHostProc()
	c.setUp()
}

// begin protects the program, closes what is not its own and opens the conversation.
func (c *compiler) begin() {
	c.conv, c.status, c.fsfd, c.root = c.Reg(), c.Reg(), c.Reg(), c.Reg()
	c.reply = c.Buffer("reply", 8)
	c.failure = c.Buffer("failure", FailureSize)
	c.stat = c.Buffer("statx", 256)
	c.undumpable()
	if !defence.Off(defence.InheritedFiles) {
		c.Source("", "close what the caller of rt left open")
		closing := c.closeFrom(0, 0) // the first number is known in the end
		c.inherited = &closing
	}
	c.Source("", "close what does not belong to the container on execve")
	c.closeFrom(c.firstFile(), unix.CLOSE_RANGE_CLOEXEC)
	c.Move(c.conv, c.file(File{Kind: Conversation}))
	c.Move(c.status, program.R(c.conv))
}

// setUp is what all that follows relies on.
func (c *compiler) setUp() {
	c.Move(c.fsfd, program.Imm(-1))
	c.Do(program.Umask, program.Imm(0)).For("create files with the modes that are asked for")
}

// undumpable keeps other processes from tracing the program, whatever they share
// with it (CVE-2016-9962).
func (c *compiler) undumpable() {
	if defence.Off(defence.Dumpable) {
		return
	}
	c.Source("", "protect the program from the container's processes")
	c.Do(program.Prctl, program.Imm(unix.PR_SET_DUMPABLE), program.Imm(0), program.Imm(0), program.Imm(0), program.Imm(0))
}

// closeFrom closes the descriptors from one number on, or does with them what the
// flags of close_range(2) say.
func (c *compiler) closeFrom(first, flags int) program.Step {
	return c.Do(program.CloseRange, program.Imm(first), program.Imm(uint32(1<<32-1)), program.Imm(flags))
}

// standingFiles gives the first numbers to the control descriptors that stay open
// until the user's program is executed, so that all behind them can be closed.
func (c *compiler) standingFiles() {
	if c.opt.Gate {
		c.waitsAt = c.file(File{Kind: StartSocket})
	} else {
		c.waitsAt = c.file(File{Kind: Release})
	}
	if h := c.hooks(); len(h.CreateContainer)+len(h.StartContainer) > 0 && !c.further {
		c.hookFiles = hookFiles{c.file(File{Kind: HookState}), c.file(File{Kind: HookOutput}), c.file(File{Kind: HookErrors})}
	}
	if p := c.spec.Process; p != nil && !c.further {
		for _, label := range []string{p.ApparmorProfile, p.SelinuxLabel} {
			if label != "" {
				c.spare = append(c.spare, c.file(File{Kind: Spare}))
			}
		}
	}
	c.standing = len(c.plan.Files)
}

// closeOwn closes the program's descriptors before anything of the image decides
// what is entered or executed: the working directory, a hook, the interpreter of a
// script could be a path through /proc/self/fd (CVE-2024-21626).
func (c *compiler) closeOwn() {
	if defence.Off(defence.OwnFiles) || defence.Off(defence.InheritedFiles) {
		return
	}
	c.Source("", "close what only the setup needed")
	c.closeFrom(c.firstFile()+c.standing, 0)
	for _, fd := range c.opt.Gaps {
		c.Do(program.Close, program.Imm(fd)).For("leave a gap among the preserved descriptors")
	}
}

// doneWith closes a descriptor as soon as it has served.
func (c *compiler) doneWith(fd program.Arg) {
	if !defence.Off(defence.OwnFiles) {
		c.Do(program.Close, fd)
	}
}

// stand moves a descriptor to a place that closeOwn spares.
func (c *compiler) stand(fd program.Reg) {
	place := c.spare[0]
	c.spare = c.spare[1:]
	c.Do(program.Dup3, program.R(fd), place, program.Imm(unix.O_CLOEXEC))
	c.Do(program.Close, program.R(fd))
	c.Move(fd, place)
}

// request sends a request and waits until the parent has served it. The reply
// is left in the register that is returned; free it.
func (c *compiler) request(code uint64, what string) program.Reg {
	msg := c.Struct(what, program.U64(code), program.U64(0))
	return c.ask(program.At(msg), what)
}

// fetch asks for a descriptor, which the answer brings: SCM_RIGHTS, unix(7).
func (c *compiler) fetch(dst program.Reg, code, arg uint64, what string) {
	c.plan.Asks = true
	c.tell(program.At(c.Struct(what, program.U64(code), program.U64(arg))), what)
	c.takeFile(dst)
}

// exchangeFile sends a request with a descriptor and gets another one for it.
func (c *compiler) exchangeFile(dst, fd program.Reg, code, arg uint64, purpose string) {
	c.sendOnly(fd, code, arg, purpose)
	c.takeFile(dst)
}

// takeFile waits for an answer that brings a descriptor.
func (c *compiler) takeFile(dst program.Reg) {
	n := c.Reg()
	message := c.message(c.reply, 8, 1)
	c.Do(program.Recvmsg, program.R(c.conv), program.At(message.header), program.Imm(unix.MSG_CMSG_CLOEXEC)).To(n).For("take the descriptor")
	c.orphaned(n)
	c.Load(dst, 4, message.files)
	c.Free(n)
}

// message is a struct msghdr with room for descriptors.
type message struct {
	header, files program.Ref
	// controlSize is what msg_controllen has to be.
	controlSize int
}

// message makes one for data of the program's. It serves once: recvmsg(2) changes
// it. Without a descriptor its place holds -1.
func (c *compiler) message(data program.Ref, size uint64, files int) message {
	const (
		header = 16 // CMSG_LEN(0)
		none   = ^uint32(0)
	)
	fields := []program.Field{program.U64(uint64(header + 4*files)), program.U32(unix.SOL_SOCKET), program.U32(unix.SCM_RIGHTS)}
	for range (files + 1) / 2 * 2 { // CMSG_SPACE is a multiple of 8
		fields = append(fields, program.U32(none))
	}
	control := c.WritableStruct("control message", fields...)
	iov := c.Struct("iovec", program.Ptr(data), program.U64(size))
	return message{
		c.WritableStruct("msghdr", program.U64(0), program.U64(0), program.Ptr(iov), program.U64(1), program.Ptr(control),
			program.U64(uint64(header+(files+1)/2*8)), program.U64(0)),
		control.Plus(header),
		header + (files+1)/2*8,
	}
}

func (c *compiler) ask(msg program.Arg, what string) program.Reg {
	c.plan.Asks = true
	r := c.Reg()
	c.tell(msg, what)
	c.await(r)
	return r
}

func (c *compiler) tell(msg program.Arg, what string) {
	c.Do(program.Write, program.R(c.conv), msg, program.Imm(RequestSize)).For("tell the parent: " + what)
}

// sendFile sends a request together with a descriptor, by SCM_RIGHTS (unix(7)),
// and waits until the parent has served it.
func (c *compiler) sendFile(fd program.Reg, code, arg uint64, purpose string) {
	c.sendOnly(fd, code, arg, purpose)
	r := c.Reg()
	c.await(r)
	c.Free(r)
}

func (c *compiler) sendOnly(fd program.Reg, code, arg uint64, purpose string) {
	m := c.message(c.Struct("request", program.U64(code), program.U64(arg)), RequestSize, 1)
	c.Store(fd, 4, m.files)
	c.Do(program.Sendmsg, program.R(c.conv), program.At(m.header), program.Imm(0)).For(purpose)
	c.plan.Asks = c.plan.Asks || code != RequestPath
}

// await reads the parent's one byte.
func (c *compiler) await(r program.Reg) {
	c.awaitByte(r, program.R(c.conv), "wait for the parent's answer")
}

// awaitByte reads a byte of the parent's. No byte: the parent is gone, and so must
// the container be.
func (c *compiler) awaitByte(r program.Reg, from program.Arg, purpose string) {
	c.Do(program.Read, from, program.At(c.reply), program.Imm(8)).To(r).For(purpose)
	c.orphaned(r)
	c.Load(r, 1, c.reply)
}

// orphaned ends the program if the parent's answer has no bytes.
func (c *compiler) orphaned(size program.Reg) {
	if c.gone == nil {
		gone := c.NewLabel("parent is gone")
		c.gone = &gone
		c.later("", "the parent is gone", func() {
			c.Bind(gone)
			c.takeOffAdded()
			c.Do(program.ExitGroup, program.Imm(1))
		})
	}
	c.Branch(size, program.Eq, 0, *c.gone)
}

// ready tells the parent that the container is created and waits for start.
func (c *compiler) ready() {
	const what = "the container is ready"
	c.Source("", "the container is created")
	r := c.Reg()
	c.tell(program.At(c.Struct(what, program.U64(RequestReady), program.U64(0))), what)
	if c.opt.Gate {
		c.await(r)
	} else {
		// What the parent does, it does while the program works, and it may be done.
		c.awaitByte(r, c.waitsAt, "wait until the parent is done")
	}
	c.Free(r)
	c.plan.Ready = c.Len()
	if !c.opt.Gate {
		return
	}
	c.Do(program.Close, program.R(c.conv)).For("let the creator go")
	c.Source("", "wait for start")
	conn, n := c.Reg(), c.Reg()
	again := c.Here("accept")
	start := c.NewLabel("start")
	c.Do(program.Accept4, c.waitsAt, program.Imm(0), program.Imm(0), program.Imm(unix.SOCK_CLOEXEC)).To(conn)
	c.Do(program.Read, program.R(conn), program.At(c.reply), program.Imm(8)).To(n).Ignore()
	c.Branch(n, program.Eq, 1, start)
	c.Do(program.Close, program.R(conn)).For("somebody looked whether the container waits")
	c.Jump(again)
	c.Bind(start)
	c.Move(c.status, program.R(conn))
	c.Move(c.conv, program.R(conn)).For("go on in conversation with rt start")
	c.Free(n)
}

// failureHandler reports the failed call on the status descriptor. What fails
// in here is ignored: there is nobody left to tell.
func (c *compiler) failureHandler() {
	c.Source("", "report the failure")
	c.FailAt(c.Here("failure"))
	c.takeOffAdded()
	code := c.Reg()
	c.Move(code, program.Imm(RequestFailure))
	c.Store(code, 8, c.failure)
	c.Store(program.FailedAt, 8, c.failure.Plus(8))
	c.Store(program.FailedWith, 8, c.failure.Plus(16))
	c.Do(program.Read, program.R(c.fsfd), program.At(c.failure.Plus(24)), program.Imm(LogSize)).Ignore()
	c.Do(program.Write, program.R(c.status), program.At(c.failure), program.Imm(FailureSize)).Ignore()
	c.Do(program.ExitGroup, program.Imm(1))
}

// fail makes the program fail here with ENOENT and this purpose.
func (c *compiler) fail(purpose string) {
	c.Do(program.Openat, program.AtFdcwd, c.Str(""), program.Imm(unix.O_PATH), program.Imm(0)).For(purpose)
}
