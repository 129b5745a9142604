package main

import "testing"

func TestLostRace(t *testing.T) {
	lost := output{stdout: []byte(`    "error": "The post-start hooks MUST be called after the user-specified process is executed\nRefer to: "`)}
	for _, test := range []struct {
		program string
		out     output
		want    bool
	}{
		{"poststart", lost, true},
		{"poststop", lost, false},
		{"poststart", output{stdout: []byte("error: The runtime MUST run the user-specified program")}, false},
	} {
		if got := lostRace(test.program, test.out); got != test.want {
			t.Errorf("%s, %q: %t", test.program, test.out.stdout, got)
		}
	}
}
