package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// tapReport is what a program says in the Test Anything Protocol. It may hold several streams, each
// with a version line and a plan of its own: some programs write one for each of their cases.
type tapReport struct {
	passed, failed, skipped int
	// todo counts the tests that fail and are expected to.
	todo int
	// blocks counts the YAML blocks outside of tests, that is, before the first one.
	blocks  int
	bailOut string // why the program gave up
	// problems are violations of the protocol.
	problems []string

	stream stream
}

// stream is what is known of the current stream.
type stream struct {
	plan  int // -1 without one
	tests int
	yaml  bool // within a YAML block
}

var (
	planLine  = regexp.MustCompile(`^1\.\.(\d+)`)
	testLine  = regexp.MustCompile(`^(not )?ok\b(.*)`)
	directive = regexp.MustCompile(`(?i)#\s*(skip|todo)\b`)
)

func parseTAP(out []byte) tapReport {
	r := tapReport{stream: stream{plan: -1}}
	for line := range bytes.Lines(out) {
		r.line(strings.TrimRight(string(line), "\r\n"))
	}
	r.endStream()
	return r
}

func (r *tapReport) line(line string) {
	switch trimmed := strings.TrimSpace(line); {
	case r.stream.yaml:
		r.stream.yaml = trimmed != "..."
	case line != trimmed && trimmed == "---":
		r.block()
	case strings.HasPrefix(line, "TAP version "):
		r.endStream()
	case strings.HasPrefix(line, "Bail out!"):
		r.bailOut = strings.TrimSpace(strings.TrimPrefix(line, "Bail out!"))
		if r.bailOut == "" {
			r.bailOut = "no reason given"
		}
	default:
		r.planOrTest(line)
	}
}

func (r *tapReport) block() {
	r.stream.yaml = true
	if r.stream.tests == 0 {
		r.blocks++
	}
}

// planOrTest reads a plan or the result of a test. Other lines have no meaning.
func (r *tapReport) planOrTest(line string) {
	if m := planLine.FindStringSubmatch(line); m != nil {
		r.plan(m[1])
	} else if m := testLine.FindStringSubmatch(line); m != nil {
		r.test(m[1] == "", m[2])
	}
}

func (r *tapReport) plan(number string) {
	if r.stream.plan >= 0 {
		r.problem("more than one plan")
	}
	n, err := strconv.Atoi(number)
	if err != nil {
		r.problem("plan %s is out of range", number)
		return
	}
	r.stream.plan = n
}

func (r *tapReport) test(ok bool, rest string) {
	r.stream.tests++
	kind := ""
	if m := directive.FindStringSubmatch(rest); m != nil {
		kind = strings.ToLower(m[1])
	}
	switch {
	case ok && kind == "skip":
		r.skipped++
	case ok:
		r.passed++
	case kind == "todo":
		r.todo++
	default:
		r.failed++
	}
}

// endStream checks the plan of a stream and begins the next one.
func (r *tapReport) endStream() {
	switch s := r.stream; {
	case s.plan < 0 && s.tests > 0:
		r.problem("%d tests without a plan", s.tests)
	case s.plan >= 0 && s.plan != s.tests:
		r.problem("%d tests planned, %d reported", s.plan, s.tests)
	}
	r.stream = stream{plan: -1}
}

func (r *tapReport) problem(format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

func (r *tapReport) tests() int {
	return r.passed + r.failed + r.skipped + r.todo
}
