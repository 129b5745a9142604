#include "textflag.h"

// func executeCPUID()
TEXT ·executeCPUID(SB), NOSPLIT, $0-0
	MOVL $0, AX
	MOVL $0, CX
	CPUID
	RET
