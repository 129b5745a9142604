package main

import (
	"slices"
	"testing"
)

func TestJudge(t *testing.T) {
	tests := map[string]struct {
		out   output
		want  verdict
		notes []string
	}{
		"pass":        {out: output{stdout: []byte("ok 1\n1..1\n")}, want: pass},
		"failed test": {out: output{stdout: []byte("not ok 1\n1..1\n")}, want: fail},
		"to do":       {out: output{stdout: []byte("not ok 1 # TODO later\n1..1\n")}, want: pass},
		"all skipped": {
			out:   output{stdout: []byte("1..1\nok 1 # SKIP\n")},
			want:  skip,
			notes: []string{"all tests skipped"},
		},
		"no tests": {
			out:   output{stdout: []byte("TAP version 13\n1..0\n")},
			want:  pass,
			notes: []string{"no tests, and nothing that tells of a failure"},
		},
		"no tests, but a report": {
			out:   output{stdout: []byte("  ---\n  {}\n  ...\n1..0\n")},
			want:  fail,
			notes: []string{"no tests, but the report of a failure"},
		},
		"exit status": {
			out:   output{stdout: []byte("ok 1\n1..1\n"), status: 1},
			want:  fail,
			notes: []string{"exit status 1"},
		},
		"timeout": {
			out:   output{stdout: []byte("ok 1\n"), status: -1, timedOut: true},
			want:  fail,
			notes: []string{"1 tests without a plan", "timeout"},
		},
		"bail out": {
			out:   output{stdout: []byte("Bail out! why\n")},
			want:  fail,
			notes: []string{"bail out: why"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, notes := judge(test.out, parseTAP(test.out.stdout))
			if got != test.want || !slices.Equal(notes, test.notes) {
				t.Errorf("got %s %q, want %s %q", got, notes, test.want, test.notes)
			}
		})
	}
}
