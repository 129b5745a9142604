package image

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/rtcontainers/rt/libcontainer/internal/program"
)

// encode writes the record of an instruction at addr to b, which is zeroed.
func encode(b []byte, p *program.Program, l *program.Layout, ins *program.Instruction, addr uint64) {
	var mask, flag uint8
	for i, a := range ins.Args[:ins.NArgs] {
		if a.Kind == program.Register {
			mask |= 1 << i
		}
	}
	var nr uint32
	switch ins.Op {
	case program.OpSyscall:
		nr = ins.Call.Number()
	case program.OpBranch:
		flag = uint8(ins.Cond)
	case program.OpLoad, program.OpStore:
		flag = ins.Size
	}
	target := addr + recordSize
	if ins.Target != program.Next {
		target = codeAddr + uint64(p.Target(ins.Target))*recordSize
	}
	le := binary.LittleEndian
	le.PutUint32(b, nr)
	b[offOp], b[offDst], b[offMask], b[offFlag] = uint8(ins.Op), uint8(ins.Dst), mask, flag
	for i, a := range ins.Args[:ins.NArgs] {
		v := a.Value
		if a.Kind == program.Address {
			v = l.Addr(a.Ref())
		}
		le.PutUint64(b[offArgs+8*i:], v)
	}
	for i, e := range ins.Errnos {
		le.PutUint16(b[offErrnos+2*i:], uint16(e))
	}
	le.PutUint64(b[offTarget:], target)
}

// Record is a decoded record. Addresses stay numbers: an image does not contain the names
// of what they point to.
type Record struct {
	Nr     uint32
	Op     program.Op
	Dst    program.Reg
	Mask   uint8
	Flag   uint8
	Args   [6]uint64
	Errnos [program.MaxErrnos]program.Errno
	Target uint32
}

// Decode reads the records of code back. Tests use it to look at an encoding.
func Decode(code []byte) ([]Record, error) {
	if len(code)%recordSize != 0 {
		return nil, errors.New("image: truncated record")
	}
	var list []Record
	for i := 0; len(code) > 0; i++ {
		r := Record{
			Nr: binary.LittleEndian.Uint32(code), Op: program.Op(code[offOp]), Dst: program.Reg(code[offDst]),
			Mask: code[offMask], Flag: code[offFlag], Target: binary.LittleEndian.Uint32(code[offTarget:]),
		}
		if r.Op > program.OpMove || r.Dst >= program.NumRegs || r.Mask >= 1<<6 {
			return nil, fmt.Errorf("image: record %d is malformed", i)
		}
		for j := range r.Args {
			r.Args[j] = binary.LittleEndian.Uint64(code[offArgs+8*j:])
		}
		for j := range r.Errnos {
			r.Errnos[j] = program.Errno(binary.LittleEndian.Uint16(code[offErrnos+2*j:]))
		}
		list = append(list, r)
		code = code[recordSize:]
	}
	return list, nil
}
