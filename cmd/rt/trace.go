package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/rtcontainers/rt/libcontainer"
	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"
)

// entered is when the kernel started rt, as CLOCK_MONOTONIC: see entry.go.
var entered unix.Timespec

// tracer collects the steps of a command for the file of --trace.
type tracer struct {
	file    *os.File
	command string
	steps   []libcontainer.Step
	// parsed is when the command line was parsed.
	parsed time.Duration
	// once is true if the file can be written only once, such as a pipe.
	once bool
}

// tracing is nil without --trace.
var tracing *tracer

func startTrace(name, command string) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return fmt.Errorf("--trace: %w", err)
	}
	tracing = &tracer{file: file, command: command, parsed: monotonic()}
	if info, err := file.Stat(); err == nil {
		tracing.once = !info.Mode().IsRegular()
	}
	begun := tracing.parsed - time.Since(started)
	if at := time.Duration(entered.Nano()); at != 0 {
		tracing.add(libcontainer.Step{Name: "start the Go runtime, initialise packages", Begin: at, End: begun})
	}
	tracing.add(libcontainer.Step{Name: "parse the command line", Begin: begun, End: tracing.parsed})
	return nil
}

func monotonic() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return time.Duration(ts.Nano())
}

func (t *tracer) add(s libcontainer.Step) { t.steps = append(t.steps, s) }

// listener is what the library tells its steps to.
func (t *tracer) listener() func(libcontainer.Step) {
	if t == nil {
		return nil
	}
	return t.add
}

// traceEvent is an event of the Trace Event Format, which Perfetto and chrome://tracing
// open. Times are in microseconds.
type traceEvent struct {
	Name     string            `json:"name"`
	Phase    string            `json:"ph"`
	Time     float64           `json:"ts"`
	Duration float64           `json:"dur"`
	Process  int               `json:"pid"`
	Thread   int               `json:"tid"`
	Args     map[string]string `json:"args,omitempty"`
}

// write writes what was done so far. What the command was for is done, whether or not that
// succeeds: an error is a warning.
func (t *tracer) write() {
	if t == nil || t.file == nil {
		return
	}
	if err := t.writeAll(); err != nil {
		logrus.Warnf("--trace: %v", err)
	}
}

func (t *tracer) writeAll() error {
	pid := os.Getpid()
	var events []traceEvent
	rows := map[string]int{}
	add := func(row, phase, name string, begin, end time.Duration, args map[string]string) {
		if _, ok := rows[row]; !ok {
			rows[row] = len(rows) + 1
			events = append(events, traceEvent{Name: "thread_name", Phase: "M", Process: pid, Thread: rows[row], Args: map[string]string{"name": row}})
		}
		events = append(events, traceEvent{name, phase, microseconds(begin), microseconds(end - begin), pid, rows[row], args})
	}
	add("rt", "X", "rt "+t.command, t.parsed, monotonic(), nil)
	for _, s := range t.steps {
		args := map[string]string{}
		if s.Field != "" {
			args["field"] = s.Field
		}
		if s.Call != "" {
			args["call"] = s.Call
		}
		row := s.Actor
		if row == "" {
			row = "rt"
		}
		add(row, "X", s.Name, s.Begin, s.End, args)
	}
	data, err := json.Marshal(map[string]any{"displayTimeUnit": "ns", "traceEvents": events})
	if err != nil {
		return err
	}
	data = append(data, '\n')
	if t.once {
		_, err = t.file.Write(data)
		t.file = nil
		return err
	}
	if err := t.file.Truncate(0); err != nil {
		return err
	}
	_, err = t.file.WriteAt(data, 0)
	return err
}

func microseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }
