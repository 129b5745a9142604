// Package program is the instruction set for the birth of a container: a list of system
// calls with a few control instructions between them. The package builds, prints and
// simulates programs; it never touches the system. Package image turns a program into an
// executable.
package program

import (
	"golang.org/x/sys/unix"
)

// Op is the kind of an instruction.
type Op uint8

const (
	// OpSyscall performs a system call and keeps its result in Dst.
	OpSyscall Op = iota
	// OpJump goes to Target.
	OpJump
	// OpBranch goes to Target when Dst compares with Args[0] as Cond says.
	OpBranch
	// OpStore writes the Size low bytes of Dst to the address Args[0].
	OpStore
	// OpLoad reads Size bytes from the address Args[0] into Dst, zero-extended.
	OpLoad
	// OpMove puts the immediate or the address Args[0] into Dst.
	OpMove
)

// Cond is the comparison of a branch. Lt and Ge compare as signed numbers.
type Cond uint8

// The comparisons that the interpreter knows.
const (
	Eq Cond = iota
	Ne
	Lt
	Ge
)

func (c Cond) String() string { return [...]string{"==", "!=", "<", ">="}[c] }

// Reg is one of the interpreter's 64-bit registers.
type Reg uint8

const (
	// NumRegs is the size of the register file.
	NumRegs = 64
	// Scratch receives results that are not needed.
	Scratch Reg = 0
	// FailedAt holds the address of the record that failed while the failure
	// handler runs.
	FailedAt Reg = 62
	// FailedWith holds that call's errno.
	FailedWith Reg = 63
	firstFree  Reg = 1
)

// Label names a place in the program; it may be used before it is bound.
type Label int32

// Next is the label of the following instruction: an error sent there is ignored.
const Next Label = -1

// ArgKind is the kind of an argument.
type ArgKind uint8

// The kinds of arguments.
const (
	Immediate ArgKind = iota
	Register
	Address
)

// Arg is one argument: a number, a register's content or the address of data.
type Arg struct {
	// Value is the number, the register, or the offset into the data item.
	Value uint64
	item  int32
	Kind  ArgKind
}

// Ref is the data that an Address points to.
func (a Arg) Ref() Ref { return Ref{int(a.item), int(a.Value)} }

// Imm is a number as an argument. Negative numbers are sign-extended.
func Imm[T ~int | ~int32 | ~int64 | ~uint | ~uint16 | ~uint32 | ~uint64 | ~uintptr](v T) Arg {
	return Arg{Value: uint64(v)}
}

// R is a register's content as an argument.
func R(r Reg) Arg { return Arg{Kind: Register, Value: uint64(r)} }

// At is the address of data as an argument.
func At(ref Ref) Arg { return Arg{Kind: Address, Value: uint64(ref.Offset), item: int32(ref.Item)} }

// AtFdcwd is the directory argument that means the working directory.
var AtFdcwd = Imm(unix.AT_FDCWD)

// AnyErrno in Instruction.Errnos matches every error.
const AnyErrno = Errno(0xffff)

// MaxErrnos is how many errnos one instruction can distinguish.
const MaxErrnos = 4

// Retries is how often the interpreter repeats an openat2(2) that returns EAGAIN: somebody
// on the system has renamed or mounted something while the path was walked (openat2(2),
// RESOLVE_IN_ROOT). A neighbour that renames all the time must not make a container's
// creation fail; nor may a walk never end.
const Retries = 100_000

// Instruction is one step of a program.
type Instruction struct {
	Op    Op
	Call  Call
	Dst   Reg
	Cond  Cond
	Size  uint8
	NArgs uint8
	// Target is where a jump, a taken branch or a matched error goes.
	Target Label
	Args   [6]Arg
	// Errnos are the errors that are expected.
	Errnos [MaxErrnos]Errno
	*Note
}

// Errno is an errno in few bytes: there are hundreds of instructions.
type Errno uint16

// Note says where instructions come from.
type Note struct {
	// Source is the field of config.json that asked for this, such as "mounts[3]"; Purpose
	// says in words what the step is for.
	Source, Purpose string
}

// Program is a finished list of instructions and the data that they point to.
type Program struct {
	Instructions []Instruction
	Items        []Item
	// Fail is where the interpreter goes after an error that no instruction
	// expected, with FailedAt and FailedWith set.
	Fail Label

	labels []labelInfo
}

type labelInfo struct {
	name string
	at   int // index of the instruction, -1 until bound
}

// Target returns the index of the instruction that the label stands for.
func (p *Program) Target(l Label) int { return p.labels[l].at }
