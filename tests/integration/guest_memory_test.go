//go:build guest

package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// The bar for the lowest memory limit at which a container of busybox's true still starts:
// not above crun's, and not above this.
const memoryBar = 256 << 10

// TestLowestMemoryLimit finds it by bisection, for rt and its peers in turn.
func TestLowestMemoryLimit(t *testing.T) {
	if !unified() || systemd {
		t.Skip("one of the worlds is enough to compare: v2 without systemd")
	}
	b := newBundle(t, "")
	b.spec.Version = "1.0.2" // the latest that Debian's crun and runc accept
	b.spec.Process.Args = []string{"true"}
	// While other work runs, the kernel holds more for a while, with every runtime, and
	// single pages decide: only the benchmark checks the bar. In a test, runc is the
	// measure for a regression.
	bar := os.Getenv("RT_TEST_BARS") != ""
	programs := []string{rtPath, "crun", "runc"}
	found := map[string][]int64{}
	var rt, crun int64
	// Most of it is the kernel's and busybox's, and differs by some pages from run to run.
	// If one bisection does not distinguish them, three do.
	for round := 0; round == 0 || bar && round < 3 && rt > crun; round++ {
		for _, name := range programs {
			path, err := exec.LookPath(name)
			must(t, err)
			found[name] = append(found[name], lowestLimit(t, b, path))
			slices.Sort(found[name])
		}
		rt, crun = middle(found[rtPath]), middle(found["crun"])
	}
	table := "lowest memory limit at which a container of busybox's true starts, three tries of three:\n"
	for _, name := range programs {
		table += fmt.Sprintf("%-6s %6d KiB\n", filepath.Base(name), middle(found[name])>>10)
	}
	t.Log(table)
	if bar && (rt > crun || rt > memoryBar) {
		t.Errorf("rt needs %d bytes, crun %d; the bar is %d: %v", rt, crun, memoryBar, found)
	}
	if runc := middle(found["runc"]); rt > runc/8 {
		t.Errorf("rt needs %d bytes, runc %d", rt, runc)
	}
}

// middle is the median of sorted numbers.
func middle(sorted []int64) int64 { return sorted[len(sorted)/2] }

// lowestLimit is the lowest multiple of a page.
func lowestLimit(t *testing.T, b *bundle, runtime string) int64 {
	t.Helper()
	const page = 4096
	low, high := int64(0), int64(64<<20)/page // fails, starts
	if !starts(t, b, runtime, high*page) {
		t.Fatalf("%s does not start with %d bytes", runtime, high*page)
	}
	for high-low > 1 {
		if between := (low + high) / 2; starts(t, b, runtime, between*page) {
			high = between
		} else {
			low = between
		}
	}
	return high * page
}

// starts tells whether three of three containers start with a limit.
func starts(t *testing.T, b *bundle, runtime string, limit int64) bool {
	t.Helper()
	b.spec.Linux.Resources.Memory = &specs.LinuxMemory{Limit: &limit}
	b.write()
	for try := range 3 {
		id := fmt.Sprintf("%s-%d-%d", b.id, limit, try)
		ctx, cancel := context.WithTimeout(context.Background(), patience(10*time.Second))
		cmd := exec.CommandContext(ctx, runtime, "--root", b.dir+"/peers", "run", "--bundle", b.dir, id)
		cmd.WaitDelay = time.Second
		err := cmd.Run()
		cancel()
		if err != nil {
			// What is left of it belongs to the peer; an error says that nothing is.
			_ = exec.Command(runtime, "--root", b.dir+"/peers", "delete", "--force", id).Run()
			return false
		}
	}
	return true
}
