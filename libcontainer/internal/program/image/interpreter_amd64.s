#include "textflag.h"

// The interpreter is copied into images; it never runs inside rt. It uses no
// stack, no memory but the image's, and no address of its own.
//
//	BX   the header            R12  the current record
//	R13  the registers         R14  the mask of register arguments
//	R15  how often the call may be repeated
//
// Offsets are those of layout.go.

#define HEADER 0x400400
#define RECORD 72

// Loads argument i into reg: an immediate, or the content of a register.
#define ARG(i, reg) \
	MOVQ (8+8*i)(R12), reg \
	BTL  $i, R14           \
	JCC  2(PC)             \
	MOVQ (R13)(reg*8), reg

TEXT ·interpreter(SB), NOSPLIT|NOFRAME, $0
	MOVL $HEADER, BX
	MOVQ 0(BX), R12
	MOVQ 8(BX), R13

next:
	MOVL    24(BX), R15
	MOVBLZX 5(R12), R8      // destination register
	MOVBLZX 7(R12), R9      // comparison or width
	MOVQ    8(R12), DX      // argument 0
	MOVBLZX 4(R12), AX
	CMPL    AX, $1
	JCS     syscall
	JEQ     jump
	CMPL    AX, $3
	JCS     branch
	JEQ     store
	CMPL    AX, $5
	JCS     load
	MOVQ    DX, AX          // a move
	CMPB    6(R12), $0
	JEQ     set
	MOVQ    (R13)(DX*8), AX

set:
	MOVQ AX, (R13)(R8*8)

advance:
	ADDQ $RECORD, R12
	JMP  next

syscall:
	MOVBLZX 6(R12), R14
	ARG(0, DI)
	ARG(1, SI)
	ARG(2, DX)
	ARG(3, R10)
	ARG(4, R8)
	ARG(5, R9)
	MOVL 0(R12), AX
	SYSCALL
	CMPL    0(R12), $231    // exit_group came back: a filter forbids it
	JEQ     trap
	MOVBLZX 5(R12), R8
	CMPQ    AX, $-4095
	JCS     set
	MOVQ    AX, (R13)(R8*8)
	NEGQ    AX
	CMPL    AX, $11         // EAGAIN of openat2: somebody renames
	JNE     failed
	CMPL    0(R12), $437
	JNE     failed
	SUBL    $1, R15
	JCC     syscall

failed:
	// An error: is it one of the four that are expected?
	LEAQ 56(R12), SI
	LEAQ 64(R12), DI

match:
	MOVWLZX 0(SI), CX
	CMPL    CX, AX
	JEQ     jump
	CMPL    CX, $0xffff
	JEQ     jump
	ADDQ    $2, SI
	CMPQ    SI, DI
	JCS     match
	MOVQ    R12, (62*8)(R13)
	MOVQ    AX, (63*8)(R13)
	MOVQ    16(BX), R12
	JMP     next

jump:
	MOVL 64(R12), R12
	JMP  next

branch:
	MOVQ (R13)(R8*8), AX
	CMPL R9, $1
	JCS  equal
	JEQ  notEqual
	CMPL R9, $2
	JEQ  less
	CMPQ AX, DX
	JGE  jump
	JMP  advance

equal:
	CMPQ AX, DX
	JEQ  jump
	JMP  advance

notEqual:
	CMPQ AX, DX
	JNE  jump
	JMP  advance

less:
	CMPQ AX, DX
	JLT  jump
	JMP  advance

store:
	MOVQ (R13)(R8*8), AX
	CMPL R9, $2
	JCS  store1
	JEQ  store2
	CMPL R9, $4
	JEQ  store4
	MOVQ AX, (DX)
	JMP  advance

store1:
	MOVB AX, (DX)
	JMP  advance

store2:
	MOVW AX, (DX)
	JMP  advance

store4:
	MOVL AX, (DX)
	JMP  advance

load:
	CMPL R9, $2
	JCS  load1
	JEQ  load2
	CMPL R9, $4
	JEQ  load4
	MOVQ (DX), AX
	JMP  set

load1:
	MOVBLZX (DX), AX
	JMP     set

load2:
	MOVWLZX (DX), AX
	JMP     set

load4:
	MOVL (DX), AX
	JMP  set

trap:
	UNDEF

	// endMarker
	BYTE $0xcc; BYTE $0xcc; BYTE $'r'; BYTE $'t'; BYTE $'-'; BYTE $'e'; BYTE $'n'; BYTE $'d'
	BYTE $0xcc; BYTE $0xcc; BYTE $0xcc; BYTE $0xcc

DATA ·interpreterAddr(SB)/8, $·interpreter(SB)
GLOBL ·interpreterAddr(SB), NOPTR, $8
