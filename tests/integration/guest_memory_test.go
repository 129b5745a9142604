//go:build guest

package integration

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// The bar for the lowest memory limit at which a container of busybox's true
// still starts: not above crun's, and not above this.
const memoryBar = 256 << 10

// TestLowestMemoryLimit finds it by bisection, for rt and its peers in turn.
func TestLowestMemoryLimit(t *testing.T) {
	if !unified() || systemd {
		return // one of the worlds is enough to compare: v2 without systemd
	}
	b := newBundle(t, "")
	b.spec.Version = "1.0.2" // the latest that Debian's crun and runc take
	b.spec.Process.Args = []string{"true"}
	lowest := map[string]int64{}
	table := "lowest memory limit at which a container of busybox's true starts, three tries of three:\n"
	for _, name := range []string{rtPath, "crun", "runc"} {
		path, err := exec.LookPath(name)
		must(t, err)
		limit := lowestLimit(t, b, path)
		lowest[name] = limit
		table += fmt.Sprintf("%-6s %6d KiB\n", path[strings.LastIndexByte(path, '/')+1:], limit>>10)
	}
	t.Log(table)
	if rt := lowest[rtPath]; rt > lowest["crun"] || rt > memoryBar {
		t.Errorf("rt needs %d bytes, crun %d; the bar is %d", rt, lowest["crun"], memoryBar)
	}
}

// lowestLimit is the lowest multiple of a page.
func lowestLimit(t *testing.T, b *bundle, runtime string) int64 {
	t.Helper()
	const page = 4096
	low, high := int64(0), int64(64<<20)/page // fails, starts
	if !starts(t, b, runtime, high*page) {
		t.Fatalf("%s does not start with %d bytes", runtime, high*page)
	}
	for high-low > 1 {
		if middle := (low + high) / 2; starts(t, b, runtime, middle*page) {
			high = middle
		} else {
			low = middle
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
			// What is left of it is the peer's; an error says that nothing is.
			_ = exec.Command(runtime, "--root", b.dir+"/peers", "delete", "--force", id).Run()
			return false
		}
	}
	return true
}
