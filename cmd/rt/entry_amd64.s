#include "textflag.h"

// The kernel starts rt here: see entry.go. The Go runtime finds the stack as the
// kernel left it, and needs nothing in registers.
TEXT rt_entry(SB),NOSPLIT|NOFRAME,$0
	SUBQ	$128, SP
	MOVL	$1, DI	// CLOCK_MONOTONIC
	LEAQ	·entered(SB), SI
	MOVL	$228, AX	// clock_gettime
	SYSCALL
	MOVL	$6, DI	// RLIMIT_NPROC
	MOVQ	SP, SI
	MOVL	$97, AX	// getrlimit
	SYSCALL
	MOVQ	0(SP), R12	// the soft limit
	MOVQ	SP, DI
	MOVL	$99, AX	// sysinfo
	SYSCALL
	MOVWQZX	80(SP), BX	// all tasks of the machine
	ADDQ	·fewestTasks(SB), BX
	CMPQ	BX, R12
	JLS	start
	MOVQ	·fewestTasks(SB), R12
	MOVL	$50, R13	// tries
task:
	MOVL	$0x50f00, DI	// CLONE_VM, FS, FILES, SIGHAND, THREAD, SYSVSEM: a thread
	XORL	SI, SI	// with this stack, which it does not touch
	XORL	DX, DX
	XORL	R10, R10
	XORL	R8, R8
	MOVL	$56, AX	// clone
	SYSCALL
	TESTQ	AX, AX
	JEQ	wait
	JGT	next
	CMPQ	AX, $-11	// EAGAIN
	JNE	release	// the Go runtime reports it better
	DECL	R13
	JEQ	none
	MOVQ	$0, 0(SP)
	MOVQ	$4000000, 8(SP)	// 4 ms
	MOVQ	SP, DI
	XORL	SI, SI
	MOVL	$35, AX	// nanosleep
	SYSCALL
	JMP	task
next:
	DECQ	R12
	JNE	task
release:
	LEAQ	·releasedTasks(SB), DI
	MOVL	$1, (DI)
	MOVL	$1, SI	// FUTEX_WAKE
	MOVL	$0x7fffffff, DX	// all
	MOVL	$202, AX	// futex
	SYSCALL
start:
	ADDQ	$128, SP
	JMP	_rt0_amd64_linux(SB)

// A thread waits until all exist, and ends.
wait:
	LEAQ	·releasedTasks(SB), DI
	XORL	SI, SI	// FUTEX_WAIT
	XORL	DX, DX	// while it is 0
	XORL	R10, R10
	MOVL	$202, AX	// futex
	SYSCALL
	MOVL	·releasedTasks(SB), AX
	TESTL	AX, AX
	JEQ	wait
	XORL	DI, DI
	MOVL	$60, AX	// exit
	SYSCALL
	INT	$3

none:
	MOVL	$2, DI
	MOVQ	·tooManyTasks(SB), SI
	MOVQ	·tooManyTasks+8(SB), DX
	MOVL	$1, AX	// write
	SYSCALL
	MOVL	$1, DI
	MOVL	$231, AX	// exit_group
	SYSCALL
	INT	$3
