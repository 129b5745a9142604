package integration

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/cgroups"
	"github.com/rtcontainers/rt/libcontainer"
)

// A program that manages many containers, such as the shim, must not block because one of
// them does: a process that is being born in a frozen or throttled cgroup blocks neither
// the Go runtime, which sometimes stops all goroutines for a moment, nor other calls.
func TestExecWhilePausedAndResumed(t *testing.T) {
	b := running(t)
	c, err := libcontainer.Load(b.root, b.id)
	must(t, err)
	defer c.Close()
	execBeside(t, b, 20, func() {
		must(t, c.Pause())
		must(t, c.Resume())
	})
}

func TestExecIntoAThrottledCgroup(t *testing.T) {
	if cgroups.IsCgroup2UnifiedMode() {
		t.Skip("no cpu controller of cgroup v2 here")
	}
	b := running(t)
	throttle(t, b)
	execBeside(t, b, 2, func() { time.Sleep(time.Millisecond) })
}

// execBeside starts processes in a container while others call it and stop all goroutines.
func execBeside(t *testing.T, b *bundle, times int, beside func()) {
	t.Helper()
	stop := make(chan struct{})
	stopped := func() bool {
		select {
		case <-stop:
			return true
		default:
			return false
		}
	}
	var others sync.WaitGroup
	others.Go(func() {
		for !stopped() {
			beside()
		}
	})
	others.Go(func() {
		for !stopped() {
			began := time.Now()
			runtime.GC()
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("all goroutines stood still for %v", took)
			}
			time.Sleep(time.Millisecond)
		}
	})
	c, err := libcontainer.Load(b.root, b.id)
	must(t, err)
	defer c.Close()
	process, err := c.Process()
	must(t, err)
	process.Args = []string{"true"}
	for done := 0; done < times; {
		p, err := c.Exec(libcontainer.ExecOptions{Process: process})
		if errors.Is(err, libcontainer.ErrWrongState) {
			continue // it is paused
		}
		must(t, err)
		p.Wait()
		done++
	}
	close(stop)
	others.Wait()
}

// throttle leaves the container a thousandth of a CPU.
func throttle(t *testing.T, b *bundle) {
	t.Helper()
	for _, dir := range b.cgroups() {
		if _, err := os.Stat(filepath.Join(dir, "cpu.cfs_quota_us")); err == nil {
			must(t, os.WriteFile(filepath.Join(dir, "cpu.cfs_period_us"), []byte("1000000"), 0))
			must(t, os.WriteFile(filepath.Join(dir, "cpu.cfs_quota_us"), []byte("1000"), 0))
			return
		}
	}
	t.Fatal("no cpu cgroup")
}
