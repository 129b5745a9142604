//go:build !os_signal

#include "textflag.h"

// The handler of the signals that rt forwards: see handler.go. The kernel calls
// it with the signal in DI, and it may clobber all registers. It notes the signal
// before it looks for the target, so that a target that comes meanwhile is
// found, or finds the note.
TEXT signalled<>(SB),NOSPLIT|NOFRAME,$0
	LEAQ	·received(SB), BX
	LOCK
	BTSQ	DI, (BX)
	MOVQ	·target(SB), AX
	TESTQ	AX, AX
	JLT	done
	LOCK
	BTRQ	DI, (BX)
	JCC	done	// another thread has sent it
	MOVL	DI, SI	// the signal
	MOVL	AX, DI	// the pidfd
	MOVL	$0, DX
	MOVL	$0, R10
	MOVL	$424, AX	// pidfd_send_signal
	SYSCALL
done:
	RET

// The handler's return code: sigreturn(2).
TEXT restore<>(SB),NOSPLIT|NOFRAME,$0
	MOVL	$15, AX	// rt_sigreturn
	SYSCALL
	INT	$3

// func handler() (signalled, restore uintptr)
TEXT ·handler(SB),NOSPLIT,$0-16
	LEAQ	signalled<>(SB), AX
	MOVQ	AX, signalled+0(FP)
	LEAQ	restore<>(SB), AX
	MOVQ	AX, restore+8(FP)
	RET
