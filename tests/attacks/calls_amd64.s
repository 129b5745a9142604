#include "textflag.h"

// func call32(number, a, b uintptr) int
TEXT ·call32(SB), NOSPLIT, $0-32
	MOVQ number+0(FP), AX
	MOVQ a+8(FP), BX
	MOVQ b+16(FP), CX
	XORQ DX, DX
	BYTE $0xcd; BYTE $0x80
	MOVLQSX AX, AX
	MOVQ AX, ret+24(FP)
	RET
