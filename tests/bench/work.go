package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"
)

// plan is what the part of a comparison inside a view has to do.
type plan struct {
	// Count, if any, asks for counts in place of times.
	Count *countPlan `json:",omitempty"`
	// Scale, if any, asks how times and memory grow.
	Scale       *scalePlan `json:",omitempty"`
	View        string
	Competitors []competitor
	// Floor is the path of the compiled floor.
	Floor   string
	Cases   []string
	Runs    int
	Warmup  int
	Seed    uint64
	Seccomp bool
	// Tests is the directory of the configurations.
	Tests string
	// Dir is an empty directory for the view's files.
	Dir string
	// Prefix begins the name of every container and cgroup, and belongs to this comparison alone.
	Prefix string
	// Result is the file to write a viewResult to.
	Result string
}

// work measures a view from inside it.
func work(ctx context.Context, path string) (err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var p plan
	if err := json.Unmarshal(data, &p); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	w, err := newWorker(p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	var result any
	switch {
	case p.Count != nil:
		result, err = w.countView(ctx)
	case p.Scale != nil:
		result, err = w.scaleView(ctx)
	default:
		result, err = w.measureView(ctx)
	}
	if err != nil {
		return err
	}
	return writeJSON(p.Result, result)
}

func (w *worker) measureView(ctx context.Context) (*viewResult, error) {
	obstacles, err := findObstacles(w.View, w.Competitors)
	if err != nil {
		return nil, err
	}
	result := &viewResult{View: w.View}
	for i, c := range selectCases(w.Cases) {
		fmt.Fprintf(os.Stderr, "bench: %s %s\n", w.View, c.name)
		subjects, dropped, err := w.prepare(&c, obstacles)
		if err != nil {
			return nil, err
		}
		if dropped != "" {
			result.addNote(c.name, "left out of linux.resources for all: "+dropped)
		}
		order := rand.New(rand.NewPCG(w.Seed, uint64(i)))
		series, err := w.measureCase(ctx, &c, subjects, order)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		if err := w.checkClean(); err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		result.Series = append(result.Series, series...)
	}
	return result, nil
}

// prepare makes the bundles of a case. It says what it dropped from their resources.
func (w *worker) prepare(c *benchCase, obstacles []obstacle) (subjects []*subject, dropped string, err error) {
	competitors := w.Competitors
	if c.floor {
		competitors = append([]competitor{{Name: floor, Path: w.Floor}}, competitors...)
	}
	for _, who := range competitors {
		config, err := loadConfig(w.Tests, c, w.Seccomp)
		if err != nil {
			return nil, "", err
		}
		dropped = dropResources(config, obstacles)
		setCgroup(config, filepath.Join("/", w.Prefix, w.Prefix+"-"+who.Name))
		s := w.newSubject(c.name, who)
		if err := makeBundle(s.bundle, config); err != nil {
			return nil, "", err
		}
		subjects = append(subjects, s)
	}
	return subjects, dropped, nil
}

// measureCase runs the rounds of a case. The harness keeps to one thread and collects no garbage
// meanwhile, so that it takes nothing from the commands.
func (w *worker) measureCase(ctx context.Context, c *benchCase, subjects []*subject, order *rand.Rand) ([]seriesResult, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))

	results := newSeries(c, subjects)
	for round := range w.Warmup + w.Runs {
		for _, i := range order.Perm(len(subjects)) {
			// A command always runs to its end, so that the runtime can clean up.
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			time.Sleep(c.rest)
			name := subjects[i].Name
			samples, err := c.measure(w, subjects[i])
			if err != nil {
				return nil, fmt.Errorf("%s failed: %w", name, err)
			}
			if round < w.Warmup {
				continue
			}
			for j, sample := range samples {
				results[j].Samples[name] = append(results[j].Samples[name], sample)
			}
		}
	}
	return results, nil
}
