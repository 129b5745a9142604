package engines

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var thousands = flag.Int("containers", 200, "how many containers TestManyContainersOfOneShim runs")

// TestManyContainersOfOneShim looks at what a shim holds after its first hundred
// containers, and at the end: nothing may grow.
func TestManyContainersOfOneShim(t *testing.T) {
	e := newContainerd(t, debian)
	flags := []string{"--runtime", "io.containerd.rt.v2", "--annotation", "io.containerd.runc.v2.group=" + name()}
	keeper := e.startBox(t, flags)
	shim, err := strconv.Atoi(parent(t, strings.Fields(e.ok(t, "task", "ps", keeper))[2]))
	must(t, err)
	run := func(n int) {
		t.Helper()
		together(t, n, func(int) error {
			args := append(append([]string{"run", "--rm"}, flags...), image, name(), "echo", "hello")
			if out, code := e.try(t, "", args...); out != "hello" || code != 0 {
				return fmt.Errorf("%q, %d", out, code)
			}
			return nil
		})
	}
	run(100)
	first := holdings(t, e, shim)
	t.Logf("after 100 containers: %v", first)
	run(*thousands - 100)
	// What the last ones held may take a moment to go.
	var last holding
	for end := time.Now().Add(patience / 4); time.Now().Before(end); time.Sleep(time.Second) {
		if last = holdings(t, e, shim); last.within(first) {
			break
		}
	}
	t.Logf("after %d containers: %v", *thousands, last)
	if !last.within(first) {
		t.Errorf("the shim grows: %v after 100 containers, %v after %d", first, last, *thousands)
	}
}

// holding is what a process holds.
type holding struct{ kB, descriptors, threads, goroutines int }

func (h holding) String() string {
	return fmt.Sprintf("%d kB anonymous, %d descriptors, %d threads, %d goroutines", h.kB, h.descriptors, h.threads, h.goroutines)
}

// within tells whether it is no more than another, but for what the garbage collector
// and the scheduler of Go take as it comes.
func (h holding) within(o holding) bool {
	return h.kB <= o.kB+max(o.kB/4, 2000) && h.descriptors <= o.descriptors && h.threads <= o.threads+4 && h.goroutines <= o.goroutines
}

// holdings are those of a shim. Its goroutines are in the stacks that it writes to
// containerd's log when it is told to, as containerd's own shims do.
func holdings(t *testing.T, e *engine, shim int) (h holding) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d", shim)
	descriptors, err := os.ReadDir(filepath.Join(dir, "fd"))
	must(t, err)
	h.descriptors = len(descriptors)
	for file, field := range map[string]struct {
		name string
		to   *int
	}{"status": {"Threads:", &h.threads}, "smaps_rollup": {"Anonymous:", &h.kB}} {
		data, err := os.ReadFile(filepath.Join(dir, file))
		must(t, err)
		_, rest, _ := strings.Cut(string(data), field.name)
		*field.to, err = strconv.Atoi(strings.Fields(rest)[0])
		must(t, err)
	}
	log := filepath.Join(e.dir, "log")
	before, err := os.ReadFile(log)
	must(t, err)
	must(t, unix.Kill(shim, unix.SIGUSR1))
	var dump []byte
	eventually(t, "the stacks", func() bool {
		data, err := os.ReadFile(log)
		must(t, err)
		dump = data[len(before):]
		return bytes.Contains(dump, []byte("END goroutine stack dump"))
	})
	h.goroutines = len(regexp.MustCompile(`goroutine \d+ \[`).FindAll(dump, -1))
	return h
}

// startBox starts a container that waits.
func (e *engine) startBox(t testing.TB, flags []string) string {
	t.Helper()
	id := name()
	ctrCleanup(t, e, id)
	e.ok(t, append(append([]string{"run", "-d"}, flags...), image, id, "sleep", "100000")...)
	return id
}
