package image

// The image's memory. Addresses and file offsets are congruent modulo 64 KiB,
// the largest page size of the supported architectures, so that every segment
// starts in the file where the one before it ended.
const (
	maxPage = 0x10000

	textBase  = 0x200000   // ELF header and interpreter: readable, executable
	constBase = 0x400000   // header, records, constants: readable
	dataBase  = 0x10000000 // patched data, registers: writable

	elfHeaderSize  = 64
	progHeaderSize = 56
	segments       = 4
	textOffset     = elfHeaderSize + segments*progHeaderSize
	textEnd        = 0x400

	// headerAddr is known to the interpreters. The header holds the addresses of the first
	// record, of the registers, and of the failure handler, and how often to repeat an
	// openat2(2) that a rename elsewhere disturbs.
	headerAddr = constBase + textEnd
	headerSize = 32
	codeAddr   = headerAddr + headerSize
)

// A record is one instruction as the interpreter reads it, little endian:
//
//	 0  u32     system call number
//	 4  u8      operation
//	 5  u8      destination register (of a branch or a store: the register read)
//	 6  u8      bit i: argument i is the number of a register
//	 7  u8      comparison of a branch, width of a load or store
//	 8  u64[6]  arguments
//	56  u16[4]  expected errnos; 0 none, 0xffff any
//	64  u32     address to go to
//	68  u32     zero
const (
	recordSize = 72

	offOp     = 4
	offDst    = 5
	offMask   = 6
	offFlag   = 7
	offArgs   = 8
	offErrnos = 56
	offTarget = 64
)
