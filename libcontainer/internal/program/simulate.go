package program

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Kernel answers the system calls of a simulated program. A result from -4095
// to -1 is an error's negated number, as from the real kernel.
type Kernel interface {
	Syscall(m *Machine, c Call, args [6]uint64) int64
}

// KernelFunc is a Kernel made of a function.
type KernelFunc func(m *Machine, c Call, args [6]uint64) int64

// Syscall calls f.
func (f KernelFunc) Syscall(m *Machine, c Call, args [6]uint64) int64 { return f(m, c, args) }

// Addresses of the simulated sections.
const (
	simCode = 0x10000
	simRO   = 0x1000000
	simRW   = 0x2000000
)

// ErrSteps means that a simulated program did not end.
var ErrSteps = errors.New("program: too many steps")

// Machine runs a program against a Kernel, as the interpreter would.
type Machine struct {
	Regs [NumRegs]uint64
	// At is the index of the current instruction.
	At int

	p      *Program
	layout *Layout
	ro, rw []byte
	halted bool
}

// NewMachine lays the program out for a simulation.
func NewMachine(p *Program) (*Machine, error) {
	l, err := p.Lay()
	if err != nil {
		return nil, err
	}
	m := &Machine{p: p, layout: l, ro: make([]byte, l.ReadOnly), rw: make([]byte, l.Writable+l.Zeros)}
	l.Fill(simRO, simRW, m.ro, m.rw)
	return m, nil
}

// Halt ends the simulation after the current call, as exit or execve do.
func (m *Machine) Halt() { m.halted = true }

// Memory returns the n bytes at addr, writable ones to write to.
func (m *Machine) Memory(addr uint64, n int) ([]byte, error) {
	for _, s := range []struct {
		base  uint64
		bytes []byte
	}{{simRO, m.ro}, {simRW, m.rw}} {
		if addr >= s.base && addr+uint64(n) <= s.base+uint64(len(s.bytes)) {
			return s.bytes[addr-s.base:][:n], nil
		}
	}
	return nil, fmt.Errorf("program: no memory at %#x", addr)
}

// CString reads the string at addr.
func (m *Machine) CString(addr uint64) string {
	var s []byte
	for ; ; addr++ {
		b, err := m.Memory(addr, 1)
		if err != nil || b[0] == 0 {
			return string(s)
		}
		s = append(s, b[0])
	}
}

// Run performs at most limit instructions, until the kernel halts the machine.
func (m *Machine) Run(k Kernel, limit int) error {
	for range limit {
		if m.At < 0 || m.At >= len(m.p.Instructions) {
			return fmt.Errorf("program: ran to %d, outside the program", m.At)
		}
		if err := m.step(k, &m.p.Instructions[m.At]); err != nil {
			return fmt.Errorf("instruction %d: %w", m.At, err)
		}
		if m.halted {
			return nil
		}
	}
	return ErrSteps
}

func (m *Machine) step(k Kernel, ins *Instruction) error {
	var args [6]uint64
	for i, a := range ins.Args[:ins.NArgs] {
		args[i] = m.value(a)
	}
	next := m.At + 1
	switch ins.Op {
	case OpSyscall:
		ret := k.Syscall(m, ins.Call, args)
		for n := 0; ins.Call == Openat2 && ret == -int64(unix.EAGAIN) && n < Retries; n++ {
			ret = k.Syscall(m, ins.Call, args)
		}
		m.Regs[ins.Dst] = uint64(ret)
		if ret < 0 && ret >= -4095 {
			next = m.afterError(ins, unix.Errno(-ret))
		}
		if ins.Call == ExitGroup && !m.halted {
			return errors.New("program: exit_group came back")
		}
	case OpJump:
		next = m.p.Target(ins.Target)
	case OpBranch:
		if ins.Cond.holds(int64(m.Regs[ins.Dst]), int64(args[0])) {
			next = m.p.Target(ins.Target)
		}
	case OpMove:
		m.Regs[ins.Dst] = args[0]
	case OpStore, OpLoad:
		if err := m.access(ins, args[0]); err != nil {
			return err
		}
	}
	m.At = next
	return nil
}

func (m *Machine) access(ins *Instruction, addr uint64) error {
	mem, err := m.Memory(addr, int(ins.Size))
	if err != nil {
		return err
	}
	var word [8]byte
	if ins.Op == OpLoad {
		copy(word[:], mem)
		m.Regs[ins.Dst] = binary.LittleEndian.Uint64(word[:])
		return nil
	}
	if addr < simRW {
		return fmt.Errorf("program: store to constant memory at %#x", addr)
	}
	binary.LittleEndian.PutUint64(word[:], m.Regs[ins.Dst])
	copy(mem, word[:ins.Size])
	return nil
}

func (m *Machine) value(a Arg) uint64 {
	switch a.Kind {
	case Register:
		return m.Regs[a.Value]
	case Address:
		return m.layout.Addr(a.Ref())
	}
	return a.Value
}

// afterError finds where the program continues: an unexpected error goes to the failure
// handler and sets two registers.
func (m *Machine) afterError(ins *Instruction, errno unix.Errno) int {
	for _, e := range ins.Errnos {
		if e != 0 && (e == Errno(errno) || e == AnyErrno) {
			if ins.Target == Next {
				return m.At + 1
			}
			return m.p.Target(ins.Target)
		}
	}
	m.Regs[FailedAt] = simCode + uint64(m.At)
	m.Regs[FailedWith] = uint64(errno)
	return m.p.Target(m.p.Fail)
}

// FailedIndex is the instruction whose failure started the failure handler.
func (m *Machine) FailedIndex() int { return int(m.Regs[FailedAt]) - simCode }

func (c Cond) holds(a, b int64) bool {
	switch c {
	case Eq:
		return a == b
	case Ne:
		return a != b
	case Lt:
		return a < b
	}
	return a >= b
}
