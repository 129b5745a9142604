package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// report prints what the programs did and counts it.
type report struct {
	w       io.Writer
	known   knownFailures
	verbose bool

	verdicts   map[verdict]int
	unexpected []string
}

func newReport(w io.Writer, known knownFailures, verbose bool) *report {
	return &report{w: w, known: known, verbose: verbose, verdicts: make(map[verdict]int)}
}

// add reports one program.
func (r *report) add(program string, out output) {
	tap := parseTAP(out.stdout)
	v, notes := judge(out, tap)
	r.verdicts[v]++
	reason, known := r.known[program]
	switch {
	case v == fail && known:
		notes = append(notes, "known: "+reason)
	case v == fail:
		r.unexpected = append(r.unexpected, program+" failed")
	case v == pass && known:
		r.unexpected = append(r.unexpected, program+" passed, but is listed as a known failure")
	}
	if out.tries > 1 {
		notes = append(notes, fmt.Sprintf("lost its race %d times", out.tries-1))
	}
	r.summary(program, v, tap, append(notes, out.left.notes()...))
	if v == fail && (r.verbose || !known) {
		r.details(out)
	}
}

func (r *report) summary(program string, v verdict, tap tapReport, notes []string) {
	line := fmt.Sprintf("%s  %-30s  %3d passed, %2d failed, %2d skipped", v, program, tap.passed, tap.failed, tap.skipped)
	if tap.todo > 0 {
		line += fmt.Sprintf(", %d to do", tap.todo)
	}
	if len(notes) > 0 {
		line += "  (" + strings.Join(notes, "; ") + ")"
	}
	fmt.Fprintln(r.w, line)
}

func (r *report) details(out output) {
	for _, text := range [][]byte{out.stdout, out.stderr} {
		for line := range bytes.Lines(text) {
			fmt.Fprintf(r.w, "    | %s\n", bytes.TrimRight(line, "\n"))
		}
	}
}

// close prints the totals and returns whether the outcome is the expected one.
func (r *report) close() error {
	for _, u := range r.unexpected {
		fmt.Fprintln(r.w, "unexpected:", u)
	}
	fmt.Fprintf(r.w, "conformance: %d passed, %d failed, %d skipped\n", r.verdicts[pass], r.verdicts[fail], r.verdicts[skip])
	if len(r.unexpected) > 0 {
		return errUnexpected
	}
	return nil
}

// notes says what was left behind, which need not be the runtime's fault: some programs do
// not delete their containers.
func (l leftovers) notes() []string {
	var notes []string
	for _, kind := range []struct {
		count int
		name  string
	}{{l.containers, "containers"}, {l.processes, "processes"}, {l.mounts, "mounts"}, {l.cgroups, "cgroups"}} {
		if kind.count > 0 {
			notes = append(notes, fmt.Sprintf("left %s: %d", kind.name, kind.count))
		}
	}
	return notes
}
