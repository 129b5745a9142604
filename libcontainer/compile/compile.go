// Package compile translates a configuration into the program that sets the
// container up. It is pure: it looks at nothing but its arguments, so a plan
// can be read, compared and simulated anywhere.
package compile

import (
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/program"
	"github.com/rtcontainers/rt/libcontainer/seccomp"
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
	// V1 are the mounted v1 hierarchies.
	V1 []Hierarchy
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
	// NoNewKeyring leaves the caller's session keyring.
	NoNewKeyring bool
	// PreserveFDs is the number of descriptors after 2 that are passed on.
	PreserveFDs int
	// Gate makes the program wait for `rt start`; without it the user's
	// program is executed as soon as everything is ready.
	Gate bool
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
	// Tree is a detached copy of a mount tree (open_tree(2)).
	Tree
	// ContainerProcess is a pidfd of a container's first process.
	ContainerProcess
	// ContainerRoot is the root directory of that process.
	ContainerRoot
	// HookState is a file with the container's state for hooks in the container.
	HookState
	// HookOutput is a file for what those hooks print.
	HookOutput
	// Release is the end to read of a pipe. A byte in it lets the program execute
	// the user's: the parent writes it as soon as nothing is left for it to do.
	Release
)

// File is a control descriptor. The program finds them right after the
// preserved ones, in order.
type File struct {
	Kind FileKind
	// Path is what to open for a Namespace or a Tree.
	Path string
	// Recursive asks for the whole Tree.
	Recursive bool
	// IDMap maps the ids of a Tree, if it is not nil.
	IDMap *IDMap
	// Namespace is the type that a Namespace must have.
	Namespace specs.LinuxNamespaceType
	// Source is the field of config.json that asked for it.
	Source string
}

// IDMap is the id mapping of a mount: mount_setattr(2), MOUNT_ATTR_IDMAP.
type IDMap struct {
	UIDs, GIDs []specs.LinuxIDMapping
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
	// KeepCapabilities asks the launcher to carry the capabilities through
	// the program's own execve (the first process of a user namespace has no
	// mapped user id yet).
	KeepCapabilities bool
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

	reply, failure program.Ref
	stat           program.Ref // for the answers of statx(2)
	cold           []func()

	hookFiles hookFiles
	filter    *seccomp.Filter
	// asks is true when the program asks its parent for something, beside a path
	// that is missing, before it is ready.
	asks bool
	// late sets the capabilities after the filter is loaded, if it is not nil.
	late func()
	// executable holds the path of the program to execute once it is located.
	executable program.Reg
	located    bool
	// profile and label are the opened files of labels.
	profile, label program.Reg
}

// Compile makes the plan for a new container.
func Compile(s *specs.Spec, host Host, opt Options) (*Plan, error) {
	c := &compiler{Builder: program.NewBuilder(), spec: s, host: host, opt: opt}
	if err := c.seccompFilter(); err != nil {
		return nil, err
	}
	c.prologue()
	c.session()
	c.namespaces()
	c.labelKeys(func(fd program.Reg) {
		// The program still stands in the host's mounts here.
		c.Do(program.Openat, program.AtFdcwd, c.Str("/proc/self/"+keyLabel), program.Imm(unix.O_WRONLY|unix.O_CLOEXEC), program.Imm(0)).To(fd)
	})
	c.keyring()
	c.rootfs()
	c.credentials()
	if opt.Gate {
		c.locate()
	}
	c.ready()
	c.containerHooks("hooks.startContainer", StartContainer, c.hooks().StartContainer)
	return c.finish()
}

// finish ends the program by becoming the user's, and puts the code behind that
// is rarely reached.
func (c *compiler) finish() (*Plan, error) {
	c.execute()
	for i := 0; i < len(c.cold); i++ {
		c.cold[i]()
	}
	c.failureHandler()
	p, err := c.Build()
	if err != nil {
		return nil, err
	}
	c.plan.Program = p
	return &c.plan, nil
}

// file adds a control descriptor and returns its number as an argument.
func (c *compiler) file(f File) program.Arg {
	c.plan.Files = append(c.plan.Files, f)
	return program.Imm(3 + c.opt.PreserveFDs + len(c.plan.Files) - 1)
}

// index names an entry of a list in config.json.
func index(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }

// warn notes something that is ignored.
func (c *compiler) warn(format string, args ...any) {
	c.plan.Warnings = append(c.plan.Warnings, fmt.Sprintf(format, args...))
}

// later emits code that is rarely reached behind the main line, which then
// reads from top to bottom. The code keeps the source and purpose of now.
func (c *compiler) later(source, purpose string, emit func()) {
	regs := c.Regs()
	c.cold = append(c.cold, func() {
		c.SetRegs(regs)
		c.Source(source, purpose)
		emit()
	})
}

func (c *compiler) note() (source, purpose string) {
	n := c.CurrentNote()
	return n.Source, n.Purpose
}

func (c *compiler) prologue() {
	c.conv, c.status, c.fsfd, c.root = c.Reg(), c.Reg(), c.Reg(), c.Reg()
	c.reply = c.Buffer("reply", 8)
	c.failure = c.Buffer("failure", FailureSize)
	c.stat = c.Buffer("statx", 256)
	c.Source("", "protect the program from the container's processes")
	c.Do(program.Prctl, program.Imm(unix.PR_SET_DUMPABLE), program.Imm(0), program.Imm(0), program.Imm(0), program.Imm(0))
	c.Source("", "close what does not belong to the container on execve")
	c.Do(program.CloseRange, program.Imm(3+c.opt.PreserveFDs), program.Imm(uint32(1<<32-1)), program.Imm(unix.CLOSE_RANGE_CLOEXEC))
	c.Move(c.conv, c.file(File{Kind: Conversation}))
	c.Move(c.status, program.R(c.conv))
	c.Move(c.fsfd, program.Imm(-1))
	c.Do(program.Umask, program.Imm(0)).For("create files with the modes that are asked for")
}

// request sends a request and waits until the parent has served it. The reply
// is left in the register that is returned; free it.
func (c *compiler) request(code uint64, what string) program.Reg {
	msg := c.Struct(what, program.U64(code), program.U64(0))
	return c.ask(program.At(msg), what)
}

func (c *compiler) ask(msg program.Arg, what string) program.Reg {
	c.asks = true
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
	msg := c.Struct("request", program.U64(code), program.U64(arg))
	iov := c.Struct("iovec", program.Ptr(msg), program.U64(RequestSize))
	const cmsgLen = 20 // CMSG_LEN(4): a header of 16 bytes and one descriptor
	control := c.WritableStruct("control message", program.U64(cmsgLen), program.U32(unix.SOL_SOCKET), program.U32(unix.SCM_RIGHTS), program.U64(0))
	hdr := c.Struct("msghdr", program.U64(0), program.U64(0), program.Ptr(iov), program.U64(1), program.Ptr(control), program.U64(24), program.U64(0))
	c.Store(fd, 4, control.Plus(16))
	c.Do(program.Sendmsg, program.R(c.conv), program.At(hdr), program.Imm(0)).For(purpose)
	c.asks = c.asks || code != RequestPath
	r := c.Reg()
	c.await(r)
	c.Free(r)
}

// await reads the parent's one byte.
func (c *compiler) await(r program.Reg) {
	c.awaitByte(r, program.R(c.conv), "wait for the parent's answer")
}

// awaitByte reads a byte of the parent's. No byte: the parent is gone, and so must
// the container be.
func (c *compiler) awaitByte(r program.Reg, from program.Arg, purpose string) {
	c.Do(program.Read, from, program.At(c.reply), program.Imm(8)).To(r).For(purpose)
	gone := c.NewLabel("parent is gone")
	c.Branch(r, program.Eq, 0, gone)
	c.later("", "the parent is gone", func() {
		c.Bind(gone)
		c.Do(program.ExitGroup, program.Imm(1))
	})
	c.Load(r, 1, c.reply)
}

// ready tells the parent that the container is created and waits for start.
func (c *compiler) ready() {
	const what = "the container is ready"
	c.Source("", "the container is created")
	if c.opt.Gate || c.asks {
		c.Free(c.request(RequestReady, what))
	} else {
		// What the parent does, it does while the program works, and it may be done.
		r := c.Reg()
		c.tell(program.At(c.Struct(what, program.U64(RequestReady), program.U64(0))), what)
		c.awaitByte(r, c.file(File{Kind: Release}), "wait until the parent is done")
		c.Free(r)
	}
	c.plan.Ready = c.Len()
	if !c.opt.Gate {
		return
	}
	c.Do(program.Close, program.R(c.conv)).For("let the creator go")
	c.Source("", "wait for start")
	conn, n := c.Reg(), c.Reg()
	listener := c.file(File{Kind: StartSocket})
	again := c.Here("accept")
	start := c.NewLabel("start")
	c.Do(program.Accept4, listener, program.Imm(0), program.Imm(0), program.Imm(unix.SOCK_CLOEXEC)).To(conn)
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
