// Package start puts what a short-lived program allocates into one huge page. The Go
// runtime gets its heap page by page, with a page fault for each: half of all that a start
// of rt has. Where the administrator lets programs ask for huge pages
// (/sys/kernel/mm/transparent_hugepage/enabled: madvise), one fault brings 2 MiB. Where
// huge pages are always used the runtime has one already; where they never are, nothing
// changes.
//
// The package imports nothing but internal/stack, and so it is initialised before almost all others.
package start

import "unsafe"

const (
	hugePage = 2 << 20
	// block is an allocation that the runtime takes from the start of its free pages, and
	// that it neither clears nor touches.
	block = 64 << 10
)

// last keeps the blocks on the heap.
var last []byte

func init() {
	if !advisable() {
		return
	}
	// The heap begins anywhere in a huge page (since Go 1.26), and some of that one is in
	// use. The rest of it is skipped.
	var used uintptr
	for i := range hugePage/block + 2 {
		last = make([]byte, block)
		p := uintptr(unsafe.Pointer(unsafe.SliceData(last)))
		if i == 0 {
			used = p / hugePage
		}
		if next := p / hugePage; next != used {
			syscall(sysMadvise, next*hugePage, hugePage, madvHugepage, 0)
			if p%hugePage >= block { // another thread has begun it
				syscall(sysMadvise, next*hugePage, hugePage, madvCollapse, 0)
			}
			break
		}
	}
	last = nil
}

const (
	atFDCWD      = ^uintptr(99)
	oCloexec     = 0x80000
	madvHugepage = 14
	madvCollapse = 25 // since Linux 6.1
)

// advisable tells whether huge pages are for those who ask for them.
func advisable() bool {
	const setting = "/sys/kernel/mm/transparent_hugepage/enabled\x00"
	var buf [64]byte
	fd := syscall(sysOpenat, atFDCWD, uintptr(unsafe.Pointer(unsafe.StringData(setting))), oCloexec, 0)
	if int(fd) < 0 {
		return false
	}
	n := int(syscall(sysRead, fd, uintptr(unsafe.Pointer(&buf)), uintptr(len(buf)), 0))
	syscall(sysClose, fd, 0, 0, 0)
	const chosen = "[madvise]"
	for i := 0; i+len(chosen) <= n; i++ {
		if string(buf[i:i+len(chosen)]) == chosen {
			return true
		}
	}
	return false
}

// syscall makes a short system call. It is for this early time, when package syscall is
// not initialised.
//
//go:noescape
func syscall(number, a, b, c, d uintptr) uintptr
