package perf

import (
	"encoding/binary"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ring is the memory that the kernel writes records to: a page that says how far it is, and a buffer
// of ringPages pages. See perf_event_open(2), "MMAP layout".
type ring struct {
	memory []byte
	page   *unix.PerfEventMmapPage
	data   []byte
}

func mapRing(fd int) (*ring, error) {
	page := os.Getpagesize()
	memory, err := unix.Mmap(fd, 0, (1+ringPages)*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap of a perf ring", err)
	}
	return &ring{memory: memory, page: (*unix.PerfEventMmapPage)(unsafe.Pointer(&memory[0])), data: memory[page:]}, nil
}

// headerSize is the size of a record's head: type, misc, size.
const headerSize = 8

// drain hands every record to take, with its head, and frees the ring.
func (r *ring) drain(take func(record []byte) error) error {
	head, tail := atomic.LoadUint64(&r.page.Data_head), r.page.Data_tail
	defer func() { atomic.StoreUint64(&r.page.Data_tail, tail) }()
	for tail < head {
		size := uint64(binary.NativeEndian.Uint16(r.copy(tail, headerSize)[6:]))
		record := r.copy(tail, size)
		tail += size
		if err := take(record); err != nil {
			return err
		}
	}
	return nil
}

// copy returns bytes that may continue at the ring's beginning.
func (r *ring) copy(from, size uint64) []byte {
	out := make([]byte, size)
	n := copy(out, r.data[from%uint64(len(r.data)):])
	copy(out[n:], r.data)
	return out
}

func ioctlID(fd int) (id uint64, err error) {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.PERF_EVENT_IOC_ID, uintptr(unsafe.Pointer(&id)))
	if errno != 0 {
		return 0, errno
	}
	return id, nil
}
