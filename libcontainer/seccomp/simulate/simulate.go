// Package simulate runs a seccomp filter as the kernel does, on a struct
// seccomp_data. It refuses what the kernel refuses to install.
package simulate

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// Data is a system call as a filter sees it: struct seccomp_data (seccomp(2)).
type Data struct {
	Number int32
	Arch   uint32
	IP     uint64
	Args   [6]uint64
}

// Places in struct seccomp_data.
const (
	offIP    = 8
	offArgs  = 16
	dataSize = 64
)

func (d *Data) encode(order binary.ByteOrder, b *[dataSize]byte) {
	order.PutUint32(b[0:], uint32(d.Number))
	order.PutUint32(b[4:], d.Arch)
	order.PutUint64(b[8:], d.IP)
	for i, arg := range d.Args {
		order.PutUint64(b[16+8*i:], arg)
	}
}

// Program is a filter that has been checked.
type Program struct {
	code  []unix.SockFilter
	order binary.ByteOrder
}

// New checks a filter by the rules of the kernel (net/core/filter.c,
// bpf_check_classic, and kernel/seccomp.c, seccomp_check_filter): every jump
// stays inside, only words of the data are loaded, the end is a return.
func New(code []unix.SockFilter, order binary.ByteOrder) (*Program, error) {
	if n := len(code); n == 0 || n > 4096 {
		return nil, fmt.Errorf("%d instructions", n)
	}
	for i, in := range code {
		left := uint32(len(code) - i - 1)
		switch in.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			if in.K >= dataSize || in.K%4 != 0 {
				return nil, fmt.Errorf("%d: load of offset %d", i, in.K)
			}
		case unix.BPF_JMP | unix.BPF_JA:
			if in.K >= left {
				return nil, fmt.Errorf("%d: jump out of the program", i)
			}
		case unix.BPF_JMP | unix.BPF_JEQ, unix.BPF_JMP | unix.BPF_JGT,
			unix.BPF_JMP | unix.BPF_JGE, unix.BPF_JMP | unix.BPF_JSET:
			if uint32(in.Jt) >= left || uint32(in.Jf) >= left {
				return nil, fmt.Errorf("%d: jump out of the program", i)
			}
		case unix.BPF_ALU | unix.BPF_AND, unix.BPF_RET:
		default:
			return nil, fmt.Errorf("%d: unknown instruction %#x", i, in.Code)
		}
	}
	if code[len(code)-1].Code != unix.BPF_RET {
		return nil, fmt.Errorf("the last instruction is no return")
	}
	return &Program{code, order}, nil
}

// Run returns the filter's result and how many instructions it took.
func (p *Program) Run(d *Data) (result uint32, steps int) {
	result, steps, _ = p.run(d, nil)
	return result, steps
}

// RunKnown returns the filter's result for a call of which some arguments are not
// known, and whether they did not matter: the filter has looked at none of them.
func (p *Program) RunKnown(d *Data, unknown [6]bool) (result uint32, known bool) {
	result, _, known = p.run(d, &unknown)
	return result, known
}

func (p *Program) run(d *Data, unknown *[6]bool) (result uint32, steps int, known bool) {
	var data [dataSize]byte
	d.encode(p.order, &data)
	var a uint32
	for pc := 0; ; pc++ {
		steps++
		in := &p.code[pc]
		switch in.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			if unknown != nil && (in.K == offIP || in.K == offIP+4 || in.K >= offArgs && unknown[(in.K-offArgs)/8]) {
				return 0, steps, false
			}
			a = p.order.Uint32(data[in.K:])
		case unix.BPF_ALU | unix.BPF_AND:
			a &= in.K
		case unix.BPF_RET:
			return in.K, steps, true
		case unix.BPF_JMP | unix.BPF_JA:
			pc += int(in.K)
		default:
			if holds(in, a) {
				pc += int(in.Jt)
			} else {
				pc += int(in.Jf)
			}
		}
	}
}

func holds(in *unix.SockFilter, a uint32) bool {
	switch in.Code {
	case unix.BPF_JMP | unix.BPF_JEQ:
		return a == in.K
	case unix.BPF_JMP | unix.BPF_JGT:
		return a > in.K
	case unix.BPF_JMP | unix.BPF_JGE:
		return a >= in.K
	}
	return a&in.K != 0
}

// Depth is the length of the longest path through the program, returns
// included.
func (p *Program) Depth() int {
	depth := make([]int, len(p.code))
	for i := len(p.code) - 1; i >= 0; i-- {
		in := p.code[i]
		switch in.Code & 0x07 {
		case unix.BPF_RET:
			depth[i] = 1
		case unix.BPF_JMP:
			if in.Code == unix.BPF_JMP|unix.BPF_JA {
				depth[i] = 1 + depth[i+1+int(in.K)]
			} else {
				depth[i] = 1 + max(depth[i+1+int(in.Jt)], depth[i+1+int(in.Jf)])
			}
		default:
			depth[i] = 1 + depth[i+1]
		}
	}
	return depth[0]
}
