package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// compare measures every view, each in a process of its own.
func compare(ctx context.Context, opts *options) (*report, error) {
	tests, err := filepath.Abs("tests")
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(tests, defaultConfig)); err != nil {
		return nil, fmt.Errorf("run bench from the top of the repository: %w", err)
	}
	dir, err := os.MkdirTemp("", "rt-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	floorPath, err := compileFloor(ctx, opts, tests, dir)
	if err != nil {
		return nil, err
	}
	r, err := newReport(ctx, opts)
	if err != nil {
		return nil, err
	}
	p := opts.plan()
	p.Floor, p.Cases, p.Seccomp = floorPath, opts.cases, opts.seccomp
	r.Views, err = inViews[viewResult](ctx, opts.views, p)
	return r, err
}

// inViews executes a plan in every view, each in a process of its own, and returns the results.
func inViews[T any](ctx context.Context, views []string, p plan) ([]T, error) {
	tests, err := filepath.Abs("tests")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "rt-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var results []T
	for _, view := range views {
		p.View, p.Tests, p.Dir, p.Prefix = view, tests, filepath.Join(dir, view), filepath.Base(dir)
		p.Result = filepath.Join(dir, view+"-result.json")
		var result T
		if err := measureIn(ctx, p, filepath.Join(dir, view+"-plan.json"), &result); err != nil {
			return nil, err
		}
		results = append(results, result)
	}
	return results, nil
}

// compileFloor returns no path if no case needs the floor.
func compileFloor(ctx context.Context, opts *options, tests, dir string) (string, error) {
	if !slices.ContainsFunc(selectCases(opts.cases), func(c benchCase) bool { return c.floor }) {
		return "", nil
	}
	path := filepath.Join(dir, floor)
	gcc := exec.CommandContext(ctx, "gcc", "-O2", "-o", path, filepath.Join(tests, "bench", "floor.c"))
	if output, err := gcc.CombinedOutput(); err != nil {
		return "", fmt.Errorf("compile the floor: %w\n%s", err, output)
	}
	return path, nil
}

// measureIn executes a plan inside its view.
func measureIn(ctx context.Context, p plan, planPath string, result any) error {
	if err := os.Mkdir(p.Dir, 0o755); err != nil {
		return err
	}
	if err := writeJSON(planPath, p); err != nil {
		return err
	}
	if err := runInView(ctx, p, planPath); err != nil {
		return err
	}
	data, err := os.ReadFile(p.Result)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, result)
}

func runInView(ctx context.Context, p plan, planPath string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	// The parent death signal comes when the thread ends that started the worker.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	worker := exec.CommandContext(ctx, filepath.Join(p.Tests, "view"), p.View, self, "-plan", planPath)
	worker.Stdout, worker.Stderr = os.Stdout, os.Stderr
	worker.SysProcAttr = &syscall.SysProcAttr{
		// A ^C reaches this process alone; the runtimes must not be interrupted in the
		// middle.
		Setpgid: true,
		// If this process is killed, the worker still cleans up.
		Pdeathsig: syscall.SIGTERM,
	}
	worker.Cancel = func() error { return worker.Process.Signal(syscall.SIGTERM) }
	// A worker that is told to stop waits for the command it runs, and then cleans up.
	worker.WaitDelay = 2*commandTimeout + endTimeout
	if p.Scale != nil {
		// Thousands of containers may be alive.
		worker.WaitDelay = 10 * time.Minute
	}
	err = worker.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &exit):
		// The worker has reported why.
		return fmt.Errorf("the comparison in view %s failed: %w", p.View, err)
	}
	return err
}

func writeJSON(path string, value any) error {
	data, err := json.MarshalIndent(value, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}
