package program

import (
	"golang.org/x/sys/unix"
)

// Call is a system call that programs may use.
type Call uint8

// The system calls of programs, by the kernel's names.
const (
	Accept4 Call = iota
	Capset
	Chdir
	Chroot
	Clone
	Close
	CloseRange
	Dup3
	Execve
	ExitGroup
	Fchdir
	Fchmod
	Fchown
	Fchownat
	Flock
	Fsconfig
	Fsmount
	Fsopen
	Getcwd
	Getpid
	Ioctl
	Keyctl
	Mkdirat
	Mknodat
	MountSetattr
	MoveMount
	OpenTree
	Openat
	Openat2
	PidfdSendSignal
	PivotRoot
	Prctl
	Prlimit64
	Read
	RtSigprocmask
	Sendmsg
	Setdomainname
	Setgroups
	Sethostname
	Setns
	Setresgid
	Setresuid
	Setsid
	Signalfd4
	Socket
	Statx
	Symlinkat
	Umask
	Umount2
	Unlinkat
	Unshare
	Wait4
	Write
	numCalls
)

// callInfo is what the package knows of one system call: its name, its number
// on this architecture, and how a listing shows its arguments.
type callInfo struct {
	name string
	nr   uint32
	args []argFormat
}

var calls = [numCalls]callInfo{
	Accept4:         {"accept4", unix.SYS_ACCEPT4, []argFormat{fd, num, num, flags(sockFlags)}},
	Capset:          {"capset", unix.SYS_CAPSET, []argFormat{ptr, ptr}},
	Chdir:           {"chdir", unix.SYS_CHDIR, []argFormat{str}},
	Chroot:          {"chroot", unix.SYS_CHROOT, []argFormat{str}},
	Clone:           {"clone", unix.SYS_CLONE, []argFormat{flags(cloneFlags), num, num, num, num}},
	Close:           {"close", unix.SYS_CLOSE, []argFormat{fd}},
	CloseRange:      {"close_range", unix.SYS_CLOSE_RANGE, []argFormat{num, hex, flags(closeRangeFlags)}},
	Dup3:            {"dup3", unix.SYS_DUP3, []argFormat{fd, fd, flags(openFlags)}},
	Execve:          {"execve", unix.SYS_EXECVE, []argFormat{str, ptr, ptr}},
	ExitGroup:       {"exit_group", unix.SYS_EXIT_GROUP, []argFormat{num}},
	Fchdir:          {"fchdir", unix.SYS_FCHDIR, []argFormat{fd}},
	Fchmod:          {"fchmod", unix.SYS_FCHMOD, []argFormat{fd, oct}},
	Fchown:          {"fchown", unix.SYS_FCHOWN, []argFormat{fd, num, num}},
	Fchownat:        {"fchownat", unix.SYS_FCHOWNAT, []argFormat{fd, str, num, num, flags(atFlags)}},
	Flock:           {"flock", unix.SYS_FLOCK, []argFormat{fd, flags(flockOperations)}},
	Fsconfig:        {"fsconfig", unix.SYS_FSCONFIG, []argFormat{fd, enum(fsconfigCommands), str, str, num}},
	Fsmount:         {"fsmount", unix.SYS_FSMOUNT, []argFormat{fd, flags(fsmountFlags), flags(mountAttrs)}},
	Fsopen:          {"fsopen", unix.SYS_FSOPEN, []argFormat{str, flags(fsopenFlags)}},
	Getcwd:          {"getcwd", unix.SYS_GETCWD, []argFormat{ptr, num}},
	Getpid:          {"getpid", unix.SYS_GETPID, nil},
	Ioctl:           {"ioctl", unix.SYS_IOCTL, []argFormat{fd, enum(ioctls), hex}},
	Keyctl:          {"keyctl", unix.SYS_KEYCTL, []argFormat{enum(keyctlCommands), str}},
	Mkdirat:         {"mkdirat", unix.SYS_MKDIRAT, []argFormat{fd, str, oct}},
	Mknodat:         {"mknodat", unix.SYS_MKNODAT, []argFormat{fd, str, oct, device}},
	MountSetattr:    {"mount_setattr", unix.SYS_MOUNT_SETATTR, []argFormat{fd, str, flags(atFlags), structure(mountAttrText), num}},
	MoveMount:       {"move_mount", unix.SYS_MOVE_MOUNT, []argFormat{fd, str, fd, str, flags(moveMountFlags)}},
	OpenTree:        {"open_tree", unix.SYS_OPEN_TREE, []argFormat{fd, str, flags(openTreeFlags)}},
	Openat:          {"openat", unix.SYS_OPENAT, []argFormat{fd, str, flags(openFlags), oct}},
	Openat2:         {"openat2", unix.SYS_OPENAT2, []argFormat{fd, str, structure(openHowText), num}},
	PidfdSendSignal: {"pidfd_send_signal", unix.SYS_PIDFD_SEND_SIGNAL, []argFormat{fd, num, ptr, num}},
	PivotRoot:       {"pivot_root", unix.SYS_PIVOT_ROOT, []argFormat{str, str}},
	Prctl:           {"prctl", unix.SYS_PRCTL, []argFormat{enum(prctls), num, num, num, num}},
	Prlimit64:       {"prlimit64", unix.SYS_PRLIMIT64, []argFormat{num, enum(rlimits), structure(rlimitText), num}},
	Read:            {"read", unix.SYS_READ, []argFormat{fd, ptr, num}},
	RtSigprocmask:   {"rt_sigprocmask", unix.SYS_RT_SIGPROCMASK, []argFormat{num, ptr, ptr, num}},
	Sendmsg:         {"sendmsg", unix.SYS_SENDMSG, []argFormat{fd, ptr, num}},
	Setdomainname:   {"setdomainname", unix.SYS_SETDOMAINNAME, []argFormat{str, num}},
	Setgroups:       {"setgroups", unix.SYS_SETGROUPS, []argFormat{num, ptr}},
	Sethostname:     {"sethostname", unix.SYS_SETHOSTNAME, []argFormat{str, num}},
	Setns:           {"setns", unix.SYS_SETNS, []argFormat{fd, flags(cloneFlags)}},
	Setresgid:       {"setresgid", unix.SYS_SETRESGID, []argFormat{num, num, num}},
	Setresuid:       {"setresuid", unix.SYS_SETRESUID, []argFormat{num, num, num}},
	Setsid:          {"setsid", unix.SYS_SETSID, nil},
	Signalfd4:       {"signalfd4", unix.SYS_SIGNALFD4, []argFormat{fd, ptr, num, num}},
	Socket:          {"socket", unix.SYS_SOCKET, []argFormat{num, flags(sockFlags), num}},
	Statx:           {"statx", unix.SYS_STATX, []argFormat{fd, str, flags(atFlags), hex, ptr}},
	Symlinkat:       {"symlinkat", unix.SYS_SYMLINKAT, []argFormat{str, fd, str}},
	Umask:           {"umask", unix.SYS_UMASK, []argFormat{oct}},
	Umount2:         {"umount2", unix.SYS_UMOUNT2, []argFormat{str, flags(umountFlags)}},
	Unlinkat:        {"unlinkat", unix.SYS_UNLINKAT, []argFormat{fd, str, flags(unlinkFlags)}},
	Unshare:         {"unshare", unix.SYS_UNSHARE, []argFormat{flags(cloneFlags)}},
	Wait4:           {"wait4", unix.SYS_WAIT4, []argFormat{num, ptr, num, num}},
	Write:           {"write", unix.SYS_WRITE, []argFormat{fd, ptr, num}},
}

// Number is the system call's number on the architecture rt was built for.
func (c Call) Number() uint32 { return calls[c].nr }

func (c Call) String() string { return calls[c].name }
