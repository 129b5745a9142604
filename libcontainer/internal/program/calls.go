package program

import (
	"sync"

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
	ClockGettime
	Clone
	Clone3
	Close
	CloseRange
	Dup3
	Execve
	ExitGroup
	Faccessat2
	Fchdir
	Fchmod
	Fchown
	Fchownat
	Flock
	Fsetxattr
	Fsconfig
	Fsmount
	Fsopen
	Fspick
	Fstatfs
	Futex
	Getcwd
	Getpid
	Ioctl
	IoprioSet
	Keyctl
	Lseek
	Mkdirat
	Mknodat
	Mount
	MountSetattr
	Mmap
	MoveMount
	OpenTree
	Openat
	Openat2
	Personality
	PidfdSendSignal
	PivotRoot
	Prctl
	Prlimit64
	Read
	Readlinkat
	Recvmsg
	RtSigprocmask
	SchedSetaffinity
	SchedSetattr
	Seccomp
	Sendfile
	Sendmsg
	SetMempolicy
	Setdomainname
	Setgroups
	Sethostname
	Setns
	Setpgid
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

// callInfo is what the package knows about one system call: its name and its number on
// this architecture.
type callInfo struct {
	name string
	nr   uint32
}

var calls = [numCalls]callInfo{
	SchedSetaffinity: {"sched_setaffinity", unix.SYS_SCHED_SETAFFINITY},
	Faccessat2:       {"faccessat2", unix.SYS_FACCESSAT2},
	SetMempolicy:     {"set_mempolicy", unix.SYS_SET_MEMPOLICY},
	Seccomp:          {"seccomp", unix.SYS_SECCOMP},
	SchedSetattr:     {"sched_setattr", unix.SYS_SCHED_SETATTR},
	Personality:      {"personality", unix.SYS_PERSONALITY},
	Mount:            {"mount", unix.SYS_MOUNT},
	IoprioSet:        {"ioprio_set", unix.SYS_IOPRIO_SET},
	Lseek:            {"lseek", unix.SYS_LSEEK},
	Accept4:          {"accept4", unix.SYS_ACCEPT4},
	Capset:           {"capset", unix.SYS_CAPSET},
	Chdir:            {"chdir", unix.SYS_CHDIR},
	Chroot:           {"chroot", unix.SYS_CHROOT},
	ClockGettime:     {"clock_gettime", unix.SYS_CLOCK_GETTIME},
	Clone:            {"clone", unix.SYS_CLONE},
	Clone3:           {"clone3", unix.SYS_CLONE3},
	Close:            {"close", unix.SYS_CLOSE},
	CloseRange:       {"close_range", unix.SYS_CLOSE_RANGE},
	Dup3:             {"dup3", unix.SYS_DUP3},
	Execve:           {"execve", unix.SYS_EXECVE},
	ExitGroup:        {"exit_group", unix.SYS_EXIT_GROUP},
	Fchdir:           {"fchdir", unix.SYS_FCHDIR},
	Fchmod:           {"fchmod", unix.SYS_FCHMOD},
	Fchown:           {"fchown", unix.SYS_FCHOWN},
	Fchownat:         {"fchownat", unix.SYS_FCHOWNAT},
	Fsetxattr:        {"fsetxattr", unix.SYS_FSETXATTR},
	Flock:            {"flock", unix.SYS_FLOCK},
	Fsconfig:         {"fsconfig", unix.SYS_FSCONFIG},
	Fsmount:          {"fsmount", unix.SYS_FSMOUNT},
	Fsopen:           {"fsopen", unix.SYS_FSOPEN},
	Fspick:           {"fspick", unix.SYS_FSPICK},
	Fstatfs:          {"fstatfs", unix.SYS_FSTATFS},
	Futex:            {"futex", unix.SYS_FUTEX},
	Getcwd:           {"getcwd", unix.SYS_GETCWD},
	Getpid:           {"getpid", unix.SYS_GETPID},
	Ioctl:            {"ioctl", unix.SYS_IOCTL},
	Keyctl:           {"keyctl", unix.SYS_KEYCTL},
	Mkdirat:          {"mkdirat", unix.SYS_MKDIRAT},
	Mknodat:          {"mknodat", unix.SYS_MKNODAT},
	MountSetattr:     {"mount_setattr", unix.SYS_MOUNT_SETATTR},
	Mmap:             {"mmap", unix.SYS_MMAP},
	MoveMount:        {"move_mount", unix.SYS_MOVE_MOUNT},
	OpenTree:         {"open_tree", unix.SYS_OPEN_TREE},
	Openat:           {"openat", unix.SYS_OPENAT},
	Openat2:          {"openat2", unix.SYS_OPENAT2},
	PidfdSendSignal:  {"pidfd_send_signal", unix.SYS_PIDFD_SEND_SIGNAL},
	PivotRoot:        {"pivot_root", unix.SYS_PIVOT_ROOT},
	Prctl:            {"prctl", unix.SYS_PRCTL},
	Prlimit64:        {"prlimit64", unix.SYS_PRLIMIT64},
	Read:             {"read", unix.SYS_READ},
	Readlinkat:       {"readlinkat", unix.SYS_READLINKAT},
	Recvmsg:          {"recvmsg", unix.SYS_RECVMSG},
	RtSigprocmask:    {"rt_sigprocmask", unix.SYS_RT_SIGPROCMASK},
	Sendfile:         {"sendfile", unix.SYS_SENDFILE},
	Sendmsg:          {"sendmsg", unix.SYS_SENDMSG},
	Setdomainname:    {"setdomainname", unix.SYS_SETDOMAINNAME},
	Setgroups:        {"setgroups", unix.SYS_SETGROUPS},
	Sethostname:      {"sethostname", unix.SYS_SETHOSTNAME},
	Setns:            {"setns", unix.SYS_SETNS},
	Setpgid:          {"setpgid", unix.SYS_SETPGID},
	Setresgid:        {"setresgid", unix.SYS_SETRESGID},
	Setresuid:        {"setresuid", unix.SYS_SETRESUID},
	Setsid:           {"setsid", unix.SYS_SETSID},
	Signalfd4:        {"signalfd4", unix.SYS_SIGNALFD4},
	Socket:           {"socket", unix.SYS_SOCKET},
	Statx:            {"statx", unix.SYS_STATX},
	Symlinkat:        {"symlinkat", unix.SYS_SYMLINKAT},
	Umask:            {"umask", unix.SYS_UMASK},
	Umount2:          {"umount2", unix.SYS_UMOUNT2},
	Unlinkat:         {"unlinkat", unix.SYS_UNLINKAT},
	Unshare:          {"unshare", unix.SYS_UNSHARE},
	Wait4:            {"wait4", unix.SYS_WAIT4},
	Write:            {"write", unix.SYS_WRITE},
}

// formats says how a listing shows the arguments of each call.
var formats = sync.OnceValue(func() [numCalls][]argFormat {
	return [numCalls][]argFormat{
		SchedSetaffinity: {num, num, ptr},
		Faccessat2:       {fd, str, flags(accessModes), flags(accessFlags)},
		SetMempolicy:     {hex, ptr, num},
		Seccomp:          {num, hex, ptr},
		SchedSetattr:     {num, ptr, num},
		Personality:      {hex},
		Mount:            {str, str, str, hex, str},
		IoprioSet:        {num, num, hex},
		Lseek:            {fd, num, num},
		Accept4:          {fd, num, num, flags(sockFlags)},
		Capset:           {ptr, ptr},
		Chdir:            {str},
		Chroot:           {str},
		ClockGettime:     {num, hex},
		Clone:            {flags(cloneFlags), num, num, num, num},
		Clone3:           {structure(cloneArgsText), num},
		Close:            {fd},
		CloseRange:       {num, hex, flags(closeRangeFlags)},
		Dup3:             {fd, fd, flags(openFlags)},
		Execve:           {str, ptr, ptr},
		ExitGroup:        {num},
		Fchdir:           {fd},
		Fchmod:           {fd, oct},
		Fchown:           {fd, num, num},
		Fchownat:         {fd, str, num, num, flags(atFlags)},
		Flock:            {fd, flags(flockOperations)},
		Fsetxattr:        {fd, str, str, num, num},
		Fsconfig:         {fd, enum(fsconfigCommands), str, str, num},
		Fsmount:          {fd, flags(fsmountFlags), flags(mountAttrs)},
		Fsopen:           {str, flags(fsopenFlags)},
		Fspick:           {fd, str, flags(fspickFlags)},
		Fstatfs:          {fd, ptr},
		Futex:            {ptr, num, num, ptr},
		Getcwd:           {ptr, num},
		Ioctl:            {fd, enum(ioctls), hex},
		Keyctl:           {enum(keyctlCommands), str, hex},
		Mkdirat:          {fd, str, oct},
		Mknodat:          {fd, str, oct, device},
		MountSetattr:     {fd, str, flags(atFlags), structure(mountAttrText), num},
		Mmap:             {hex, num, hex, hex, fd, num},
		MoveMount:        {fd, str, fd, str, flags(moveMountFlags)},
		OpenTree:         {fd, str, flags(openTreeFlags)},
		Openat:           {fd, str, flags(openFlags), oct},
		Openat2:          {fd, str, structure(openHowText), num},
		PidfdSendSignal:  {fd, num, ptr, num},
		PivotRoot:        {str, str},
		Prctl:            {enum(prctls), num, num, num, num},
		Prlimit64:        {num, enum(rlimits), structure(rlimitText), num},
		Read:             {fd, ptr, num},
		Readlinkat:       {fd, str, ptr, num},
		Recvmsg:          {fd, ptr, hex},
		RtSigprocmask:    {num, ptr, ptr, num},
		Sendfile:         {fd, fd, ptr, num},
		Sendmsg:          {fd, ptr, num},
		Setdomainname:    {str, num},
		Setgroups:        {num, ptr},
		Sethostname:      {str, num},
		Setns:            {fd, flags(cloneFlags)},
		Setpgid:          {num, num},
		Setresgid:        {num, num, num},
		Setresuid:        {num, num, num},
		Signalfd4:        {fd, ptr, num, num},
		Socket:           {num, flags(sockFlags), num},
		Statx:            {fd, str, flags(atFlags), hex, ptr},
		Symlinkat:        {str, fd, str},
		Umask:            {oct},
		Umount2:          {str, flags(umountFlags)},
		Unlinkat:         {fd, str, flags(unlinkFlags)},
		Unshare:          {flags(cloneFlags)},
		Wait4:            {num, ptr, num, num},
		Write:            {fd, ptr, num},
	}
})

// Number is the system call's number on the architecture rt was built for.
func (c Call) Number() uint32 { return calls[c].nr }

func (c Call) String() string { return calls[c].name }
