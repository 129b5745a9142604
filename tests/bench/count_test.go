package main

import (
	"math"
	"os"
	"strings"
	"testing"

	"github.com/rtcontainers/rt/tests/bench/perf"
	"golang.org/x/sys/unix"
)

// TestLineage follows rt's run: rt, the program, the keeper, and the container's command.
func TestLineage(t *testing.T) {
	self := os.Getpid()
	const rt, child, thread = 1 << 23, 1<<23 + 1, 1<<23 + 2
	events := []perf.Event{
		{Kind: perf.Fault, PID: self},
		{Kind: perf.Fork, PID: rt, TID: rt, Parent: self},
		// The harness's copy before it executes rt.
		{Kind: perf.Enter, PID: rt, Number: unix.SYS_EXECVE},
		{Kind: perf.Exec, PID: rt, Name: "rt"},
		{Kind: perf.Fault, PID: rt},
		{Kind: perf.Fork, PID: rt, TID: thread, Parent: rt},
		{Kind: perf.Return, PID: rt, TID: thread, Number: unix.SYS_PREAD64, Result: 10},
		{Kind: perf.Return, PID: rt, Number: unix.SYS_WRITE, Result: -int64(unix.EPIPE)},
		{Kind: perf.Fork, PID: child, TID: child, Parent: rt},
		{Kind: perf.Enter, PID: child, Number: unix.SYS_EXECVE},
		{Kind: perf.Exec, PID: child, Name: "7"},
		{Kind: perf.Fault, PID: child},
		{Kind: perf.Fault, PID: child},
		{Kind: perf.Exec, PID: rt, Name: "9"},
		{Kind: perf.Switch, PID: rt},
		{Kind: perf.Exec, PID: child, Name: "true"},
		{Kind: perf.Fault, PID: child},
	}
	for _, test := range []struct {
		split                          bool
		total, itself, program, keeper []float64
	}{
		{
			true, []float64{3, 1, 0, 1, 1, 1, 3, 10, 0, 0}, []float64{1, 0, 0, 1, 1, 1, 1, 10, 0, 0},
			[]float64{2, 0, 0, 0, 0, 0, 1, 0, 0, 0}, []float64{0, 1, 0, 0, 0, 0, 1, 0, 0, 0},
		},
		{
			false, []float64{3, 1, 0, 1, 1, 1, 3, 10, 0, 0}, []float64{3, 1, 0, 1, 1, 1, 3, 10, 0, 0},
			make([]float64, 10), make([]float64, 10),
		},
	} {
		l := newLineage("true")
		l.split = test.split
		got := newTally()
		l.add(events, got)
		for i, metric := range metrics {
			for name, pair := range map[string][2]float64{
				"total":  {got.total(i), test.total[i]},
				"itself": {got[itself][i], test.itself[i]}, "program": {got[program][i], test.program[i]},
				"keeper": {got[keeper][i], test.keeper[i]},
			} {
				if pair[0] != pair[1] {
					t.Errorf("split %v, %s of %s: %v, want %v", test.split, metric, name, pair[0], pair[1])
				}
			}
		}
	}
}

func TestCountBars(t *testing.T) {
	r := &countReport{Views: []countView{{View: "v2", Commands: []counted{{
		Name:  "run",
		Total: map[string]map[string][]float64{"page-faults": {contender: {90, 100, 110}, "crun": {200}}},
	}}}}}
	for text, want := range map[string]string{
		"run:v2:page-faults:crun:0.5":  "bar run:v2:page-faults:crun:0.5: met, 0.5\n",
		"run:v2:page-faults:crun:0.49": "bar run:v2:page-faults:crun:0.49: missed, 0.5\n",
		"run:v2:page-faults:100":       "bar run:v2:page-faults:100: met, 100\n",
		"run:v2:page-faults:99":        "bar run:v2:page-faults:99: missed, 100\n",
		"run:v2:instructions:1":        "bar run:v2:instructions:1: missed, NaN\n",
	} {
		b, err := parseCountBar(text)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		err = r.checkBars(&out, []countBar{b})
		if out.String() != want || (err != nil) != strings.Contains(want, "missed") {
			t.Errorf("%s: %q, %v", text, out.String(), err)
		}
	}
	for _, text := range []string{"", "run:v2:page-faults", "run:v2:page-faults::1", "run:v2:page-faults:much", "run:v2:page-faults:crun:-1"} {
		if _, err := parseCountBar(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
	o := &options{views: []string{"v2"}, competitors: []competitor{{Name: contender}, {Name: "crun"}}}
	for _, text := range []string{"fly:v2:page-faults:1", "run:v1:page-faults:1", "run:v2:faults:1", "run:v2:page-faults:runc:1"} {
		b, err := parseCountBar(text)
		if err != nil || b.check(o) == nil {
			t.Errorf("%q is accepted: %v", text, err)
		}
	}
}

func TestPlaces(t *testing.T) {
	p := &places{all: map[string]map[string][]float64{}, runs: map[string]int{}}
	asks := func(length, address uint64, flags uint64) {
		p.see(perf.Event{Kind: perf.Enter, TID: 1, Number: unix.SYS_MMAP, Args: [6]uint64{0, length, 0, flags}})
		p.see(perf.Event{Kind: perf.Return, TID: 1, Number: unix.SYS_MMAP, Result: int64(address)})
	}
	for _, faults := range []int{1, 3} {
		p.begin()
		asks(arena, 5*arena, unix.MAP_ANONYMOUS)
		asks(4<<20, 5*arena, unix.MAP_ANONYMOUS)
		asks(256<<10, 1<<40, unix.MAP_ANONYMOUS)
		asks(8192, 1<<41, 0)
		for range faults {
			p.see(perf.Event{Kind: perf.Fault, Address: 5*arena + 1})
		}
		p.see(perf.Event{Kind: perf.Fault, Address: 1 << 40})
		p.see(perf.Event{Kind: perf.Fault, Address: 1<<41 + 4096})
		p.end("run")
	}
	want := map[string]float64{"Go heap and stacks": 2, "Go's tables, mmap of 256 KiB": 1, "mapped file": 1}
	got := p.medians()["run"]
	for place, n := range want {
		if got[place] != n {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

func TestCountIsADashWithoutSamples(t *testing.T) {
	if got := count(nil) + quotient(nil, []float64{1}) + quotient([]float64{1}, []float64{0}); got != "---" {
		t.Errorf("%q, want dashes", got)
	}
	if !math.IsNaN((&countReport{}).value(countBar{})) {
		t.Error("what was not counted has a value")
	}
}
