//go:build failing

package program

import (
	"slices"

	"golang.org/x/sys/unix"
)

// HaltMark is the last argument of the futex(2) in which a halted program waits: a test
// finds the process by it in /proc/PID/syscall.
const HaltMark = 0x68616c74

// WithFailure is a copy of the program in which instruction i, whose record is at addr,
// fails with errno without being executed. What the instruction does about errors stays.
func (p *Program) WithFailure(i int, errno unix.Errno, addr uint64) *Program {
	q, at := p.diverted(i)
	ins := p.Instructions[i]
	q.insert(at, Instruction{Op: OpMove, Dst: ins.Dst, NArgs: 1, Args: [6]Arg{Imm(-int64(errno))}, Target: Next, Note: ins.Note})
	if slices.Contains(ins.Errnos[:], Errno(errno)) || slices.Contains(ins.Errnos[:], AnyErrno) {
		target := ins.Target
		if target == Next {
			target = q.label("after the failure", i+1)
		}
		q.insert(at+1, Instruction{Op: OpJump, Target: target, Note: ins.Note})
		return q
	}
	q.insert(at+1, Instruction{Op: OpMove, Dst: FailedAt, NArgs: 1, Args: [6]Arg{Imm(addr)}, Target: Next, Note: ins.Note})
	q.insert(at+2, Instruction{Op: OpMove, Dst: FailedWith, NArgs: 1, Args: [6]Arg{Imm(uint64(errno))}, Target: Next, Note: ins.Note})
	q.insert(at+3, Instruction{Op: OpJump, Target: p.Fail, Note: ins.Note})
	return q
}

// WithHalt is a copy of the program that waits for ever before instruction i.
func (p *Program) WithHalt(i int) *Program {
	q, at := p.diverted(i)
	word := len(q.Items)
	q.Items = append(slices.Clip(q.Items), Item{Name: "halted", Size: 8, Writable: true})
	const wait = 9 // FUTEX_WAIT_BITSET
	args := [6]Arg{At(Ref{Item: word}), Imm(wait), Imm(0), Imm(0), Imm(0), Imm(HaltMark)}
	q.insert(at, Instruction{Op: OpSyscall, Call: Futex, NArgs: 6, Args: args, Errnos: [MaxErrnos]Errno{AnyErrno}, Target: Next, Note: p.Instructions[i].Note})
	q.insert(at+1, Instruction{Op: OpJump, Target: q.label("halt", at), Note: p.Instructions[i].Note})
	return q
}

// diverted is a copy in which instruction i jumps behind the end.
func (p *Program) diverted(i int) (*Program, int) {
	q, at := *p, len(p.Instructions)
	q.Instructions, q.labels = slices.Clone(p.Instructions), slices.Clone(p.labels)
	q.Instructions[i] = Instruction{Op: OpJump, Target: q.label("failure", at), Note: p.Instructions[i].Note}
	return &q, at
}

func (p *Program) label(name string, at int) Label {
	p.labels = append(p.labels, labelInfo{name, at})
	return Label(len(p.labels) - 1)
}

func (p *Program) insert(at int, ins Instruction) {
	p.Instructions = slices.Insert(p.Instructions, at, ins)
}
