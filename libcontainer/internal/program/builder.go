package program

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// Builder assembles a program. Its methods never fail; Build reports wrong arguments.
type Builder struct {
	p       Program
	strings map[string]int
	free    []Reg
	nextReg Reg
	note    *Note
	errs    []error
	// written are the registers that have a value; only CheckRegisters uses it.
	written [NumRegs]bool
}

// CheckRegisters makes programming errors panic: a register that is freed twice, used
// after it was freed, or read before it was written. Tests set it.
var CheckRegisters = false

// slip panics if r is not a register that may be used, or read.
func (b *Builder) slip(r Reg, read bool) {
	switch {
	case !CheckRegisters || r == Scratch || r >= FailedAt:
	case slices.Contains(b.free, r) || r >= b.nextReg:
		panic(fmt.Sprintf("program: r%d is used after it was freed, at %+v", r, *b.note))
	case read && !b.written[r]:
		panic(fmt.Sprintf("program: r%d is read before it was written, at %+v", r, *b.note))
	}
}

// NewBuilder returns an empty builder.
func NewBuilder() *Builder {
	b := &Builder{strings: map[string]int{}, nextReg: firstFree, note: new(Note)}
	b.p.Instructions = make([]Instruction, 0, 1024)
	b.p.Items = make([]Item, 0, 192)
	b.p.labels = make([]labelInfo, 0, 192)
	b.p.Fail = Next
	return b
}

// Source sets the field of config.json and the purpose that the following
// instructions carry.
func (b *Builder) Source(field, purpose string) { b.note = &Note{field, purpose} }

// CurrentNote is what Source set last.
func (b *Builder) CurrentNote() Note { return *b.note }

// Reg takes a free register. Return it with Free.
func (b *Builder) Reg() Reg {
	if n := len(b.free); n > 0 {
		r := b.free[n-1]
		b.free = b.free[:n-1]
		b.written[r] = false
		return r
	}
	if b.nextReg >= FailedAt {
		b.errs = append(b.errs, errors.New("program: out of registers"))
		return Scratch
	}
	b.nextReg++
	return b.nextReg - 1
}

// Free gives registers back.
func (b *Builder) Free(regs ...Reg) {
	for _, r := range regs {
		b.slip(r, false)
	}
	b.free = append(b.free, regs...)
}

// Regs is a set of taken registers.
type Regs struct {
	free    []Reg
	next    Reg
	written [NumRegs]bool
}

// Regs returns which registers are taken now.
func (b *Builder) Regs() Regs { return Regs{slices.Clone(b.free), b.nextReg, b.written} }

// SetRegs restores what Regs returned, for code that is emitted later than its place in
// the flow of the program, where those registers are in use.
func (b *Builder) SetRegs(r Regs) {
	b.free, b.nextReg, b.written = slices.Clone(r.free), r.next, r.written
}

// NewLabel makes a label that is not bound yet.
func (b *Builder) NewLabel(name string) Label {
	b.p.labels = append(b.p.labels, labelInfo{name: name, at: -1})
	return Label(len(b.p.labels) - 1)
}

// Bind lets the label stand for the next instruction.
func (b *Builder) Bind(l Label) {
	if b.p.labels[l].at >= 0 {
		b.errs = append(b.errs, fmt.Errorf("program: label %s bound twice", b.p.labels[l].name))
	}
	b.p.labels[l].at = len(b.p.Instructions)
}

// Here binds a new label to the next instruction.
func (b *Builder) Here(name string) Label {
	l := b.NewLabel(name)
	b.Bind(l)
	return l
}

// Step is an instruction that was just emitted, to be refined.
type Step struct {
	b *Builder
	i int
}

func (s Step) ins() *Instruction { return &s.b.p.Instructions[s.i] }

// Index is the instruction's place in the program.
func (s Step) Index() int { return s.i }

// To keeps the result of the call in r: -errno after an expected error.
func (s Step) To(r Reg) Step {
	s.b.slip(r, false)
	s.b.written[r] = true
	s.ins().Dst = r
	return s
}

// SetArg replaces an argument that is known only when the whole program is.
func (s Step) SetArg(i int, a Arg) { s.ins().Args[i] = a }

// For replaces the purpose of this one instruction.
func (s Step) For(purpose string) Step {
	s.ins().Note = &Note{s.ins().Source, purpose}
	return s
}

// Ignore continues with the next instruction after one of these errors, or after any error
// if none is named.
func (s Step) Ignore(errnos ...unix.Errno) Step { return s.OnError(Next, errnos...) }

// OnError goes to the label after one of these errors, or after any error if none is
// named. All expected errors of an instruction share one label.
func (s Step) OnError(l Label, errnos ...unix.Errno) Step {
	ins := s.ins()
	if len(errnos) > MaxErrnos || ins.Errnos[0] != 0 {
		s.b.errs = append(s.b.errs, fmt.Errorf("program: instruction %d: too many expected errors", s.i))
		return s
	}
	for i, e := range errnos {
		ins.Errnos[i] = Errno(e)
	}
	if len(errnos) == 0 {
		ins.Errnos[0] = AnyErrno
	}
	ins.Target = l
	return s
}

func (b *Builder) emit(ins Instruction) Step {
	ins.Note = b.note
	for _, a := range ins.Args[:ins.NArgs] {
		if a.Kind == Register {
			b.slip(Reg(a.Value), true)
		}
	}
	switch ins.Op {
	case OpBranch, OpStore:
		b.slip(ins.Dst, true)
	case OpLoad, OpMove:
		b.slip(ins.Dst, false)
		b.written[ins.Dst] = true
	}
	b.p.Instructions = append(b.p.Instructions, ins)
	return Step{b, len(b.p.Instructions) - 1}
}

// Do emits a system call.
func (b *Builder) Do(c Call, args ...Arg) Step {
	ins := Instruction{Op: OpSyscall, Call: c, Target: Next, NArgs: uint8(len(args))}
	copy(ins.Args[:], args)
	return b.emit(ins)
}

// Jump goes to the label.
func (b *Builder) Jump(l Label) Step { return b.emit(Instruction{Op: OpJump, Target: l}) }

// Branch goes to the label when r compares with v as cond says.
func (b *Builder) Branch(r Reg, cond Cond, v int64, l Label) Step {
	return b.emit(Instruction{Op: OpBranch, Dst: r, Cond: cond, NArgs: 1, Args: [6]Arg{Imm(v)}, Target: l})
}

// Store writes the size (1, 2, 4 or 8) low bytes of r to ref.
func (b *Builder) Store(r Reg, size uint8, ref Ref) Step {
	return b.emit(Instruction{Op: OpStore, Dst: r, Size: size, NArgs: 1, Args: [6]Arg{At(ref)}, Target: Next})
}

// Load reads size (1, 2, 4 or 8) bytes at ref into r, zero-extended.
func (b *Builder) Load(r Reg, size uint8, ref Ref) Step {
	return b.emit(Instruction{Op: OpLoad, Dst: r, Size: size, NArgs: 1, Args: [6]Arg{At(ref)}, Target: Next})
}

// Move puts v, a number or an address, into r.
func (b *Builder) Move(r Reg, v Arg) Step {
	return b.emit(Instruction{Op: OpMove, Dst: r, NArgs: 1, Args: [6]Arg{v}, Target: Next})
}

// FailAt names the place of the failure handler.
func (b *Builder) FailAt(l Label) { b.p.Fail = l }

// Len is the number of instructions so far.
func (b *Builder) Len() int { return len(b.p.Instructions) }

// Instructions are a range of the instructions so far.
func (b *Builder) Instructions(from, to int) []Instruction { return b.p.Instructions[from:to] }

// Build returns the finished program after checking it: every used label is bound, every
// register exists, no store goes to a constant, and there is a failure handler.
func (b *Builder) Build() (*Program, error) {
	errs := b.errs
	if b.p.Fail == Next {
		errs = append(errs, errors.New("program: no failure handler"))
	}
	for i := range b.p.Instructions {
		if err := b.check(&b.p.Instructions[i]); err != nil {
			errs = append(errs, fmt.Errorf("program: instruction %d: %w", i, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &b.p, nil
}

func (b *Builder) check(ins *Instruction) error {
	if ins.Target >= 0 {
		if at := b.p.labels[ins.Target].at; at < 0 || at >= len(b.p.Instructions) {
			return fmt.Errorf("label %s is not bound to an instruction", b.p.labels[ins.Target].name)
		}
	} else if ins.Op == OpJump || ins.Op == OpBranch {
		return errors.New("jump without a target")
	}
	for _, a := range ins.Args[:ins.NArgs] {
		if a.Kind == Register && a.Value >= NumRegs {
			return fmt.Errorf("no register %d", a.Value)
		}
	}
	if ins.Op == OpStore {
		if it := b.p.Items[ins.Args[0].Ref().Item]; !it.Writable {
			return fmt.Errorf("store to the constant %s", it.Name)
		}
	}
	return nil
}
