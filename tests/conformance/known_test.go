package main

import (
	"bytes"
	"errors"
	"maps"
	"testing"
)

func TestParseKnown(t *testing.T) {
	got, err := parseKnown("# comment\n\nhooks  the test is wrong\nseccomp no seccomp\n")
	want := knownFailures{"hooks": "the test is wrong", "seccomp": "no seccomp"}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	for _, text := range []string{"hooks\n", "hooks a\nhooks b\n"} {
		if got, err := parseKnown(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

func TestKnownCheck(t *testing.T) {
	known := knownFailures{"hooks": "reason"}
	if err := known.check([]string{"hooks", "start"}); err != nil {
		t.Error(err)
	}
	if err := known.check([]string{"start"}); err == nil {
		t.Error("no error for a program that does not exist")
	}
}

func TestReportExpectations(t *testing.T) {
	passing := output{stdout: []byte("ok 1\n1..1\n")}
	failing := output{stdout: []byte("not ok 1\n1..1\n")}
	skipped := output{stdout: []byte("ok 1 # SKIP\n1..1\n")}
	tests := map[string]struct {
		known knownFailures
		out   output
		want  error
	}{
		"pass":                                  {out: passing},
		"failure":                               {out: failing, want: errUnexpected},
		"known failure":                         {out: failing, known: knownFailures{"p": "reason"}},
		"stale":                                 {out: passing, known: knownFailures{"p": "reason"}, want: errUnexpected},
		"known, but not tested on this machine": {out: skipped, known: knownFailures{"p": "reason"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var w bytes.Buffer
			r := newReport(&w, test.known, false)
			r.add("p", test.out)
			if err := r.close(); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v; report:\n%s", err, test.want, w.String())
			}
		})
	}
}
