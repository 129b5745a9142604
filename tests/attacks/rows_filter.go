package main

import (
	"fmt"
	"os"
	goruntime "runtime"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
	"golang.org/x/sys/unix"
)

// Ways around a seccomp filter.

var filterAttacks = []attack{
	{
		name:     "seccomp-i386",
		about:    "a process makes a forbidden call as a 32-bit system call, and the profile does not name that architecture",
		kinds:    []string{"seccomp"},
		defences: []defence.Name{defence.Seccomp},
		mount: func(t *try) string {
			b := t.attacker("mkdir-i386", "/made")
			b.filter("mkdir", "mkdirat")
			b.spec.Linux.Seccomp.Architectures = []specs.Arch{specs.ArchX86_64}
			b.run()
			return b.madeInside("made")
		},
	},
	{
		name:     "seccomp-i386-listed",
		about:    "the same where the profile names the 32-bit architecture",
		kinds:    []string{"seccomp"},
		defences: []defence.Name{defence.Seccomp},
		mount: func(t *try) string {
			b := t.attacker("mkdir-i386", "/made")
			b.filter("mkdir", "mkdirat")
			b.run()
			return b.madeInside("made")
		},
	},
	{
		name:     "seccomp-x32",
		about:    "a process makes a forbidden call by its number in x32",
		kinds:    []string{"seccomp"},
		defences: []defence.Name{defence.Seccomp},
		mount: func(t *try) string {
			b := t.attacker("mkdir-x32", "/made")
			b.filter("mkdir", "mkdirat")
			b.spec.Linux.Seccomp.Architectures = []specs.Arch{specs.ArchX86_64}
			return tell(b.run(), gained, "the filter let the call pass")
		},
	},
	{
		name:     "seccomp-clone3",
		about:    "a process makes a user namespace with clone3(2), which the profile does not know, where clone(2) is forbidden to",
		kinds:    []string{"seccomp"},
		defences: []defence.Name{defence.Seccomp},
		mount: func(t *try) string {
			b := t.attacker("clone3-userns")
			// A profile from before Linux 5.3: all calls up to 424, but for clone with
			// flags of namespaces, and for unshare.
			b.spec.Linux.Seccomp = oldProfile()
			return tell(b.run(), gained, "made a user namespace")
		},
	},
}

func (b *bundle) madeInside(name string) string {
	if fileExists(b.root(name)) {
		return "a directory was made"
	}
	return ""
}

// oldProfile forbids calls that it does not name.
func oldProfile() *specs.LinuxSeccomp {
	eperm := uint(unix.EPERM)
	names := []string{
		"access", "arch_prctl", "brk", "capget", "capset", "chdir", "chroot", "clock_gettime", "clock_nanosleep", "close", "connect", "dup", "dup2",
		"dup3", "epoll_create1", "epoll_ctl", "epoll_pwait", "eventfd2", "execve", "execveat", "exit", "exit_group", "faccessat", "fchown", "fchdir", "fcntl",
		"fstat", "fstatfs", "futex", "getcwd", "getdents64", "getpid", "getppid", "getrandom", "gettid", "getuid", "getgid", "geteuid", "getegid", "ioctl",
		"kill", "lseek", "madvise", "mincore", "mmap", "mprotect", "munmap", "nanosleep", "newfstatat", "open", "openat", "pipe", "pipe2", "poll", "ppoll",
		"prctl", "pread64", "prlimit64", "pwrite64", "read", "readlink", "readlinkat", "recvmsg", "restart_syscall", "rseq", "rt_sigaction",
		"rt_sigprocmask", "rt_sigreturn", "sched_getaffinity", "sched_yield", "seccomp", "sendmsg", "set_robust_list", "set_tid_address", "setgid",
		"setgroups", "setresgid", "setresuid", "setsid", "setuid", "sigaltstack", "socket", "stat", "statfs", "statx", "sysinfo", "tgkill", "timer_create",
		"timer_settime", "timer_delete", "umask", "uname", "wait4", "waitid", "write", "writev", "getrlimit", "setrlimit", "accept4",
	}
	return &specs.LinuxSeccomp{
		DefaultAction: specs.ActErrno, DefaultErrnoRet: &eperm, Architectures: []specs.Arch{specs.ArchX86_64},
		Syscalls: []specs.LinuxSyscall{
			{Names: names, Action: specs.ActAllow},
			{Names: []string{"clone"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Index: 0, Value: unix.CLONE_NEWUSER, ValueTwo: 0, Op: specs.OpMaskedEqual}}},
		},
	}
}

// giveUp ends a process in which the filter has killed a thread: the Go runtime would wait
// for it.
func giveUp() { time.AfterFunc(500*time.Millisecond, func() { os.Exit(1) }) }

func mkdirI386(args []string) error {
	giveUp()
	const mkdir = 39
	return mkdirBy(args[0], func(path uintptr) int { return call32(mkdir, path, 0o755) })
}

// mkdirBy makes the call with a path in the lower 4 GiB of memory.
func mkdirBy(name string, call func(path uintptr) int) error {
	memory, err := lowMemory(4096)
	if err != nil {
		return err
	}
	copy(memory, name+"\x00")
	if errno := -call(addressOf(memory)); errno != 0 {
		return unix.Errno(errno)
	}
	return nil
}

func mkdirX32(args []string) error {
	giveUp()
	const x32, mkdir = 0x40000000, 83
	path, err := unix.BytePtrFromString(args[0])
	if err != nil {
		return err
	}
	_, _, errno := unix.Syscall(x32|mkdir, pointer(path), 0o755, 0)
	fmt.Println("mkdir:", errno)
	// The kernel may have no x32: but then the kernel reports it.
	if errno == 0 || errno == unix.ENOSYS {
		fmt.Println(gained)
	}
	return nil
}

func clone3Userns([]string) error {
	goruntime.LockOSThread()
	args := [11]uint64{0: unix.CLONE_NEWUSER, 4: uint64(unix.SIGCHLD)}
	pid, _, errno := unix.RawSyscall(unix.SYS_CLONE3, pointer(&args[0]), 88, 0)
	if errno != 0 {
		return fmt.Errorf("clone3: %w", errno)
	}
	if pid == 0 {
		_, _, _ = unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
	fmt.Println(gained)
	os.Stdout.Sync()
	return nil
}
