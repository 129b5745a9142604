package program

import (
	"encoding/binary"
	"fmt"
)

// Ref points into a data item.
type Ref struct {
	Item   int
	Offset int
}

// Plus moves the reference by n bytes.
func (r Ref) Plus(n int) Ref { return Ref{r.Item, r.Offset + n} }

// Item is a piece of a program's data. Writable items without Bytes take no space in the
// file: they start as zeros.
type Item struct {
	Name     string
	Bytes    []byte
	Size     int // bytes reserved, at least len(Bytes)
	Writable bool
	Text     bool // a NUL-terminated string
	Relocs   []Reloc
}

// Reloc asks the linker to put the 64-bit address of To at Offset of the item.
type Reloc struct {
	Offset int
	To     Ref
}

// Field is one member of a structure in the data section.
type Field struct {
	size int
	val  uint64
	ref  Ref
	addr bool
}

// U16, U32 and U64 are members of that width; Ptr is an address.
func U16(v uint16) Field { return Field{size: 2, val: uint64(v)} }

// U32 is a 32-bit member.
func U32(v uint32) Field { return Field{size: 4, val: uint64(v)} }

// U64 is a 64-bit member.
func U64(v uint64) Field { return Field{size: 8, val: v} }

// Ptr is a member that holds the address of ref.
func Ptr(ref Ref) Field { return Field{size: 8, ref: ref, addr: true} }

// Str returns the address of s as a C string. Equal strings share one copy.
func (b *Builder) Str(s string) Arg { return At(b.StrRef(s)) }

// StrRef is Str for use inside structures.
func (b *Builder) StrRef(s string) Ref {
	if i, ok := b.strings[s]; ok {
		return Ref{Item: i}
	}
	bytes := make([]byte, len(s)+1)
	copy(bytes, s)
	ref := b.item(Item{Bytes: bytes, Text: true})
	b.strings[s] = ref.Item
	return ref
}

// Bytes places constant bytes.
func (b *Builder) Bytes(name string, data []byte) Ref {
	return b.item(Item{Name: name, Bytes: data})
}

// Buffer reserves n writable bytes that start as zeros.
func (b *Builder) Buffer(name string, n int) Ref {
	return b.item(Item{Name: name, Size: n, Writable: true})
}

// Struct places a constant structure.
func (b *Builder) Struct(name string, fields ...Field) Ref {
	return b.item(structItem(name, fields))
}

// WritableStruct places a structure that the program patches while it runs.
func (b *Builder) WritableStruct(name string, fields ...Field) Ref {
	it := structItem(name, fields)
	it.Writable = true
	return b.item(it)
}

// Strings places a NULL-terminated array of C strings, as argv and envp are.
func (b *Builder) Strings(name string, list []string) Ref {
	fields := make([]Field, 0, len(list)+1)
	for _, s := range list {
		fields = append(fields, Ptr(b.StrRef(s)))
	}
	return b.Struct(name, append(fields, U64(0))...)
}

func (b *Builder) item(it Item) Ref {
	if it.Size < len(it.Bytes) {
		it.Size = len(it.Bytes)
	}
	b.p.Items = append(b.p.Items, it)
	return Ref{Item: len(b.p.Items) - 1}
}

// structItem lays the fields out as C does: each at a multiple of its size.
func structItem(name string, fields []Field) Item {
	it := Item{Name: name, Bytes: make([]byte, 0, 8*len(fields))}
	for _, f := range fields {
		for len(it.Bytes)%f.size != 0 {
			it.Bytes = append(it.Bytes, 0)
		}
		if f.addr {
			it.Relocs = append(it.Relocs, Reloc{len(it.Bytes), f.ref})
		}
		switch f.size {
		case 2:
			it.Bytes = binary.LittleEndian.AppendUint16(it.Bytes, uint16(f.val))
		case 4:
			it.Bytes = binary.LittleEndian.AppendUint32(it.Bytes, uint32(f.val))
		case 8:
			it.Bytes = binary.LittleEndian.AppendUint64(it.Bytes, f.val)
		}
	}
	return it
}

// Layout says where the items of a program are in memory: in a section of constants, and
// in one that the program writes to.
type Layout struct {
	p *Program
	// addrs are the items' places in their sections; after Fill, their addresses.
	addrs []uint64
	// ReadOnly and Writable are the sizes of the sections' contents in bytes;
	// Zeros is how much zeroed memory follows Writable.
	ReadOnly, Writable, Zeros int
}

// Lay finds a place for every item.
func (p *Program) Lay() (*Layout, error) {
	l := &Layout{p: p, addrs: make([]uint64, len(p.Items))}
	for i := range p.Items {
		it := &p.Items[i]
		switch {
		case !it.Writable:
			at := align(l.ReadOnly, it.align())
			l.addrs[i], l.ReadOnly = uint64(at), at+len(it.Bytes)
		case len(it.Bytes) > 0:
			l.addrs[i], l.Writable = uint64(l.Writable), align(l.Writable+len(it.Bytes), 8)
		}
		for _, r := range it.Relocs {
			if r.To.Item >= len(p.Items) {
				return nil, fmt.Errorf("program: %s points to data that does not exist", it.Name)
			}
		}
	}
	for i := range p.Items {
		if it := &p.Items[i]; it.Writable && len(it.Bytes) == 0 {
			l.addrs[i] = uint64(l.Writable + l.Zeros)
			l.Zeros += align(it.Size, 8)
		}
	}
	return l, nil
}

// Fill writes the contents of the two sections, which start at the addresses ro and rw, to
// zeroed memory of their sizes.
func (l *Layout) Fill(ro, rw uint64, readOnly, writable []byte) {
	for i := range l.p.Items {
		section, base := readOnly, ro
		if l.p.Items[i].Writable {
			section, base = writable, rw
		}
		if bytes := l.p.Items[i].Bytes; len(bytes) > 0 { // otherwise it may be after the section
			copy(section[l.addrs[i]:], bytes)
		}
		l.addrs[i] += base
	}
	for i := range l.p.Items {
		section, base := readOnly, ro
		if l.p.Items[i].Writable {
			section, base = writable, rw
		}
		for _, r := range l.p.Items[i].Relocs {
			binary.LittleEndian.PutUint64(section[l.addrs[i]-base+uint64(r.Offset):], l.Addr(r.To))
		}
	}
}

// Addr is the address of ref, after Fill.
func (l *Layout) Addr(ref Ref) uint64 { return l.addrs[ref.Item] + uint64(ref.Offset) }

func (it *Item) align() int {
	if it.Text {
		return 1
	}
	return 8
}

func align(n, to int) int { return (n + to - 1) / to * to }
