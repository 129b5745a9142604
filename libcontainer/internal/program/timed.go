package program

import "golang.org/x/sys/unix"

// stampSize is the size of a struct timespec.
const stampSize = 16

// Timed returns the program with a clock: before it carries out an instruction for which
// include is true, it writes the time, CLOCK_REALTIME, to the memory at base. Each of its
// instructions has a struct timespec there, by its index. Those beyond size bytes have
// none. The second result is the new index of each instruction.
func (p *Program) Timed(base uint64, size int, include func(i int) bool) (*Program, []int) {
	timed := *p
	timed.Instructions = make([]Instruction, 0, 2*len(p.Instructions))
	moved, reached := make([]int, len(p.Instructions)), make([]int, len(p.Instructions))
	for i, ins := range p.Instructions {
		reached[i] = len(timed.Instructions)
		if slot := (len(timed.Instructions) + 1) * stampSize; include(i) && slot+stampSize <= size {
			stamp := Instruction{Op: OpSyscall, Call: ClockGettime, Target: Next, NArgs: 2, Note: ins.Note}
			stamp.Args[0], stamp.Args[1] = Imm(unix.CLOCK_REALTIME), Imm(base+uint64(slot))
			stamp.Errnos[0] = AnyErrno
			timed.Instructions = append(timed.Instructions, stamp)
		}
		moved[i] = len(timed.Instructions)
		timed.Instructions = append(timed.Instructions, ins)
	}
	timed.labels = make([]labelInfo, len(p.labels))
	for i, l := range p.labels {
		if l.at >= 0 && l.at < len(reached) {
			l.at = reached[l.at]
		}
		timed.labels[i] = l
	}
	return &timed, moved
}
