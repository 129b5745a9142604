package engines

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var rounds = flag.Int("rounds", 50, "how often BenchmarkShims measures each way")

// shimWay is a way to run containers under containerd.
type shimWay struct {
	title string
	args  []string // of `ctr run`
}

func shimWays(t testing.TB, r release) []shimWay {
	runcShim := func(binary string) []string {
		return []string{"--runtime", "io.containerd.runc.v2", "--runc-binary", binary}
	}
	ways := []shimWay{
		{"rt's shim", []string{"--runtime", "io.containerd.rt.v2"}},
		{"runc's shim, rt", runcShim(binary(t, "rt"))},
	}
	if r == debian { // Debian's crun refuses the ociVersion of later ones
		ways = append(ways, shimWay{"runc's shim, crun", runcShim("crun")})
	}
	return append(ways, shimWay{"runc's shim, runc", runcShim("runc")})
}

// BenchmarkShims compares ways to run containers: their runs are interleaved, and
// the table shows medians and their ratios to runc's shim with runc.
func BenchmarkShims(t *testing.B) {
	var b strings.Builder
	for _, r := range []release{debian, release(newest(t, *containerd))} {
		version, err := exec.Command(r.program(t, "containerd"), "--version").Output()
		must(t, err)
		fmt.Fprintf(&b, "containerd %s:\n\n", strings.TrimSuffix(strings.Fields(string(version))[2], "+unknown"))
		compareShims(t, r, &b)
	}
	t.Log("\n" + b.String())
	if *markdown != "" {
		must(t, replaceBetween(*markdown, benchBegin, benchEnd, b.String()))
	}
}

func compareShims(t *testing.B, r release, b *strings.Builder) {
	e := newContainerd(t, r)
	ways := shimWays(t, r)
	runs, execs := make([][]time.Duration, len(ways)), make([][]time.Duration, len(ways))
	boxes := make([]string, len(ways))
	for i, way := range ways {
		boxes[i] = e.startBox(t, way.args)
	}
	for round := range *rounds + 3 {
		for i, way := range ways {
			id := name()
			args := append(append([]string{"run", "--rm"}, way.args...), image, id, "true")
			run := timed(t, e, args)
			exec := timed(t, e, []string{"task", "exec", "--exec-id", name(), boxes[i], "true"})
			if round >= 3 { // the first ones warm caches up
				runs[i], execs[i] = append(runs[i], run), append(execs[i], exec)
			}
		}
	}
	one, fifty := make([]int, len(ways)), make([]int, len(ways))
	for i, way := range ways {
		one[i] = shimMemory(t, e, way, 1)
		fifty[i] = shimMemory(t, e, way, 50)
	}
	last := len(ways) - 1
	b.WriteString("| | `ctr run --rm` | of runc | `ctr task exec` | of runc | shim of 1 container | shim of a pod of 50 |\n|---|---|---|---|---|---|---|\n")
	for i, way := range ways {
		fmt.Fprintf(b, "| %s | %.1f ms | %.2f | %.1f ms | %.2f | %.1f MB | %.1f MB |\n", way.title,
			ms(runs[i]), ms(runs[i])/ms(runs[last]), ms(execs[i]), ms(execs[i])/ms(execs[last]),
			float64(one[i])/1000, float64(fifty[i])/1000)
	}
	b.WriteString("\n")
}

// Marks of the comparison in its file.
const (
	benchBegin = "<!-- comparison: make bench-engines -->\n"
	benchEnd   = "<!-- end of comparison -->"
)

// startBox starts a container that waits.
func (e *engine) startBox(t testing.TB, flags []string) string {
	t.Helper()
	id := name()
	ctrCleanup(t, e, id)
	e.ok(t, append(append([]string{"run", "-d"}, flags...), image, id, "sleep", "100000")...)
	return id
}

func timed(t testing.TB, e *engine, args []string) time.Duration {
	t.Helper()
	cmd := e.command(context.Background(), args...)
	start := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(start)
	if err != nil {
		t.Fatalf("%q: %v: %s", args, err, out)
	}
	return took
}

// ms is the median in milliseconds.
func ms(list []time.Duration) float64 {
	sorted := slices.Sorted(slices.Values(list))
	return float64(sorted[len(sorted)/2]) / float64(time.Millisecond)
}

// shimMemory is the memory of a pod's shim itself, in kB: anonymous memory, without the
// pages of programs, which all shims share.
func shimMemory(t testing.TB, e *engine, way shimWay, containers int) int {
	t.Helper()
	group := []string{"--annotation", "io.containerd.runc.v2.group=" + name()}
	var id string
	for range containers {
		id = e.startBox(t, append(slices.Clone(way.args), group...))
	}
	pid := strings.Fields(e.ok(t, "task", "ps", id))[2]
	data, err := os.ReadFile(filepath.Join("/proc", parent(t, pid), "smaps_rollup"))
	must(t, err)
	for line := range bytes.Lines(data) {
		if rest, ok := bytes.CutPrefix(line, []byte("Anonymous:")); ok {
			kb, err := strconv.Atoi(string(bytes.Fields(rest)[0]))
			must(t, err)
			return kb
		}
	}
	t.Fatal("no line Anonymous")
	return 0
}

// parent is the pid of a process's parent.
func parent(t testing.TB, pid string) string {
	t.Helper()
	status, err := os.ReadFile("/proc/" + pid + "/status")
	must(t, err)
	_, rest, _ := strings.Cut(string(status), "PPid:")
	return strings.Fields(rest)[0]
}
