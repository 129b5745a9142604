#include "textflag.h"

// The kernel starts rt here: see entry.go. The Go runtime finds the stack as the
// kernel left it, and needs nothing in registers.
TEXT rt_entry(SB),NOSPLIT|NOFRAME,$0
	SUB	$128, RSP
	MOVD	$1, R0	// CLOCK_MONOTONIC
	MOVD	$·entered(SB), R1
	MOVD	$113, R8	// clock_gettime
	SVC
	MOVD	$6, R0	// RLIMIT_NPROC
	MOVD	RSP, R1
	MOVD	$163, R8	// getrlimit
	SVC
	MOVD	0(RSP), R19	// the soft limit
	MOVD	RSP, R0
	MOVD	$179, R8	// sysinfo
	SVC
	MOVHU	80(RSP), R20	// all tasks of the machine
	MOVD	·fewestTasks(SB), R21
	ADD	R21, R20
	CMP	R19, R20
	BLS	start
	MOVD	$50, R22	// tries
task:
	MOVD	$0x50f00, R0	// CLONE_VM, FS, FILES, SIGHAND, THREAD, SYSVSEM: a thread
	MOVD	$0, R1	// with this stack, which it does not touch
	MOVD	$0, R2
	MOVD	$0, R3
	MOVD	$0, R4
	MOVD	$220, R8	// clone
	SVC
	CBZ	R0, wait
	TBZ	$63, R0, next
	CMN	$11, R0	// EAGAIN
	BNE	release	// the Go runtime reports it better
	SUB	$1, R22
	CBZ	R22, none
	MOVD	$0, R0
	MOVD	R0, 0(RSP)
	MOVD	$4000000, R0	// 4 ms
	MOVD	R0, 8(RSP)
	MOVD	RSP, R0
	MOVD	$0, R1
	MOVD	$101, R8	// nanosleep
	SVC
	B	task
next:
	SUB	$1, R21
	CBNZ	R21, task
release:
	MOVD	$·releasedTasks(SB), R0
	MOVD	$1, R1	// FUTEX_WAKE
	MOVW	R1, (R0)
	MOVD	$0x7fffffff, R2	// all
	MOVD	$98, R8	// futex
	SVC
start:
	ADD	$128, RSP
	JMP	_rt0_arm64_linux(SB)

// A thread waits until all exist, and ends.
wait:
	MOVD	$·releasedTasks(SB), R0
	MOVD	$0, R1	// FUTEX_WAIT
	MOVD	$0, R2	// while it is 0
	MOVD	$0, R3
	MOVD	$98, R8	// futex
	SVC
	MOVD	$·releasedTasks(SB), R0
	MOVW	(R0), R1
	CBZ	R1, wait
	MOVD	$0, R0
	MOVD	$93, R8	// exit
	SVC
	BRK

none:
	MOVD	$2, R0
	MOVD	·tooManyTasks(SB), R1
	MOVD	·tooManyTasks+8(SB), R2
	MOVD	$64, R8	// write
	SVC
	MOVD	$1, R0
	MOVD	$94, R8	// exit_group
	SVC
	BRK
