package program

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// argFormat shows one argument of a call. Only listings for people use it.
type argFormat func(p *Program, a Arg) string

func num(p *Program, a Arg) string { return strconv.FormatInt(int64(a.Value), 10) }
func hex(p *Program, a Arg) string { return fmt.Sprintf("%#x", a.Value) }
func oct(p *Program, a Arg) string { return fmt.Sprintf("%#o", a.Value) }
func ptr(p *Program, a Arg) string { return strconv.FormatUint(a.Value, 10) }

func str(p *Program, a Arg) string {
	if a.Value == 0 {
		return "NULL"
	}
	return hex(p, a)
}

func fd(p *Program, a Arg) string {
	if a == AtFdcwd {
		return "AT_FDCWD"
	}
	return num(p, a)
}

func device(p *Program, a Arg) string {
	return fmt.Sprintf("%d:%d", unix.Major(a.Value), unix.Minor(a.Value))
}

// named gives a number the kernel's name for it.
type named struct {
	value uint64
	name  string
}

func flags(table []named) argFormat {
	return func(p *Program, a Arg) string { return flagNames(table, a.Value) }
}

func flagNames(table []named, v uint64) string {
	var names []string
	for _, f := range table {
		if f.value != 0 && v&f.value == f.value {
			names = append(names, f.name)
			v &^= f.value
		}
	}
	if v != 0 {
		names = append(names, fmt.Sprintf("%#x", v))
	}
	if len(names) == 0 {
		return "0"
	}
	return strings.Join(names, "|")
}

// CloneFlagNames shows flags of clone(2) by name.
func CloneFlagNames(v uint64) string {
	if v == 0 {
		return "no new namespaces"
	}
	return flagNames(cloneFlags, v)
}

func enum(table []named) argFormat {
	return func(p *Program, a Arg) string {
		for _, f := range table {
			if f.value == a.Value {
				return f.name
			}
		}
		return num(p, a)
	}
}

// structure shows the constant structure that an address points to.
func structure(text func(b []byte) string) argFormat {
	return func(p *Program, a Arg) string {
		if a.Kind != Address {
			return ptr(p, a)
		}
		return text(p.Items[a.Ref().Item].Bytes[a.Value:])
	}
}

func word(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) }

func openHowText(b []byte) string {
	s := "{" + flagNames(openFlags, word(b, 0))
	if mode := word(b, 1); mode != 0 {
		s += fmt.Sprintf(", %#o", mode)
	}
	return s + ", " + flagNames(resolveFlags, word(b, 2)) + "}"
}

func mountAttrText(b []byte) string {
	var parts []string
	for i, name := range []string{"set", "clear"} {
		if v := word(b, i); v != 0 {
			parts = append(parts, name+" "+flagNames(mountAttrs, v))
		}
	}
	if v := word(b, 2); v != 0 {
		parts = append(parts, "propagation "+flagNames(propagations, v))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func cloneArgsText(b []byte) string {
	return fmt.Sprintf("{%s, cgroup %d}", flagNames(cloneFlags, word(b, 0)), word(b, 10))
}

func rlimitText(b []byte) string {
	limit := func(v uint64) string {
		if v == unix.RLIM_INFINITY {
			return "infinity"
		}
		return strconv.FormatUint(v, 10)
	}
	return "{" + limit(word(b, 0)) + ", " + limit(word(b, 1)) + "}"
}

var (
	openFlags = []named{
		{unix.O_TMPFILE, "O_TMPFILE"}, {unix.O_PATH, "O_PATH"}, {unix.O_WRONLY, "O_WRONLY"}, {unix.O_RDWR, "O_RDWR"},
		{unix.O_CREAT, "O_CREAT"}, {unix.O_EXCL, "O_EXCL"}, {unix.O_NOCTTY, "O_NOCTTY"}, {unix.O_DIRECTORY, "O_DIRECTORY"},
		{unix.O_NOFOLLOW, "O_NOFOLLOW"}, {unix.O_CLOEXEC, "O_CLOEXEC"}, {unix.O_NONBLOCK, "O_NONBLOCK"},
	}
	resolveFlags = []named{
		{unix.RESOLVE_IN_ROOT, "RESOLVE_IN_ROOT"}, {unix.RESOLVE_NO_MAGICLINKS, "RESOLVE_NO_MAGICLINKS"},
		{unix.RESOLVE_NO_SYMLINKS, "RESOLVE_NO_SYMLINKS"}, {unix.RESOLVE_BENEATH, "RESOLVE_BENEATH"}, {unix.RESOLVE_NO_XDEV, "RESOLVE_NO_XDEV"},
	}
	cloneFlags = []named{
		{unix.CLONE_NEWUSER, "CLONE_NEWUSER"}, {unix.CLONE_NEWNS, "CLONE_NEWNS"}, {unix.CLONE_NEWPID, "CLONE_NEWPID"},
		{unix.CLONE_NEWNET, "CLONE_NEWNET"}, {unix.CLONE_NEWIPC, "CLONE_NEWIPC"}, {unix.CLONE_NEWUTS, "CLONE_NEWUTS"},
		{unix.CLONE_NEWCGROUP, "CLONE_NEWCGROUP"}, {unix.CLONE_NEWTIME, "CLONE_NEWTIME"}, {unix.CLONE_PARENT, "CLONE_PARENT"}, {unix.CLONE_PIDFD, "CLONE_PIDFD"},
		{unix.CLONE_INTO_CGROUP, "CLONE_INTO_CGROUP"},
		{uint64(unix.SIGCHLD), "SIGCHLD"},
	}
	closeRangeFlags = []named{{unix.CLOSE_RANGE_CLOEXEC, "CLOSE_RANGE_CLOEXEC"}}
	sockFlags       = []named{
		{unix.SOCK_CLOEXEC, "SOCK_CLOEXEC"}, {unix.SOCK_SEQPACKET, "SOCK_SEQPACKET"}, {unix.SOCK_DGRAM, "SOCK_DGRAM"},
	}
	fsopenFlags      = []named{{unix.FSOPEN_CLOEXEC, "FSOPEN_CLOEXEC"}}
	fspickFlags      = []named{{unix.FSPICK_CLOEXEC, "FSPICK_CLOEXEC"}, {unix.FSPICK_EMPTY_PATH, "FSPICK_EMPTY_PATH"}}
	fsmountFlags     = []named{{unix.FSMOUNT_CLOEXEC, "FSMOUNT_CLOEXEC"}}
	fsconfigCommands = []named{
		{unix.FSCONFIG_SET_FLAG, "FSCONFIG_SET_FLAG"}, {unix.FSCONFIG_SET_STRING, "FSCONFIG_SET_STRING"},
		{unix.FSCONFIG_SET_FD, "FSCONFIG_SET_FD"}, {unix.FSCONFIG_CMD_CREATE, "FSCONFIG_CMD_CREATE"},
		{unix.FSCONFIG_CMD_RECONFIGURE, "FSCONFIG_CMD_RECONFIGURE"},
	}
	mountAttrs = []named{
		{unix.MOUNT_ATTR_RDONLY, "MOUNT_ATTR_RDONLY"}, {unix.MOUNT_ATTR_NOSUID, "MOUNT_ATTR_NOSUID"},
		{unix.MOUNT_ATTR_NODEV, "MOUNT_ATTR_NODEV"}, {unix.MOUNT_ATTR_NOEXEC, "MOUNT_ATTR_NOEXEC"},
		{unix.MOUNT_ATTR__ATIME, "MOUNT_ATTR__ATIME"},
		{unix.MOUNT_ATTR_NOATIME, "MOUNT_ATTR_NOATIME"}, {unix.MOUNT_ATTR_STRICTATIME, "MOUNT_ATTR_STRICTATIME"},
		{unix.MOUNT_ATTR_NODIRATIME, "MOUNT_ATTR_NODIRATIME"}, {unix.MOUNT_ATTR_NOSYMFOLLOW, "MOUNT_ATTR_NOSYMFOLLOW"},
		{unix.MOUNT_ATTR_IDMAP, "MOUNT_ATTR_IDMAP"},
	}
	propagations = []named{
		{unix.MS_PRIVATE, "MS_PRIVATE"}, {unix.MS_SLAVE, "MS_SLAVE"}, {unix.MS_SHARED, "MS_SHARED"}, {unix.MS_UNBINDABLE, "MS_UNBINDABLE"},
	}
	moveMountFlags = []named{
		{unix.MOVE_MOUNT_F_EMPTY_PATH, "MOVE_MOUNT_F_EMPTY_PATH"}, {unix.MOVE_MOUNT_T_SYMLINKS, "MOVE_MOUNT_T_SYMLINKS"}, {unix.MOVE_MOUNT_T_EMPTY_PATH, "MOVE_MOUNT_T_EMPTY_PATH"},
	}
	openTreeFlags = []named{
		{unix.OPEN_TREE_CLONE, "OPEN_TREE_CLONE"}, {unix.OPEN_TREE_CLOEXEC, "OPEN_TREE_CLOEXEC"},
		{unix.AT_RECURSIVE, "AT_RECURSIVE"}, {unix.AT_EMPTY_PATH, "AT_EMPTY_PATH"}, {unix.AT_SYMLINK_NOFOLLOW, "AT_SYMLINK_NOFOLLOW"},
	}
	atFlags = []named{
		{unix.AT_EMPTY_PATH, "AT_EMPTY_PATH"}, {unix.AT_RECURSIVE, "AT_RECURSIVE"}, {unix.AT_SYMLINK_NOFOLLOW, "AT_SYMLINK_NOFOLLOW"},
	}
	flockOperations = []named{{unix.LOCK_EX, "LOCK_EX"}}
	unlinkFlags     = []named{{unix.AT_REMOVEDIR, "AT_REMOVEDIR"}}
	accessModes     = []named{{unix.X_OK, "X_OK"}}
	accessFlags     = []named{{unix.AT_EACCESS, "AT_EACCESS"}}
	umountFlags     = []named{{unix.MNT_DETACH, "MNT_DETACH"}}
	keyctlCommands  = []named{
		{unix.KEYCTL_JOIN_SESSION_KEYRING, "KEYCTL_JOIN_SESSION_KEYRING"}, {unix.KEYCTL_SETPERM, "KEYCTL_SETPERM"},
	}
	ioctls = []named{
		{unix.SIOCSIFFLAGS, "SIOCSIFFLAGS"}, {unix.TIOCSCTTY, "TIOCSCTTY"}, {unix.TIOCSPTLCK, "TIOCSPTLCK"},
		{unix.TIOCGPTPEER, "TIOCGPTPEER"}, {unix.TIOCSWINSZ, "TIOCSWINSZ"},
	}
	prctls = []named{
		{unix.PR_SET_DUMPABLE, "PR_SET_DUMPABLE"}, {unix.PR_SET_KEEPCAPS, "PR_SET_KEEPCAPS"},
		{unix.PR_CAPBSET_DROP, "PR_CAPBSET_DROP"}, {unix.PR_CAP_AMBIENT, "PR_CAP_AMBIENT"},
		{unix.PR_SET_NO_NEW_PRIVS, "PR_SET_NO_NEW_PRIVS"}, {unix.PR_SET_NAME, "PR_SET_NAME"},
	}
	rlimits = []named{
		{unix.RLIMIT_AS, "RLIMIT_AS"}, {unix.RLIMIT_CORE, "RLIMIT_CORE"}, {unix.RLIMIT_CPU, "RLIMIT_CPU"},
		{unix.RLIMIT_DATA, "RLIMIT_DATA"}, {unix.RLIMIT_FSIZE, "RLIMIT_FSIZE"}, {unix.RLIMIT_LOCKS, "RLIMIT_LOCKS"},
		{unix.RLIMIT_MEMLOCK, "RLIMIT_MEMLOCK"}, {unix.RLIMIT_MSGQUEUE, "RLIMIT_MSGQUEUE"}, {unix.RLIMIT_NICE, "RLIMIT_NICE"},
		{unix.RLIMIT_NOFILE, "RLIMIT_NOFILE"}, {unix.RLIMIT_NPROC, "RLIMIT_NPROC"}, {unix.RLIMIT_RSS, "RLIMIT_RSS"},
		{unix.RLIMIT_RTPRIO, "RLIMIT_RTPRIO"}, {unix.RLIMIT_RTTIME, "RLIMIT_RTTIME"}, {unix.RLIMIT_SIGPENDING, "RLIMIT_SIGPENDING"},
		{unix.RLIMIT_STACK, "RLIMIT_STACK"},
	}
)
