// Package perf records what the descendants of a thread do, by perf_event_open(2): page faults,
// context switches, system calls, births and deaths of processes and threads, executions.
//
// The kernel writes the records into rings that are read only after the commands have ended. So the
// recorder takes no turn on a CPU while a command runs, stops nobody as ptrace(2) does, and misses
// nothing: a ring that overflows is an error.
package perf

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Recorder records the thread that opened it and all its descendants.
type Recorder struct {
	rings []*ring
	// fds are the events' descriptors, kinds says what the samples of an event's id mean.
	fds   []int
	kinds map[uint64]Kind
}

// source is an event whose every occurrence becomes a sample.
type source struct {
	kind   Kind
	typ    uint32
	config uint64
}

// ringPages is the size of a ring, in pages: a power of two. runc's run fills a twentieth.
const ringPages = 4096

// sampleType is what a sample contains; decode reads it in this order.
const sampleType = unix.PERF_SAMPLE_IDENTIFIER | unix.PERF_SAMPLE_TID | unix.PERF_SAMPLE_TIME |
	unix.PERF_SAMPLE_ADDR | unix.PERF_SAMPLE_RAW

// Open begins to record the calling thread, which the caller has locked, and what it starts.
func Open() (_ *Recorder, err error) {
	sources, err := sources()
	if err != nil {
		return nil, err
	}
	cpus, err := onlineCPUs()
	if err != nil {
		return nil, err
	}
	r := &Recorder{kinds: map[uint64]Kind{}}
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	// An inherited event has a ring only if it is bound to a CPU.
	for _, cpu := range cpus {
		if err := r.openOn(cpu, sources); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func sources() ([]source, error) {
	list := []source{
		{Fault, unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_PAGE_FAULTS},
		{Switch, unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_CONTEXT_SWITCHES},
		{Migration, unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_CPU_MIGRATIONS},
	}
	for kind, name := range map[Kind]string{Enter: "sys_enter", Return: "sys_exit"} {
		text, err := os.ReadFile(filepath.Join("/sys/kernel/tracing/events/raw_syscalls", name, "id"))
		if err != nil {
			return nil, fmt.Errorf("tracefs is needed: mount -t tracefs tracefs /sys/kernel/tracing: %w", err)
		}
		id, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
		if err != nil {
			return nil, err
		}
		list = append(list, source{kind, unix.PERF_TYPE_TRACEPOINT, id})
	}
	return list, nil
}

// openOn opens the events on one CPU. The first owns the ring and reports processes and
// executions.
func (r *Recorder) openOn(cpu int, sources []source) error {
	first, err := r.open(cpu, source{0, unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_DUMMY},
		unix.PerfBitTask|unix.PerfBitComm|unix.PerfBitCommExec)
	if err != nil {
		return err
	}
	ring, err := mapRing(first)
	if err != nil {
		return err
	}
	r.rings = append(r.rings, ring)
	for _, s := range sources {
		fd, err := r.open(cpu, s, 0)
		if err != nil {
			return err
		}
		if err := unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_SET_OUTPUT, first); err != nil {
			return os.NewSyscallError("PERF_EVENT_IOC_SET_OUTPUT", err)
		}
	}
	return nil
}

func (r *Recorder) open(cpu int, s source, bits uint64) (int, error) {
	attr := unix.PerfEventAttr{
		Type: s.typ, Size: unix.PERF_ATTR_SIZE_VER5, Config: s.config, Sample: 1, Sample_type: sampleType,
		Bits: unix.PerfBitInherit | unix.PerfBitSampleIDAll | bits,
		// Nobody waits for records.
		Wakeup: 1 << 30,
	}
	fd, err := unix.PerfEventOpen(&attr, 0, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("perf_event_open, type %d, config %d: %w", s.typ, s.config, err)
	}
	r.fds = append(r.fds, fd)
	id, err := ioctlID(fd)
	if err != nil {
		return -1, os.NewSyscallError("PERF_EVENT_IOC_ID", err)
	}
	r.kinds[id] = s.kind
	return fd, nil
}

// Read returns what has been recorded since it was called last, in the order of time.
func (r *Recorder) Read() ([]Event, error) {
	var events []Event
	for _, ring := range r.rings {
		err := ring.drain(func(record []byte) error {
			event, err := r.decode(record)
			if err == nil && event.Kind != 0 {
				events = append(events, event)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(events, func(a, b Event) int { return cmp.Compare(a.Time, b.Time) })
	return events, nil
}

// Close ends the recording.
func (r *Recorder) Close() error {
	var failed []error
	for _, ring := range r.rings {
		failed = append(failed, unix.Munmap(ring.memory))
	}
	for _, fd := range r.fds {
		failed = append(failed, unix.Close(fd))
	}
	return errors.Join(failed...)
}

// onlineCPUs reads a list such as 0-3,6.
func onlineCPUs() ([]int, error) {
	text, err := os.ReadFile("/sys/devices/system/cpu/online")
	if err != nil {
		return nil, err
	}
	var cpus []int
	for part := range strings.SplitSeq(strings.TrimSpace(string(text)), ",") {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		first, err := strconv.Atoi(low)
		if err != nil {
			return nil, err
		}
		last, err := strconv.Atoi(high)
		if err != nil {
			return nil, err
		}
		for cpu := first; cpu <= last; cpu++ {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}
