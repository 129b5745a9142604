package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestVerdict(t *testing.T) {
	for _, c := range []struct{ name, output, want string }{
		{"passed", "boot\r\nguest: PASS\r\n[  OK  ] Powered off\r\n", ""},
		{"failed", "guest: FAIL integration\r\n", "FAIL integration"},
		{"failed after a pass", "guest: PASS\nguest: FAIL late\n", "FAIL late"},
		{"silent", "boot\n", "without a verdict"},
		{"nothing", "", "without a verdict"},
		{"cut off within the line", "guest: PASS", "without a verdict"},
		{"quoted by a test", "x guest: PASS\n", "without a verdict"},
		{"more than the word", "guest: PASSED\n", "PASSED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			console := newConsole(new(bytes.Buffer), "job")
			for _, b := range []byte(c.output) { // in pieces, as it comes
				if n, err := console.Write([]byte{b}); n != 1 || err != nil {
					t.Fatal(n, err)
				}
			}
			err := console.verdict()
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("verdict %v, want %q", err, c.want)
			}
		})
	}
}

func TestConsoleNamesTheJob(t *testing.T) {
	var out bytes.Buffer
	console := newConsole(&out, "v2")
	heard := 0
	console.heard = func() { heard++ }
	if _, err := console.Write([]byte("one\r\nalive: v2\ntwo\nthr")); err != nil {
		t.Fatal(err)
	}
	if heard != 3 {
		t.Errorf("heard %d times", heard)
	}
	if want := "[v2] one\n[v2] two\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}
