package image

import (
	"bytes"
	"sync"
	"unsafe"
)

// interpreterAddr is the address of the interpreter's first instruction. The
// assembly file defines it: a Go reference to the function would give the
// address of an ABI wrapper.
var interpreterAddr *byte

// interpreterCode copies the interpreter's machine code out of rt's own text.
// It ends at a marker that no instruction of it contains.
var interpreterCode = sync.OnceValue(func() []byte {
	code := unsafe.Slice(interpreterAddr, textEnd)
	if end := bytes.Index(code, []byte(endMarker)); end >= 0 {
		return bytes.Clone(code[:end])
	}
	return code
})

const endMarker = "\xcc\xccrt-end\xcc\xcc\xcc\xcc"
