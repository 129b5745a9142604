package perf

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// TestWhatACommandDoes records a shell that starts a process, and knows the process, its execution,
// its pages and its calls.
func TestWhatACommandDoes(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r, err := Open()
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) || errors.Is(err, os.ErrNotExist) {
		t.Skip("this needs root and tracefs:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command("/bin/sh", "-c", "/bin/echo hello; exit 0")
	out, err := cmd.Output()
	if err != nil || string(out) != "hello\n" {
		t.Fatal(string(out), err)
	}
	events, err := r.Read()
	if err != nil {
		t.Fatal(err)
	}
	shell, echo, wrote := cmd.Process.Pid, 0, false
	var executed []string
	faults := map[int]int{}
	for _, e := range events {
		switch {
		case e.Kind == Exec:
			executed = append(executed, e.Name)
		case e.Kind == Fork && e.Parent == shell:
			echo = e.PID
		case e.Kind == Fault:
			faults[e.PID]++
			if e.Address == 0 {
				t.Error("a fault without an address")
			}
		case e.Kind == Return && e.PID == echo && e.Number == unix.SYS_WRITE:
			wrote = wrote || e.Result == int64(len("hello\n"))
		}
	}
	if !slices.Equal(executed, []string{"sh", "echo"}) {
		t.Errorf("executed %q, want sh and echo", executed)
	}
	if echo == 0 || !wrote || faults[shell] < 10 || faults[echo] < 10 {
		t.Errorf("shell %d, echo %d, wrote %v, faults %v", shell, echo, wrote, faults)
	}
	if again, err := r.Read(); err != nil || slices.ContainsFunc(again, func(e Event) bool { return e.PID == echo }) {
		t.Errorf("a second reading has the same events: %v", err)
	}
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{"": "", "true\x00\x00": "true", "name": "name"} {
		if got := text([]byte(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
