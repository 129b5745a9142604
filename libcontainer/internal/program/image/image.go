// Package image turns a program into a static ELF executable: an interpreter
// of some hundred machine instructions, the program's records and its data.
// No segment is both writable and executable.
package image

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
)

// Image is an executable that runs a program.
type Image struct {
	bytes []byte
	count int
}

// Link makes the executable of a program for the architecture rt runs on.
func Link(p *program.Program) (*Image, error) {
	p, err := prepared(p)
	if err != nil {
		return nil, err
	}
	text := interpreterCode()
	if textOffset+len(text) > textEnd {
		return nil, fmt.Errorf("image: interpreter of %d bytes does not fit", len(text))
	}
	layout, err := p.Lay()
	if err != nil {
		return nil, err
	}
	codeSize := len(p.Instructions) * recordSize
	constSize := headerSize + codeSize + layout.ReadOnly
	dataOffset := (textEnd + constSize + 7) &^ 7
	dataAddr := uint64(dataBase + dataOffset%maxPage)
	// One word of the segment is in the file even if the program has no data of its own.
	// The registers are after the program's zeros.
	dataSize := max(layout.Writable, 8)
	regs := dataAddr + uint64(dataSize+layout.Zeros)
	memSize := uint64(dataSize + layout.Zeros + 8*program.NumRegs)
	if codeAddr+constSize > dataBase || memSize > 1<<31 {
		return nil, errors.New("image: program too large")
	}

	b := make([]byte, dataOffset+dataSize)
	putHeaders(b, constSize, dataOffset, dataAddr, dataSize, memSize)
	copy(b[textOffset:], text)
	le := binary.LittleEndian
	header := b[textEnd:]
	le.PutUint64(header, codeAddr)
	le.PutUint64(header[8:], regs)
	le.PutUint64(header[16:], codeAddr+uint64(p.Target(p.Fail))*recordSize)
	if !defence.Off(defence.RetriedWalks) {
		le.PutUint64(header[24:], program.Retries)
	}
	code, constants := header[headerSize:][:codeSize], header[headerSize+codeSize:]
	layout.Fill(uint64(codeAddr+codeSize), dataAddr, constants[:layout.ReadOnly], b[dataOffset:])
	for i := range p.Instructions {
		encode(code[i*recordSize:][:recordSize], p, layout, &p.Instructions[i], codeAddr+uint64(i)*recordSize)
	}
	return &Image{bytes: b, count: len(p.Instructions)}, nil
}

// Executable links a program into a sealed file.
func Executable(p *program.Program) (*os.File, error) {
	im, err := Link(p)
	if err != nil {
		return nil, err
	}
	return im.File()
}

// Bytes is the executable file.
func (im *Image) Bytes() []byte { return im.bytes }

// Code is the part of the file that holds the records.
func (im *Image) Code() []byte {
	return im.bytes[codeAddr-constBase:][:im.count*recordSize]
}

// Index is the instruction whose record is at addr, or -1.
func (im *Image) Index(addr uint64) int { return Index(addr) }

// Index is the place in its program of the record at addr, or -1 if no record can be
// there.
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
