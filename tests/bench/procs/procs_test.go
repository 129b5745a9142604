package procs

import (
	"context"
	"os"
	"os/exec"
	"testing"
)

func TestHoldsOfAProcess(t *testing.T) {
	child := exec.CommandContext(context.Background(), "sleep", "1000")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Wait()
	defer child.Process.Kill()
	found, err := Descendants(os.Getpid())
	if err != nil || !found[child.Process.Pid] {
		t.Fatalf("%v, %v; want %d among them", found, err, child.Process.Pid)
	}
	h, err := Holds([]int{child.Process.Pid})
	if err != nil || h.Processes != 1 || h.Descriptors < 3 || h.PSS <= 0 {
		t.Errorf("%+v, %v", h, err)
	}
	if pss, err := proportional([]byte("Rss: 8 kB\nPss:    17 kB\nPss_Dirty: 1 kB\n")); err != nil || pss != 17 {
		t.Errorf("%d, %v; want 17", pss, err)
	}
	if _, err := proportional([]byte("Rss: 8 kB\n")); err == nil {
		t.Error("a file without the line is accepted")
	}
}
