package perf

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// Kind says what happened.
type Kind int

const (
	Fault Kind = iota + 1
	Switch
	Migration
	// Enter and Return are the two ends of a system call.
	Enter
	Return
	// Fork is the birth of a process or, if the process is the parent's, of a thread.
	Fork
	Exit
	Exec
)

// Event is one record. Process and thread numbers are those of the recorder's namespace.
type Event struct {
	Kind     Kind
	Time     uint64
	PID, TID int
	// Parent is the process that forked.
	Parent int
	// Number of a system call; its arguments if it is Enter, its result if it is Return.
	Number, Result int64
	Args           [6]uint64
	// Address of a fault.
	Address uint64
	// Name is the command's after Exec.
	Name string
}

// decode reads a record. An event without a kind is one of no interest.
func (r *Recorder) decode(record []byte) (Event, error) {
	order := binary.NativeEndian
	body := record[headerSize:]
	u32 := func(at int) int { return int(int32(order.Uint32(body[at:]))) }
	switch order.Uint32(record) {
	case unix.PERF_RECORD_LOST:
		return Event{}, fmt.Errorf("the kernel lost %d records: the ring is too small", order.Uint64(body[8:]))
	case unix.PERF_RECORD_SAMPLE:
		e := Event{
			Kind: r.kinds[order.Uint64(body)], PID: u32(8), TID: u32(12), Time: order.Uint64(body[16:]),
		}
		// A tracepoint's data begins with the four fields that all have: 8 bytes.
		const raw = 32 + 4
		switch e.Kind {
		case Fault:
			e.Address = order.Uint64(body[24:])
		case Enter:
			e.Number = int64(order.Uint64(body[raw+8:]))
			for i := range e.Args {
				e.Args[i] = order.Uint64(body[raw+16+8*i:])
			}
		case Return:
			e.Number, e.Result = int64(order.Uint64(body[raw+8:])), int64(order.Uint64(body[raw+16:]))
		}
		return e, nil
	}
	// Other records end with what sample_id_all adds: process, thread, time, id.
	e := Event{PID: u32(0), TID: u32(4), Time: order.Uint64(body[len(body)-16:])}
	switch order.Uint32(record) {
	case unix.PERF_RECORD_FORK, unix.PERF_RECORD_EXIT:
		e.Kind = Fork
		if order.Uint32(record) == unix.PERF_RECORD_EXIT {
			e.Kind = Exit
		}
		e.Parent, e.TID = u32(4), u32(8)
	case unix.PERF_RECORD_COMM:
		if order.Uint16(record[4:])&unix.PERF_RECORD_MISC_COMM_EXEC != 0 {
			e.Kind, e.Name = Exec, text(body[8:])
		}
	}
	return e, nil
}

// text ends at the first zero byte.
func text(data []byte) string {
	before, _, _ := bytes.Cut(data, []byte{0})
	return string(before)
}
