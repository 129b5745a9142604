// Package spec reads and checks config.json (the OCI runtime specification's bundle
// configuration), makes the default one, and describes what rt supports. The compiler uses
// its tables, and `rt features` prints them.
package spec

import (
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Namespaces maps the specification's namespace types to clone(2) flags.
var Namespaces = []struct {
	Type specs.LinuxNamespaceType
	Flag uint64
	// Proc is the entry below /proc/PID/ns.
	Proc string
}{
	{specs.UserNamespace, unix.CLONE_NEWUSER, "user"},
	{specs.CgroupNamespace, unix.CLONE_NEWCGROUP, "cgroup"},
	{specs.IPCNamespace, unix.CLONE_NEWIPC, "ipc"},
	{specs.UTSNamespace, unix.CLONE_NEWUTS, "uts"},
	{specs.NetworkNamespace, unix.CLONE_NEWNET, "net"},
	{specs.PIDNamespace, unix.CLONE_NEWPID, "pid"},
	{specs.TimeNamespace, unix.CLONE_NEWTIME, "time"},
	{specs.MountNamespace, unix.CLONE_NEWNS, "mnt"},
}

// NamespaceFlag is the clone(2) flag of a namespace type, 0 when there is no
// such type.
func NamespaceFlag(t specs.LinuxNamespaceType) uint64 {
	for _, n := range Namespaces {
		if n.Type == t {
			return n.Flag
		}
	}
	return 0
}

// Capabilities are the names of capabilities(7), each at its number.
var Capabilities = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
	"CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN",
	"CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT",
	"CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
	"CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL",
	"CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
}

// Capability is the number of a capability, -1 when the name is unknown.
func Capability(name string) int {
	for i, n := range Capabilities {
		if n == name {
			return i
		}
	}
	return -1
}

// Table gives values to names. It is a list and not a map, because a map would
// have to be filled whenever a program starts.
type Table[T any] []Entry[T]

// Entry is one name with its value.
type Entry[T any] struct {
	Name  string
	Value T
}

// Find returns the value of a name.
func (t Table[T]) Find(name string) (value T, ok bool) {
	for i := range t {
		if t[i].Name == name {
			return t[i].Value, true
		}
	}
	return value, false
}

// Names lists the names, in the order of the table.
func (t Table[T]) Names() []string {
	names := make([]string, len(t))
	for i := range t {
		names[i] = t[i].Name
	}
	return names
}

// Rlimits gives the names of getrlimit(2) their numbers.
var Rlimits = Table[int]{
	{"RLIMIT_AS", unix.RLIMIT_AS}, {"RLIMIT_CORE", unix.RLIMIT_CORE}, {"RLIMIT_CPU", unix.RLIMIT_CPU},
	{"RLIMIT_DATA", unix.RLIMIT_DATA}, {"RLIMIT_FSIZE", unix.RLIMIT_FSIZE}, {"RLIMIT_LOCKS", unix.RLIMIT_LOCKS},
	{"RLIMIT_MEMLOCK", unix.RLIMIT_MEMLOCK}, {"RLIMIT_MSGQUEUE", unix.RLIMIT_MSGQUEUE}, {"RLIMIT_NICE", unix.RLIMIT_NICE},
	{"RLIMIT_NOFILE", unix.RLIMIT_NOFILE}, {"RLIMIT_NPROC", unix.RLIMIT_NPROC}, {"RLIMIT_RSS", unix.RLIMIT_RSS},
	{"RLIMIT_RTPRIO", unix.RLIMIT_RTPRIO}, {"RLIMIT_RTTIME", unix.RLIMIT_RTTIME}, {"RLIMIT_SIGPENDING", unix.RLIMIT_SIGPENDING},
	{"RLIMIT_STACK", unix.RLIMIT_STACK},
}

// Propagations gives the mount propagation options their flags, without MS_REC: options
// with the prefix "r" work on the whole tree.
var Propagations = Table[uint64]{
	{"private", unix.MS_PRIVATE}, {"rprivate", unix.MS_PRIVATE},
	{"slave", unix.MS_SLAVE}, {"rslave", unix.MS_SLAVE},
	{"shared", unix.MS_SHARED}, {"rshared", unix.MS_SHARED},
	{"unbindable", unix.MS_UNBINDABLE}, {"runbindable", unix.MS_UNBINDABLE},
}

// MountOption is the effect of an option of mounts[].options on the attributes of a mount
// (mount_setattr(2)).
type MountOption struct {
	Set, Clear uint64
	// Recursive options work on the whole tree of a bind mount.
	Recursive bool
}

// MountOptions are the options that set or clear attributes. Each has a
// recursive form with an "r" before its name.
var MountOptions = Table[MountOption]{
	{"ro", MountOption{Set: unix.MOUNT_ATTR_RDONLY}},
	{"rw", MountOption{Clear: unix.MOUNT_ATTR_RDONLY}},
	{"nosuid", MountOption{Set: unix.MOUNT_ATTR_NOSUID}},
	{"suid", MountOption{Clear: unix.MOUNT_ATTR_NOSUID}},
	{"nodev", MountOption{Set: unix.MOUNT_ATTR_NODEV}},
	{"dev", MountOption{Clear: unix.MOUNT_ATTR_NODEV}},
	{"noexec", MountOption{Set: unix.MOUNT_ATTR_NOEXEC}},
	{"exec", MountOption{Clear: unix.MOUNT_ATTR_NOEXEC}},
	{"noatime", MountOption{Set: unix.MOUNT_ATTR_NOATIME, Clear: unix.MOUNT_ATTR__ATIME}},
	{"atime", MountOption{Set: unix.MOUNT_ATTR_RELATIME, Clear: unix.MOUNT_ATTR__ATIME}},
	{"relatime", MountOption{Set: unix.MOUNT_ATTR_RELATIME, Clear: unix.MOUNT_ATTR__ATIME}},
	{"norelatime", MountOption{Clear: unix.MOUNT_ATTR__ATIME}},
	{"strictatime", MountOption{Set: unix.MOUNT_ATTR_STRICTATIME, Clear: unix.MOUNT_ATTR__ATIME}},
	{"nostrictatime", MountOption{Clear: unix.MOUNT_ATTR__ATIME}},
	{"nodiratime", MountOption{Set: unix.MOUNT_ATTR_NODIRATIME}},
	{"diratime", MountOption{Clear: unix.MOUNT_ATTR_NODIRATIME}},
	{"nosymfollow", MountOption{Set: unix.MOUNT_ATTR_NOSYMFOLLOW}},
	{"symfollow", MountOption{Clear: unix.MOUNT_ATTR_NOSYMFOLLOW}},
}

// UserOptions say in fstab(5) who else may mount. mount(8) then adds restrictions, and
// config.md, "Linux mount options", requires the same of a runtime.
var UserOptions = Table[MountOption]{
	{"user", MountOption{Set: unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC}},
	{"users", MountOption{Set: unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC}},
	{"group", MountOption{Set: unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV}},
	{"owner", MountOption{Set: unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV}},
}

// FindMountOption looks up an option of MountOptions, also in its recursive form, or of
// UserOptions.
func FindMountOption(name string) (MountOption, bool) {
	if o, ok := MountOptions.Find(name); ok {
		return o, true
	}
	if o, ok := UserOptions.Find(name); ok {
		return o, true
	}
	plain, recursive := strings.CutPrefix(name, "r")
	o, ok := MountOptions.Find(plain)
	o.Recursive = true
	return o, ok && recursive
}

// SuperblockFlags are the options that belong to the file system rather than
// to one mount of it; fsconfig(2) takes them as flags.
var SuperblockFlags = []string{"sync", "dirsync", "mand", "lazytime", "iversion", "acl", "noacl"}

// CgroupOptions are the options of cgroup v2 (cgroup-v2.rst, "Mounting"). They are those of
// the whole hierarchy, and only the host's cgroup namespace can set them. An engine that gives
// a container the host's cgroups says them again: otherwise another runtime would clear them.
var CgroupOptions = []string{"nsdelegate", "favordynmods", "memory_localevents", "memory_recursiveprot", "memory_hugetlb_accounting", "pids_localevents"}

// IgnoredOptions have no effect here: they are the default anyway, they are for mount(8)
// and other readers of fstab(5), or they decide about the kind of the mount.
var IgnoredOptions = []string{
	"defaults", "async", "loud", "silent", "nomand", "nolazytime", "noiversion", "nofail", "remount", "rbind", "bind",
	"auto", "noauto", "nouser", "_netdev",
}

// IsIgnoredOption tells whether an option is one of IgnoredOptions, or a comment: mount(8).
func IsIgnoredOption(name string) bool {
	return slices.Contains(IgnoredOptions, name) ||
		strings.HasPrefix(name, "x-") || strings.HasPrefix(name, "X-") || strings.HasPrefix(name, "comment=")
}

// EngineOption says what rt does with a bind mount option that an engine should have
// handled itself.
type EngineOption struct {
	// Refused options would expose more than intended if rt left them out.
	Refused bool
	// Reason is the text of the message; "" for an option without effect.
	Reason string
}

// EngineOptions are the options that engines and their users are known to leave in bind
// mounts. rt refuses any other unknown option.
var EngineOptions = Table[EngineOption]{
	// Docker's and Podman's, without effect on Linux.
	{"cached", EngineOption{}}, {"delegated", EngineOption{}}, {"consistent", EngineOption{}},
	// Podman's: whether a new volume starts with the image's content at that place.
	{"copy", EngineOption{}}, {"nocopy", EngineOption{}},
	{"z", EngineOption{Reason: "is ignored: rt does not relabel the source for SELinux, engines do"}},
	{"Z", EngineOption{Reason: "is ignored: rt does not relabel the source for SELinux, engines do"}},
	{"U", EngineOption{Reason: "is ignored: rt does not change the owner of the source, engines do"}},
	{"O", EngineOption{true, "asks an engine for an overlay, so that the source is not written to, and rt makes none; mount one of type overlay, or remove the option"}},
	{"no-dereference", EngineOption{true, `is Podman's own, which it hands on as "copy-symlink": write that`}},
}

// tmpfsOptions are those that the OCI's own test suite sets on bind mounts.
var tmpfsOptions = []string{"mode", "size"}

// CarelessFileSystems silently accept unknown options; these are the options that they
// know.
var CarelessFileSystems = Table[[]string]{
	{"bpf", []string{"uid", "gid", "mode", "delegate_cmds", "delegate_maps", "delegate_progs", "delegate_attachs"}},
	{"debugfs", []string{"uid", "gid", "mode"}},
	{"pstore", []string{"kmsg_bytes"}},
	{"ramfs", []string{"mode"}},
}

// Options for rt itself, which mount_setattr(2) and fsconfig(2) do not have: config.md,
// "Linux mount options".
const (
	// OptionTmpcopyup copies the content of the mount point to a tmpfs.
	OptionTmpcopyup = "tmpcopyup"
	// OptionIdmap maps the owners of the files of a mount.
	OptionIdmap = "idmap"
	// OptionRidmap does so for the whole tree.
	OptionRidmap = "ridmap"
	// OptionCopySymlink makes a symlink at the destination with the target of the source,
	// if the source is a symlink; otherwise it has no effect.
	OptionCopySymlink = "copy-symlink"
	// OptionSrcNofollow binds a source that is a symlink itself, not its target.
	OptionSrcNofollow = "src-nofollow"
	// OptionDestNofollow mounts over a destination that is a symlink.
	OptionDestNofollow = "dest-nofollow"
)

// SpecialOptions are all of those.
var SpecialOptions = []string{
	OptionTmpcopyup, OptionIdmap, OptionRidmap, OptionCopySymlink, OptionSrcNofollow, OptionDestNofollow,
}
