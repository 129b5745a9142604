// Package image turns a program into a static ELF executable: an interpreter
// of some hundred machine instructions, the program's records and its data.
// No segment is both writable and executable.
package image

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/rtcontainers/rt/libcontainer/program"
)

// Image is an executable that performs a program.
type Image struct {
	bytes []byte
	count int
}

// Link makes the executable of a program for the architecture rt runs on.
func Link(p *program.Program) (*Image, error) {
	text := interpreterCode()
	if textOffset+len(text) > textEnd {
		return nil, fmt.Errorf("image: interpreter of %d bytes does not fit", len(text))
	}
	codeSize := len(p.Instructions) * recordSize
	roAddr := uint64(codeAddr + codeSize)
	layout, err := p.Lay(roAddr, dataBase)
	if err != nil {
		return nil, err
	}
	constSize := headerSize + codeSize + len(layout.ReadOnly)
	dataOffset := (textEnd + constSize + 7) &^ 7
	dataAddr := uint64(dataBase + dataOffset%maxPage)
	// The writable section's place depends on the size of the constants, which
	// does not depend on any address: lay out again, now with the true one.
	if layout, err = p.Lay(roAddr, dataAddr); err != nil {
		return nil, err
	}
	// The registers lie behind the program's zeros. One word of the segment is
	// in the file even if the program has no data of its own.
	if len(layout.Writable) == 0 {
		layout.Writable = make([]byte, 8)
	}
	regs := dataAddr + uint64(len(layout.Writable)+layout.Zeros)
	memSize := uint64(len(layout.Writable) + layout.Zeros + 8*program.NumRegs)
	if codeAddr+constSize > dataBase || memSize > 1<<31 {
		return nil, errors.New("image: program too large")
	}

	b := make([]byte, textOffset, dataOffset+len(layout.Writable))
	putHeaders(b, constSize, dataOffset, dataAddr, len(layout.Writable), memSize)
	b = append(b, text...)
	b = b[:textEnd]
	b = binary.LittleEndian.AppendUint64(b, codeAddr)
	b = binary.LittleEndian.AppendUint64(b, regs)
	b = binary.LittleEndian.AppendUint64(b, codeAddr+uint64(p.Target(p.Fail))*recordSize)
	b = binary.LittleEndian.AppendUint64(b, 0)
	for i := range p.Instructions {
		b = encode(b, p, layout, &p.Instructions[i], codeAddr+uint64(i)*recordSize)
	}
	b = append(b, layout.ReadOnly...)
	b = b[:dataOffset]
	b = append(b, layout.Writable...)
	return &Image{bytes: b, count: len(p.Instructions)}, nil
}

// Bytes is the executable file.
func (im *Image) Bytes() []byte { return im.bytes }

// Code is the part of the file that holds the records.
func (im *Image) Code() []byte {
	return im.bytes[codeAddr-constBase:][:im.count*recordSize]
}

// Index is the instruction whose record lies at addr, or -1.
func (im *Image) Index(addr uint64) int { return Index(addr) }

// Index is the place in its program of the record at addr, or -1 when no
// record can be there.
func Index(addr uint64) int {
	if addr < codeAddr || (addr-codeAddr)%recordSize != 0 || addr >= dataBase {
		return -1
	}
	return int(addr-codeAddr) / recordSize
}

// Addr is the address of the record of instruction i.
func Addr(i int) uint64 { return codeAddr + uint64(i)*recordSize }

// elf(5): the values used in the headers.
const (
	etExec     = 2
	evCurrent  = 1
	ptLoad     = 1
	ptGNUStack = 0x6474e551
	pfX        = 1
	pfW        = 2
	pfR        = 4
)

func putHeaders(b []byte, constSize, dataOffset int, dataAddr uint64, dataSize int, memSize uint64) {
	le := binary.LittleEndian
	copy(b, "\x7fELF\x02\x01\x01")
	le.PutUint16(b[16:], etExec)
	le.PutUint16(b[18:], elfMachine)
	le.PutUint32(b[20:], evCurrent)
	le.PutUint64(b[24:], textBase+textOffset)
	le.PutUint64(b[32:], elfHeaderSize)
	le.PutUint16(b[52:], elfHeaderSize)
	le.PutUint16(b[54:], progHeaderSize)
	le.PutUint16(b[56:], segments)
	ph := b[elfHeaderSize:]
	segment := func(typ, flags uint32, offset, addr, fileSize, memSize uint64) {
		le.PutUint32(ph, typ)
		le.PutUint32(ph[4:], flags)
		le.PutUint64(ph[8:], offset)
		le.PutUint64(ph[16:], addr)
		le.PutUint64(ph[24:], addr)
		le.PutUint64(ph[32:], fileSize)
		le.PutUint64(ph[40:], memSize)
		le.PutUint64(ph[48:], maxPage)
		ph = ph[progHeaderSize:]
	}
	segment(ptLoad, pfR|pfX, 0, textBase, textEnd, textEnd)
	segment(ptLoad, pfR, textEnd, headerAddr, uint64(constSize), uint64(constSize))
	segment(ptLoad, pfR|pfW, uint64(dataOffset), dataAddr, uint64(dataSize), memSize)
	segment(ptGNUStack, pfR|pfW, 0, 0, 0, 0)
}
