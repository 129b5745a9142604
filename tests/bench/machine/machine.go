// Package machine measures which kind of machine this is. What starts processes depends on a few
// things that differ more between virtual machines than CPUs do: on some a page fault costs 0.5 µs,
// on others twenty times as much, and there a ratio of two runtimes is another.
package machine

import (
	"fmt"
	"strings"
	"time"
)

// CheapPageFault is the limit below which page faults are called cheap.
const CheapPageFault = 2 * time.Microsecond

// Kind is what things cost on a machine. Zero means that it was not measured.
type Kind struct {
	// PageFault is the first write to a page of anonymous memory.
	PageFault time.Duration
	// Switch is half of a round trip through two pipes between two threads on one CPU.
	Switch time.Duration
	// Thread is a new thread of a Go program, from its start to its end.
	Thread time.Duration
	// Call is a system call that does nothing.
	Call time.Duration
	// CPUID is the instruction: a hypervisor emulates it, as Go programs notice at their start.
	CPUID time.Duration
}

// Measure takes a tenth of a second.
func Measure() (Kind, error) {
	var k Kind
	for _, m := range []struct {
		to      *time.Duration
		measure func() (time.Duration, error)
	}{
		{&k.PageFault, pageFault}, {&k.Switch, threadSwitch}, {&k.Thread, thread}, {&k.Call, call}, {&k.CPUID, cpuid},
	} {
		best, err := least(m.measure)
		if err != nil {
			return Kind{}, err
		}
		*m.to = best
	}
	return k, nil
}

// least is the least of several measurements: what else runs can only add to it.
func least(measure func() (time.Duration, error)) (time.Duration, error) {
	var best time.Duration
	for i := range 10 {
		d, err := measure()
		if err != nil {
			return 0, err
		}
		if i == 0 || d < best {
			best = d
		}
	}
	return best, nil
}

// Cheap tells whether page faults are.
func (k Kind) Cheap() bool { return k.PageFault < CheapPageFault }

func (k Kind) String() string {
	var parts []string
	for _, p := range []struct {
		name string
		cost time.Duration
	}{
		{"page fault", k.PageFault}, {"switch between threads", k.Switch}, {"new thread", k.Thread}, {"system call", k.Call}, {"CPUID", k.CPUID},
	} {
		if p.cost > 0 {
			parts = append(parts, fmt.Sprintf("%s %.3g µs", p.name, float64(p.cost)/float64(time.Microsecond)))
		}
	}
	verdict := "cheap page faults (below %v)"
	if !k.Cheap() {
		verdict = "expensive page faults (%v or more)"
	}
	return strings.Join(parts, ", ") + ": " + fmt.Sprintf(verdict, CheapPageFault)
}
