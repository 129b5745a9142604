//go:build !os_signal

#include "textflag.h"

// The handler of the signals that rt forwards: see handler.go. The kernel calls
// it with the signal in R0, and it may clobber all registers but R30. It notes the
// signal before it looks for the target, so that a target that comes meanwhile
// is found, or finds the note.
TEXT signalled<>(SB),NOSPLIT|NOFRAME,$0
	MOVD	$1, R2
	LSL	R0, R2, R2	// the signal's bit
	MOVD	$·received(SB), R3
set:
	LDAXR	(R3), R4
	ORR	R2, R4, R4
	STLXR	R4, (R3), R5
	CBNZ	R5, set
	DMB	$0xb	// inner shareable, all
	MOVD	·target(SB), R9
	TBNZ	$63, R9, done
clear:
	LDAXR	(R3), R4
	TST	R2, R4
	BEQ	done	// another thread has sent it
	BIC	R2, R4, R4
	STLXR	R4, (R3), R5
	CBNZ	R5, clear
	MOVD	R0, R1	// the signal
	MOVD	R9, R0	// the pidfd
	MOVD	$0, R2
	MOVD	$0, R3
	MOVD	$424, R8	// pidfd_send_signal
	SVC
done:
	RET

// The handler's return code: sigreturn(2).
TEXT restore<>(SB),NOSPLIT|NOFRAME,$0
	MOVD	$139, R8	// rt_sigreturn
	SVC
	BRK

// func handler() (signalled, restore uintptr)
TEXT ·handler(SB),NOSPLIT,$0-16
	MOVD	$signalled<>(SB), R0
	MOVD	R0, signalled+0(FP)
	MOVD	$restore<>(SB), R0
	MOVD	R0, restore+8(FP)
	RET
