package main

// The x32 ABI shares the numbers of x86_64, with bit 30 set, except for the
// calls below. Source: arch/x86/entry/syscalls/syscall_64.tbl of Linux 6.19,
// whose second column says 64 (x86_64 only), x32 or common.

// only64 are the calls of x86_64 that x32 has under another number or not at
// all.
var only64 = map[string]bool{
	"rt_sigaction": true, "rt_sigreturn": true, "ioctl": true, "readv": true,
	"writev": true, "recvfrom": true, "sendmsg": true, "recvmsg": true,
	"setsockopt": true, "getsockopt": true, "execve": true, "ptrace": true,
	"rt_sigpending": true, "rt_sigtimedwait": true, "rt_sigqueueinfo": true,
	"sigaltstack": true, "uselib": true, "_sysctl": true, "create_module": true,
	"get_kernel_syms": true, "query_module": true, "nfsservctl": true,
	"set_thread_area": true, "io_setup": true, "io_submit": true,
	"get_thread_area": true, "epoll_ctl_old": true, "epoll_wait_old": true,
	"timer_create": true, "vserver": true, "mq_notify": true, "kexec_load": true,
	"waitid": true, "set_robust_list": true, "get_robust_list": true,
	"vmsplice": true, "move_pages": true, "preadv": true, "pwritev": true,
	"rt_tgsigqueueinfo": true, "recvmmsg": true, "sendmmsg": true,
	"process_vm_readv": true, "process_vm_writev": true, "execveat": true,
	"preadv2": true, "pwritev2": true,
}

// onlyX32 are the calls with numbers of their own, which begin at 512.
var onlyX32 = []string{
	0: "rt_sigaction", "rt_sigreturn", "ioctl", "readv", "writev",
	517 - 512: "recvfrom", "sendmsg", "recvmsg", "execve", "ptrace",
	522 - 512: "rt_sigpending", "rt_sigtimedwait", "rt_sigqueueinfo", "sigaltstack", "timer_create",
	527 - 512: "mq_notify", "kexec_load", "waitid", "set_robust_list", "get_robust_list",
	532 - 512: "vmsplice", "move_pages", "preadv", "pwritev", "rt_tgsigqueueinfo",
	537 - 512: "recvmmsg", "sendmmsg", "process_vm_readv", "process_vm_writev", "setsockopt",
	542 - 512: "getsockopt", "io_setup", "io_submit", "execveat", "preadv2",
	547 - 512: "pwritev2",
}

// x32 derives the table of x32, without bit 30, from that of x86_64.
func x32(amd64 numbers) numbers {
	table := numbers{}
	for name, number := range amd64 {
		if !only64[name] {
			table[name] = number
		}
	}
	for i, name := range onlyX32 {
		table[name] = 512 + i
	}
	return table
}
