package main

import (
	"os"

	"github.com/rtcontainers/rt/tests/bench/perf"
	"golang.org/x/sys/unix"
)

// metrics are what is counted of a command, in the order of the table. The names are those of bars.
var metrics = []string{
	"page-faults", "context-switches", "migrations", "syscalls", "threads", "processes", "executions",
	"bytes-read", "bytes-written", instructions,
}

// The places of metrics in a tally.
const (
	pageFaults = iota
	contextSwitches
	migrations
	syscalls
	threads
	processes
	executions
	bytesRead
	bytesWritten
)

// instructions are not counted by the recorder: see instructions.go.
const instructions = "instructions"

// part is what a process is while something is counted.
type part int

const (
	// outside is everything that no runtime started.
	outside part = iota
	// itself is the runtime: its first process and, of rt, nothing else.
	itself
	// program becomes the container's process; only rt has it. So it is with the keeper, which waits
	// in the place of `rt run`.
	program
	keeper
	// command is what config.json or exec asks for. It is the same for all, and not counted.
	command
	parts
)

var partNames = [parts]string{itself: "rt itself", program: "program", keeper: "keeper"}

// tally has the counts of each part, in the order of metrics.
type tally [parts][]float64

func newTally() *tally {
	var t tally
	for i := range t {
		t[i] = make([]float64, len(metrics))
	}
	return &t
}

// total is without the container's command.
func (t *tally) total(metric int) float64 {
	return t[itself][metric] + t[program][metric] + t[keeper][metric]
}

// lineage knows what the processes are that the harness and its descendants started.
type lineage struct {
	// commands are the names of the containers' processes.
	commands []string
	parts    map[int]part
	// first are the processes that the harness started.
	first map[int]bool
	// split says that the runtime has a program and a keeper.
	split bool
	// itself, if any, is told what the runtime itself does.
	itself func(perf.Event)
}

func newLineage(commands ...string) *lineage {
	return &lineage{commands: commands, parts: map[int]part{}, first: map[int]bool{}}
}

// add counts events, in their order.
func (l *lineage) add(events []perf.Event, t *tally) {
	for _, e := range events {
		switch e.Kind {
		case perf.Fork:
			l.fork(e, t)
		case perf.Exec:
			l.exec(e)
			t[l.parts[e.PID]][executions]++
		default:
			l.count(e, t[l.parts[e.PID]])
		}
	}
}

func (l *lineage) fork(e perf.Event, t *tally) {
	parent := l.parts[e.Parent]
	if e.PID == e.Parent {
		t[parent][threads]++
		return
	}
	// Until it executes something, a child is the same program as its parent.
	l.parts[e.PID], l.first[e.PID] = parent, e.Parent == os.Getpid()
	t[parent][processes]++
}

func (l *lineage) exec(e perf.Event) {
	for _, name := range l.commands {
		if e.Name == name {
			l.parts[e.PID] = command
			return
		}
	}
	switch was := l.parts[e.PID]; {
	case l.first[e.PID] && was == outside:
		l.parts[e.PID] = itself
	case l.first[e.PID] && was == itself && l.split:
		l.parts[e.PID] = keeper
	case was == itself && l.split:
		l.parts[e.PID] = program
	}
}

func (l *lineage) count(e perf.Event, counts []float64) {
	if l.itself != nil && l.parts[e.PID] == itself {
		l.itself(e)
	}
	switch e.Kind {
	case perf.Fault:
		counts[pageFaults]++
	case perf.Switch:
		counts[contextSwitches]++
	case perf.Migration:
		counts[migrations]++
	case perf.Enter:
		counts[syscalls]++
	case perf.Return:
		if e.Result <= 0 {
			return
		}
		switch e.Number {
		case unix.SYS_READ, unix.SYS_PREAD64, unix.SYS_READV, unix.SYS_PREADV, unix.SYS_PREADV2:
			counts[bytesRead] += float64(e.Result)
		case unix.SYS_WRITE, unix.SYS_PWRITE64, unix.SYS_WRITEV, unix.SYS_PWRITEV, unix.SYS_PWRITEV2:
			counts[bytesWritten] += float64(e.Result)
		case unix.SYS_SENDFILE, unix.SYS_COPY_FILE_RANGE:
			counts[bytesRead] += float64(e.Result)
			counts[bytesWritten] += float64(e.Result)
		}
	}
}
