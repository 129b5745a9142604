package seccomp

/*
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

// measure is the duration of count calls in ns, or a negative errno.
static long long measure(struct sock_filter *code, unsigned short size, long number, unsigned long arg, int count) {
	struct sock_fprog program = {size, code};
	if (size > 0 && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
			 syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0))
		return -errno;
	// A call that the filter refuses cannot be measured. These also warm up.
	for (int i = 0; i < 1000; i++)
		if (syscall(number, arg) == -1)
			return -errno;
	long long start = now();
	for (int i = 0; i < count; i++)
		syscall(number, arg);
	return now() - start;
}

// cost measures in a child, since a filter cannot be taken off. The child has
// one thread of a Go process, and must stay in C.
static long long cost(struct sock_filter *code, unsigned short size, long number, unsigned long arg, int count) {
	int ends[2];
	if (pipe(ends) != 0)
		return -errno;
	pid_t pid = fork();
	if (pid == 0) {
		long long ns = measure(code, size, number, arg, count);
		_exit(write(ends[1], &ns, sizeof ns) != sizeof ns);
	}
	long long ns = -errno;
	close(ends[1]);
	if (pid > 0) {
		if (read(ends[0], &ns, sizeof ns) != sizeof ns)
			ns = -EPIPE; // killed by the filter
		while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
			;
	}
	close(ends[0]);
	return ns;
}
*/
import "C"

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// callCost is how many ns a system call takes under a filter, or without one
// if code is empty.
func callCost(code []unix.SockFilter, number int, arg uint64, count int) (float64, error) {
	ns := C.cost((*C.struct_sock_filter)(unsafe.Pointer(unsafe.SliceData(code))), C.ushort(len(code)),
		C.long(number), C.ulong(arg), C.int(count))
	if ns < 0 {
		return 0, fmt.Errorf("system call %d: %w", number, unix.Errno(-ns))
	}
	return float64(ns) / float64(count), nil
}
