#include "textflag.h"

// The interpreter is copied into images; it never runs inside rt. It uses no
// stack, no memory but the image's, and no address of its own.
//
//	R21  the header            R19  the current record
//	R20  the registers         R22  the mask of register arguments
//	R23  how often the call may be repeated
//
// Offsets are those of layout.go.

#define HEADER 0x400400
#define RECORD 72

// Loads argument i into reg: an immediate, or the content of a register.
#define ARG(i, reg) \
	MOVD (8+8*i)(R19), reg \
	TBZ  $i, R22, 2(PC)    \
	MOVD (R20)(reg<<3), reg

TEXT ·interpreter(SB), NOSPLIT|NOFRAME, $0
	MOVZ $(HEADER & 0xffff), R21
	MOVK $((HEADER >> 16) << 16), R21
	MOVD 0(R21), R19
	MOVD 8(R21), R20

next:
	MOVWU 24(R21), R23
	MOVBU 5(R19), R9        // destination register
	MOVBU 7(R19), R10       // comparison or width
	MOVD  8(R19), R11       // argument 0
	MOVBU 4(R19), R12
	CBZ   R12, syscall
	CMP   $2, R12
	BLT   jump
	BEQ   branch
	CMP   $4, R12
	BLT   store
	BEQ   load
	MOVD  R11, R0           // a move
	MOVBU 6(R19), R22
	CBZ   R22, set
	MOVD  (R20)(R11<<3), R0

set:
	MOVD R0, (R20)(R9<<3)

advance:
	ADD $RECORD, R19
	B   next

syscall:
	MOVBU 6(R19), R22
	ARG(0, R0)
	ARG(1, R1)
	ARG(2, R2)
	ARG(3, R3)
	ARG(4, R4)
	ARG(5, R5)
	MOVWU 0(R19), R8
	SVC   $0
	CMP   $94, R8           // exit_group came back: a filter forbids it
	BEQ   trap
	MOVBU 5(R19), R9
	CMN   $4095, R0
	BLO   set
	MOVD  R0, (R20)(R9<<3)
	NEG   R0, R0
	CMP   $11, R0           // EAGAIN of openat2: somebody renames
	BNE   failed
	CMP   $437, R8
	BNE   failed
	CBZ   R23, failed
	SUB   $1, R23
	B     syscall

failed:
	// An error: is it one of the four that are expected?
	ADD  $56, R19, R1
	ADD  $64, R19, R2
	MOVZ $0xffff, R4

match:
	MOVHU.P 2(R1), R3
	CMP     R0, R3
	BEQ     jump
	CMP     R4, R3
	BEQ     jump
	CMP     R2, R1
	BLO     match
	MOVD    R19, (62*8)(R20)
	MOVD    R0, (63*8)(R20)
	MOVD    16(R21), R19
	B       next

jump:
	MOVWU 64(R19), R19
	B     next

branch:
	MOVD (R20)(R9<<3), R0
	CMP  $1, R10
	BLT  equal
	BEQ  notEqual
	CMP  $2, R10
	BEQ  less
	CMP  R11, R0
	BGE  jump
	B    advance

equal:
	CMP R11, R0
	BEQ jump
	B   advance

notEqual:
	CMP R11, R0
	BNE jump
	B   advance

less:
	CMP R11, R0
	BLT jump
	B   advance

store:
	MOVD (R20)(R9<<3), R0
	CMP  $2, R10
	BLT  store1
	BEQ  store2
	CMP  $4, R10
	BEQ  store4
	MOVD R0, (R11)
	B    advance

store1:
	MOVB R0, (R11)
	B    advance

store2:
	MOVH R0, (R11)
	B    advance

store4:
	MOVW R0, (R11)
	B    advance

load:
	CMP  $2, R10
	BLT  load1
	BEQ  load2
	CMP  $4, R10
	BEQ  load4
	MOVD (R11), R0
	B    set

load1:
	MOVBU (R11), R0
	B     set

load2:
	MOVHU (R11), R0
	B     set

load4:
	MOVWU (R11), R0
	B     set

trap:
	UNDEF

	// endMarker
	WORD $0x7472cccc
	WORD $0x646e652d
	WORD $0xcccccccc

DATA ·interpreterAddr(SB)/8, $·interpreter(SB)
GLOBL ·interpreterAddr(SB), NOPTR, $8
