package libcontainer

import (
	"time"

	"github.com/rtcontainers/rt/libcontainer/internal/birth"
)

// Step is something that was done to make a process, with its time.
type Step struct {
	// Actor is who did it: "rt", the process that makes the container; "rt, answering", the
	// same one while it serves a request of the program; "program", the container's process
	// before it executes the user's program.
	Actor string
	// Name says what was done. Field is what asked for it in config.json, or empty.
	Name, Field string
	// Call is the system call of a step of the program, as Explain shows it, or empty.
	Call string
	// Begin and End are times of CLOCK_MONOTONIC, clock_gettime(2).
	Begin, End time.Duration
}

var actors = [...]string{birth.Parent: "rt", birth.Answering: "rt, answering", birth.Program: "program"}

// tracer passes steps to a caller who wants them.
func tracer(trace func(Step)) func(birth.Step) {
	if trace == nil {
		return nil
	}
	return func(s birth.Step) {
		trace(Step{Actor: actors[s.Actor], Name: s.Name, Field: s.Field, Call: s.Call, Begin: s.Begin, End: s.End})
	}
}
