package compile

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
)

// Host is what the compiler needs to know about the machine.
type Host struct {
	// LastCap is the highest capability that the kernel knows.
	LastCap int
	// Capabilities is the mask of rt's own capabilities.
	Capabilities uint64
	// Privileged is true if rt may mount and make devices: root with CAP_SYS_ADMIN in the
	// initial user namespace.
	Privileged bool
	// Cgroup is the container's place in the cgroup file systems.
	Cgroup Cgroup
	// Home is the home directory of process.user in the image's /etc/passwd, for a
	// process.env without HOME.
	Home string
	// OwnStdio says which of the standard descriptors the container's user gets, so that
	// it can reopen /dev/stdout and the like.
	OwnStdio [3]bool
}

// Cgroup describes the cgroup file systems for a container's cgroup mount.
type Cgroup struct {
	// Unified is the path of the container's directory in cgroup v2; empty
	// when the machine mounts v1 hierarchies.
	Unified string
	// V2 is where the host has mounted cgroup v2, alone or beside v1. It is empty if the
	// host has not.
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

// Options are what the caller of create or run asks for, besides the configuration.
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
	// Gaps are the numbers of those that are not open; any file is in their place.
	Gaps []int
	// Gate makes the program wait for `rt start`; without it the user's program is
	// executed as soon as everything is ready.
	Gate bool
	// HostMounts are the mount points of the host's proc and sysfs outside Rootfs: NoPivot
	// leaves them below the container.
	HostMounts []string
	// MoveCgroup is true if the program is moved to its cgroup after its birth, so that it
	// has to make its cgroup namespace itself, afterwards.
	MoveCgroup bool
	// Hold lets the program itself be the container's process: compileHold.
	Hold bool
	// Timeline lets the program write the times of its steps to a file of the parent.
	Timeline bool
}

// FileKind is the kind of one of the program's control descriptors.
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
	// Release is the reading end of a pipe. A byte in it lets the program execute the
	// user's: the parent writes it as soon as it has nothing left to do.
	Release
	// Timeline is a file of TimelineSize bytes for the times of the program's steps:
	// program.Timed.
	Timeline
	// Spare is any file. The program puts one of its own descriptors in its place.
	Spare
)

// File is a control descriptor. The program finds them right after the preserved ones, in
// order.
type File struct {
	Kind FileKind
	// Path is what to open for a Namespace.
	Path string
	// Namespace is the type that a Namespace must have.
	Namespace specs.LinuxNamespaceType
	// Source is the field of config.json that asked for it.
	Source string
}

// Source is a path of the host that the program mounts with its parent's help: the parent
// opens a path that the program cannot reach, or maps the ids.
type Source struct {
	// Path is absolute; it is walked from the program's root directory.
	Path string
	// Recursive includes the mounts below.
	Recursive bool
	// NoFollow means a symlink itself, not its target.
	NoFollow bool
	// Device is the node that it must be. If the host has none there, the parent makes it
	// elsewhere; the answer says so: SourceMade.
	Device *specs.LinuxDevice
	// IDMap maps the ids of the tree, if it is not nil.
	IDMap *IDMap
	// Field is what asked for it.
	Field string
}

// IDMap is the id mapping of a mount: mount_setattr(2), MOUNT_ATTR_IDMAP.
type IDMap struct {
	UIDs, GIDs []specs.LinuxIDMapping
	// Namespace is the file of a user namespace whose mapping is used instead.
	Namespace string
	// Recursive maps the mounts below, too.
	Recursive bool
}

// PathKind is what a Path should be.
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
	// Asks is true if the program has requests, besides one for a missing path, before it
	// is ready.
	Asks bool
	// ParentSets is true if the parent sets process.rlimits, scheduler and ioPriority,
	// because nobody may raise them in a user namespace.
	ParentSets bool
	// Births is how often the program continues in a child; the container's process exists
	// only after the last time. RequestChild announces each.
	Births int
	// KeepCapabilities asks the launcher to carry the capabilities through
	// the program's own execve (the first process of a user namespace has no
	// mapped user id yet).
	KeepCapabilities bool
	// Rare is the first of the instructions at the end that run only if something is
	// missing or fails.
	Rare int
	// Ready is the first instruction that runs after the container is created.
	Ready int
	// Warnings are about values that rt ignores, as the specification allows.
	Warnings []string
}
