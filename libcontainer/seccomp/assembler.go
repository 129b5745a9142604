package seccomp

import (
	"slices"

	"golang.org/x/sys/unix"
)

// assembler writes a program from its end to its beginning. So the target of
// every jump exists before the jump does, and no labels need resolving: BPF
// jumps only forward.
type assembler struct {
	code    []unix.SockFilter // the last instruction first
	returns []position        // the latest return of each value
}

// position is an instruction's distance from the end of the program.
type position int

const nowhere position = -1

// maxSkip is the largest distance that a conditional jump has (its fields are
// bytes), less one for an instruction that may yet come between.
const maxSkip = 254

func (a *assembler) emit(code uint16, k uint32) position {
	a.code = append(a.code, unix.SockFilter{Code: code, K: k})
	return position(len(a.code) - 1)
}

// skip is the distance to a position from the next instruction to emit.
func (a *assembler) skip(to position) int { return len(a.code) - int(to) - 1 }

// ret is a return instruction of that value, an existing one if it is near.
func (a *assembler) ret(value uint32) position {
	for i, at := range a.returns {
		if a.code[at].K != value {
			continue
		}
		if a.skip(at) > maxSkip {
			a.returns[i] = a.emit(unix.BPF_RET|unix.BPF_K, value)
		}
		return a.returns[i]
	}
	at := a.emit(unix.BPF_RET|unix.BPF_K, value)
	a.returns = append(a.returns, at)
	return at
}

// near is a position that a conditional jump reaches and that leads to the
// given one: itself, another return of the same value, or a long jump.
func (a *assembler) near(to position) position {
	if a.skip(to) <= maxSkip {
		return to
	}
	if target := a.code[to]; target.Code == unix.BPF_RET|unix.BPF_K {
		return a.ret(target.K)
	}
	return a.emit(unix.BPF_JMP|unix.BPF_JA, uint32(a.skip(to)))
}

// jump is a conditional jump: comparison is one of BPF_JEQ, JGT, JGE and JSET.
func (a *assembler) jump(comparison uint16, k uint32, yes, no position) position {
	if yes == no {
		return yes
	}
	yes = a.near(yes)
	no = a.near(no)
	jt, jf := uint8(a.skip(yes)), uint8(a.skip(no))
	at := a.emit(unix.BPF_JMP|comparison|unix.BPF_K, k)
	a.code[at].Jt, a.code[at].Jf = jt, jf
	return at
}

// follow makes sure that the next instruction emitted is executed before the
// one at this position.
func (a *assembler) follow(next position) {
	if skip := a.skip(next); skip > 0 {
		a.emit(unix.BPF_JMP|unix.BPF_JA, uint32(skip))
	}
}

// load loads a word of struct seccomp_data, and mask what the mask leaves.
func (a *assembler) load(offset uint32, next position) position {
	a.follow(next)
	return a.emit(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, offset)
}

func (a *assembler) mask(mask uint32, next position) position {
	a.follow(next)
	return a.emit(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, mask)
}

// program is the code in the order of execution. It begins at the position.
func (a *assembler) program(start position) []unix.SockFilter {
	program := a.code[:start+1]
	slices.Reverse(program)
	return program
}
