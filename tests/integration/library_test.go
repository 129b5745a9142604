package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/cgroups"
	specs "github.com/opencontainers/runtime-spec/specs-go"
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
		p, err := c.Exec(t.Context(), libcontainer.ExecOptions{Process: process})
		if errors.Is(err, libcontainer.ErrWrongState) {
			continue // it is paused
		}
		must(t, err)
		_, err = p.Wait(t.Context())
		must(t, err)
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

// A creation that is cancelled leaves nothing, wherever it is: a hook that hangs outside
// or inside of the container, or after the start, and at the last moment.
func TestCancelledCreation(t *testing.T) {
	hang := []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "sleep 1000"}}}
	for name, change := range map[string]func(*bundle, *libcontainer.Options, context.CancelFunc){
		"createRuntime": func(b *bundle, _ *libcontainer.Options, cancel context.CancelFunc) {
			b.spec.Hooks = &specs.Hooks{CreateRuntime: hang}
			time.AfterFunc(patience(200*time.Millisecond), cancel)
		},
		"createContainer": func(b *bundle, _ *libcontainer.Options, cancel context.CancelFunc) {
			b.spec.Hooks = &specs.Hooks{CreateContainer: hang}
			time.AfterFunc(patience(200*time.Millisecond), cancel)
		},
		"poststart": func(b *bundle, _ *libcontainer.Options, cancel context.CancelFunc) {
			b.spec.Hooks = &specs.Hooks{Poststart: hang}
			time.AfterFunc(patience(200*time.Millisecond), cancel)
		},
		"right before the process runs": func(_ *bundle, o *libcontainer.Options, cancel context.CancelFunc) {
			o.PIDFD = func(f *os.File) error { cancel(); return f.Close() }
		},
		"before": func(_ *bundle, _ *libcontainer.Options, cancel context.CancelFunc) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			b := newBundle(t, "sleep 1000")
			if !unprivileged {
				b.placeCgroup("")
			}
			o := libcontainer.Options{Root: b.root, ID: b.id, Bundle: b.dir, Rootless: unprivileged}
			change(b, &o, cancel)
			b.write()
			began := time.Now()
			c, _, err := libcontainer.Run(ctx, o)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%v, %v", c, err)
			}
			if took := time.Since(began); took > patience(10*time.Second) {
				t.Errorf("it took %v", took)
			}
			b.noTrace()
		})
	}
}

func TestCancelledStart(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	b.spec.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "sleep 1000"}}}}
	b.write()
	c, p, err := libcontainer.Create(t.Context(), libcontainer.Options{Root: b.root, ID: b.id, Bundle: b.dir, Rootless: unprivileged})
	must(t, err)
	defer c.Close()
	defer p.Wait(context.Background())
	ctx, cancel := context.WithTimeout(t.Context(), patience(200*time.Millisecond))
	defer cancel()
	if err := c.Start(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	b.noTrace()
}

func TestCancelledExec(t *testing.T) {
	b := running(t)
	c, err := libcontainer.Load(b.root, b.id)
	must(t, err)
	defer c.Close()
	process, err := c.Process()
	must(t, err)
	process.Args = []string{"sleep", "1001"}
	ctx, cancel := context.WithCancel(t.Context())
	p, err := c.Exec(ctx, libcontainer.ExecOptions{Process: process, PIDFD: func(f *os.File) error { cancel(); return f.Close() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v", p, err)
	}
	if left := b.processes(); slices.ContainsFunc(left, func(p string) bool { return strings.Contains(p, "1001") }) {
		t.Errorf("%q", left)
	}
}

// Whenever an exec is cancelled, the program's child that was to become the process is
// gone, too: a zombie in its pid namespace would keep the container from ending.
func TestExecCancelledAtAnyMoment(t *testing.T) {
	b := running(t)
	c, err := libcontainer.Load(b.root, b.id)
	must(t, err)
	defer c.Close()
	process, err := c.Process()
	must(t, err)
	process.Args = []string{"true"}
	before := children(t)
	for i := range 300 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*20*time.Microsecond)
		p, err := c.Exec(ctx, libcontainer.ExecOptions{Process: process})
		switch {
		case err == nil:
			_, err = p.Wait(context.Background())
			must(t, err)
		case !errors.Is(err, context.DeadlineExceeded):
			t.Error(err)
		}
		cancel()
	}
	if after := children(t); after != before {
		t.Errorf("children before: %q, and after: %q", before, after)
	}
}

// children are the pids of this process's.
func children(t *testing.T) (pids string) {
	lists, err := filepath.Glob("/proc/self/task/*/children")
	must(t, err)
	for _, name := range lists {
		data, _ := os.ReadFile(name) // the thread may be gone
		pids += string(data)
	}
	return pids
}

// A start whose hook has failed is undone once, though it is cancelled meanwhile.
func TestStartCancelledAsItIsUndone(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	log := filepath.Join(t.TempDir(), "log")
	b.spec.Hooks = &specs.Hooks{
		StartContainer: []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "exit 3"}}},
		Poststop:       []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "echo poststop >> " + log + "; sleep 1"}}},
	}
	b.write()
	c, p, err := libcontainer.Create(t.Context(), libcontainer.Options{Root: b.root, ID: b.id, Bundle: b.dir, Rootless: unprivileged})
	must(t, err)
	defer c.Close()
	defer p.Wait(context.Background())
	ctx, cancel := context.WithTimeout(t.Context(), patience(500*time.Millisecond))
	defer cancel()
	err = c.Start(ctx)
	if err == nil || !strings.Contains(err.Error(), "startContainer") {
		t.Error(err)
	}
	if data, err := os.ReadFile(log); err != nil || string(data) != "poststop\n" {
		t.Errorf("%q, %v", data, err)
	}
	b.noTrace()
}

// The configuration may be in memory; the logger hears of what is ignored; a Wait that is
// given up can be repeated.
func TestLibraryOptions(t *testing.T) {
	b := newBundle(t, "exit 7")
	b.spec.Process.Capabilities.Bounding = append(b.spec.Process.Capabilities.Bounding, "CAP_TO_FLY")
	b.spec.Root.Path = b.path("")
	given, err := json.Marshal(b.spec)
	must(t, err)
	var log bytes.Buffer
	c, p, err := libcontainer.Create(t.Context(), libcontainer.Options{
		Root: b.root, ID: b.id, Bundle: t.TempDir(), Spec: b.spec, Rootless: unprivileged,
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	must(t, err)
	defer c.Close()
	if now, err := json.Marshal(b.spec); err != nil || !bytes.Equal(given, now) {
		t.Errorf("the caller's configuration was changed: %s, %v", now, err)
	}
	for _, word := range []string{"level=WARN", "CAP_TO_FLY", "level=DEBUG", "compiled the program"} {
		if !strings.Contains(log.String(), word) {
			t.Errorf("no %q in the log: %s", word, log.String())
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := p.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	must(t, c.Start(t.Context()))
	ctx, cancel = context.WithTimeout(t.Context(), patience(10*time.Second))
	defer cancel()
	if status, err := p.Wait(ctx); err != nil || status.ExitStatus() != 7 {
		t.Errorf("%v, %v", status, err)
	}
	must(t, c.Delete(false, nil))
	b.noTrace()

	b.spec.Hostname = strings.Repeat("x", 65)
	if _, _, err := libcontainer.Run(t.Context(), libcontainer.Options{Root: b.root, ID: b.id, Spec: b.spec, Rootless: unprivileged}); err == nil || !strings.Contains(err.Error(), "hostname") {
		t.Error(err)
	}
}
