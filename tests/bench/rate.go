package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// rateResult has samples of containers per second.
type rateResult struct {
	rateStep
	Create, Delete map[string][]float64
}

// measureRate lets several workers create containers, and then kill and delete them, one competitor
// after the other in a random order.
func (w *worker) measureRate(ctx context.Context, subjects []*subject, step rateStep, order *rand.Rand) (*rateResult, error) {
	result := &rateResult{rateStep: step, Create: map[string][]float64{}, Delete: map[string][]float64{}}
	for range w.Scale.Repeats {
		for _, i := range order.Perm(len(subjects)) {
			s := subjects[i]
			create, remove, err := w.rates(ctx, s, step)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.Name, err)
			}
			result.Create[s.Name] = append(result.Create[s.Name], create)
			result.Delete[s.Name] = append(result.Delete[s.Name], remove)
		}
	}
	return result, nil
}

func (w *worker) rates(ctx context.Context, s *subject, step rateStep) (create, remove float64, err error) {
	members := make([]member, step.Containers)
	for i := range members {
		members[i].id = w.newID()
	}
	began := time.Now()
	err = w.together(ctx, s, step, func(s *subject, run func(...string) error, i int) (err error) {
		members[i].pid, err = s.create(run, members[i].id)
		return err
	})
	create = float64(step.Containers) / time.Since(began).Seconds()
	if err != nil {
		return 0, 0, err
	}
	began = time.Now()
	err = w.together(ctx, s, step, func(s *subject, run func(...string) error, i int) error {
		return s.remove(run, members[i].id, members[i].pid)
	})
	return create, float64(step.Containers) / time.Since(began).Seconds(), err
}

// together calls a function for each of the containers of a step. Each of its workers has a launcher
// and a pid file of its own.
func (w *worker) together(ctx context.Context, s *subject, step rateStep, do func(s *subject, run func(...string) error, i int) error) error {
	var next atomic.Int64
	failed := make([]error, step.Workers)
	var workers sync.WaitGroup
	for n := range step.Workers {
		workers.Go(func() {
			dir := filepath.Join(w.state, fmt.Sprintf("worker-%d", n))
			if failed[n] = os.MkdirAll(dir, 0o700); failed[n] != nil {
				return
			}
			l, err := newLauncher(dir)
			if failed[n] = err; err != nil {
				return
			}
			defer l.close()
			own := *s
			own.pidFile = filepath.Join(dir, "pid")
			run := func(args ...string) error {
				_, err := l.run(own.argv(args...))
				return err
			}
			for i := int(next.Add(1)) - 1; i < step.Containers && failed[n] == nil; i = int(next.Add(1)) - 1 {
				if failed[n] = context.Cause(ctx); failed[n] == nil {
					failed[n] = do(&own, run, i)
				}
			}
		})
	}
	workers.Wait()
	return errors.Join(failed...)
}
