#include "textflag.h"

// The handler of the signals that rt forwards: see signals.go. The kernel calls
// it with the signal in R0, and it may spoil all registers but R30.
TEXT ·signalled(SB),NOSPLIT|NOFRAME,$0
	MOVD	·target(SB), R9
	TBNZ	$63, R9, note
	MOVD	R0, R1	// the signal
	MOVD	R9, R0	// the pidfd
	MOVD	$0, R2
	MOVD	$0, R3
	MOVD	$424, R8	// pidfd_send_signal
	SVC
	RET
note:
	MOVD	$1, R2
	LSL	R0, R2, R2
	MOVD	$·received(SB), R3
again:
	LDAXR	(R3), R4
	ORR	R2, R4
	STLXR	R4, (R3), R5
	CBNZ	R5, again
	RET

// The handler returns to it: sigreturn(2).
TEXT ·restore(SB),NOSPLIT|NOFRAME,$0
	MOVD	$139, R8	// rt_sigreturn
	SVC
	BRK

// func handler() (signalled, restore uintptr)
TEXT ·handler(SB),NOSPLIT,$0-16
	MOVD	$·signalled(SB), R0
	MOVD	R0, signalled+0(FP)
	MOVD	$·restore(SB), R0
	MOVD	R0, restore+8(FP)
	RET
