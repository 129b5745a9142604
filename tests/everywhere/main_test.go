package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMissing(t *testing.T) {
	dir := t.TempDir()
	one, other := filepath.Join(dir, "one"), filepath.Join(dir, "other")
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(one, []byte("=== RUN   TestA\n--- PASS: TestA (0.00s)\n    --- SKIP: TestA/b (0.00s)\n--- SKIP: TestB (0.00s)\n--- SKIP: TestC (0.00s)\n"), 0o644))
	must(os.WriteFile(other, []byte("[v2] --- PASS: TestB (1.00s)\n[v2] --- SKIP: TestD (1.00s)\n"), 0o644))
	verdicts := map[string]bool{}
	must(read(one, verdicts))
	must(read(other, verdicts))
	got := strings.Join(missing(verdicts, map[string]string{"TestD": "v2-selinux", "TestA": "v1"}), "\n")
	want := "TestA ran, and is in the table of those that run elsewhere\nTestC was skipped everywhere, and the table does not say where it runs"
	if got != want {
		t.Errorf("%s", got)
	}
}
