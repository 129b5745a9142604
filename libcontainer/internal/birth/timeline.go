package birth

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rtcontainers/rt/libcontainer/internal/compile"
	"golang.org/x/sys/unix"
)

// Step is something that was done for a birth, with its time. Begin and End are those of
// CLOCK_MONOTONIC, clock_gettime(2).
type Step struct {
	// Actor is who did it.
	Actor Actor
	// Name says what was done, Field of config.json asked for it.
	Name, Field string
	// Call is the system call of a step of the program.
	Call       string
	Begin, End time.Duration
}

// Actor is who carries out a step.
type Actor uint8

// The actors of a birth.
const (
	// Parent is the process that makes the container.
	Parent Actor = iota
	// Answering is the same one, while it serves a request of the program.
	Answering
	// Program is the container's first process, or a further one, before it executes the
	// user's program.
	Program
)

// timeline has the times of a birth.
type timeline struct {
	// marked is when the last phase was reached.
	marked time.Duration
	// file has the times of the program's steps by CLOCK_REALTIME, which is ahead of
	// CLOCK_MONOTONIC by this. A time namespace, which the program may enter, has a
	// CLOCK_MONOTONIC of its own: time_namespaces(7).
	file  *os.File
	ahead time.Duration
}

// Now is the time of CLOCK_MONOTONIC.
func Now() time.Duration { return clock(unix.CLOCK_MONOTONIC) }

func clock(id int32) time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(id, &ts)
	return time.Duration(ts.Nano())
}

// mark tells of the phase that was reached.
func (b *Birth) mark(p Phase) {
	if b.Trace == nil {
		return
	}
	now := Now()
	if name := p.String(); name != "" {
		b.Trace(Step{Name: name, Begin: cmp.Or(b.times.marked, now), End: now})
	}
	b.times.marked = now
}

// timed is the server s, with the time of each answer.
func (b *Birth) timed(s server) server {
	if b.Trace == nil {
		return s
	}
	return &timedServer{s, b.Trace}
}

type timedServer struct {
	server
	trace func(Step)
}

func (s *timedServer) serve(r *request) (answer, error) {
	name := strings.TrimPrefix(fmt.Sprintf("%T", r.Request), "compile.Request")
	begin := Now()
	answer, err := s.server.serve(r)
	s.trace(Step{Actor: Answering, Name: name, Begin: begin, End: Now()})
	return answer, err
}

// openTimeline makes the file for the program's times. Its pages are there before the
// program needs them, so that they are not charged to the container.
func (b *Birth) openTimeline() (*os.File, error) {
	fd, err := unix.MemfdCreate("rt-timeline", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	b.times.file, _ = b.hold(os.NewFile(uintptr(fd), "timeline"), nil)
	b.times.ahead = clock(unix.CLOCK_REALTIME) - Now()
	if err := b.times.file.Truncate(compile.TimelineSize); err != nil {
		return nil, err
	}
	_, err = b.times.file.WriteAt(make([]byte, stampSize*len(b.plan.Program.Instructions)), 0)
	return b.times.file, err
}

// stampSize is the size of a struct timespec.
const stampSize = 16

// readTimes tells of the steps that the program has done. One ends when the next begins.
func (b *Birth) readTimes() {
	if b.times.file == nil {
		return
	}
	instructions, end := b.plan.Program.Instructions, Now()
	stamps := make([]byte, stampSize*len(instructions))
	if _, err := b.times.file.ReadAt(stamps, 0); err != nil {
		return
	}
	b.times.file = nil
	var steps []Step
	for i := range instructions {
		stamp := stamps[i*stampSize:]
		seconds, nanoseconds := binary.NativeEndian.Uint64(stamp), binary.NativeEndian.Uint64(stamp[8:])
		if seconds != 0 || nanoseconds != 0 {
			ins := &instructions[i]
			steps = append(steps, Step{
				Actor: Program, Name: ins.Purpose, Field: ins.Source, Call: b.plan.Program.Text(i),
				Begin: time.Duration(seconds)*time.Second + time.Duration(nanoseconds) - b.times.ahead,
			})
		}
	}
	slices.SortFunc(steps, func(a, b Step) int { return cmp.Compare(a.Begin, b.Begin) })
	for i := range steps {
		if steps[i].End = max(end, steps[i].Begin); i+1 < len(steps) {
			steps[i].End = steps[i+1].Begin
		}
		b.Trace(steps[i])
	}
}
