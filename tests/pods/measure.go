package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rtcontainers/rt/tests/bench/bars"
	"github.com/rtcontainers/rt/tests/bench/machine"
)

// comparison is a run of the benchmark.
type comparison struct {
	*node
	order  *rand.Rand
	result *report
}

func runComparison(ctx context.Context, w *world, opts *options) (err error) {
	host, err := machine.MeasureHost()
	if err != nil {
		return err
	}
	n, err := newNode(ctx, w, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	c := &comparison{n, rand.New(rand.NewPCG(opts.seed, 0)), newReport(opts, host)}
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"pods one after the other", c.withResidents(c.measureRounds)}, {"workers", c.withResidents(c.measureRates)},
		{"memory", c.measureMemory},
	} {
		fmt.Fprintf(os.Stderr, "pods: measuring %s\n", step.what)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w\n%s", step.what, err, n.complaints())
		}
	}
	if err := c.result.write(os.Stdout); err != nil {
		return err
	}
	return bars.Check(os.Stdout, opts.bars, c.result.ratio)
}

// withResidents lets a pod of each competitor run all the time, as other pods do on a node: a shim that
// serves the whole node would otherwise end and start anew between the measurements.
func (c *comparison) withResidents(measure func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		var residents []*pod
		for _, who := range c.opts.competitors {
			p, _, err := c.start(ctx, who, hostNetwork)
			if err != nil {
				return fmt.Errorf("%s: %w", who.name, err)
			}
			residents = append(residents, p)
		}
		if err := measure(ctx); err != nil {
			return err
		}
		return c.endMany(ctx, residents, hostNetwork)
	}
}

// rest is how long containerd and the shims have to finish what goes on after an answer: with the pod
// before, so that it does not delay the next one, and before the CPU time is read.
const rest = 300 * time.Millisecond

// inTurn calls a function for each competitor, in a random order.
func (c *comparison) inTurn(ctx context.Context, do func(who competitor) error) error {
	for _, i := range c.order.Perm(len(c.opts.competitors)) {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		time.Sleep(rest)
		who := c.opts.competitors[i]
		if err := do(who); err != nil {
			return fmt.Errorf("%s: %w", who.name, err)
		}
	}
	return nil
}

func (c *comparison) measureRounds(ctx context.Context) error {
	for round := range c.opts.warmup + c.opts.runs {
		measured := round >= c.opts.warmup
		for _, net := range networks {
			err := c.inTurn(ctx, func(who competitor) error { return c.measurePod(ctx, who, net, measured) })
			if err != nil {
				return err
			}
		}
		err := c.inTurn(ctx, func(who competitor) error {
			if who.sandbox {
				return nil // it makes a container like the same shim without
			}
			t, err := c.runTask(ctx, who)
			if measured {
				c.result.addTimes(who, t)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *comparison) measurePod(ctx context.Context, who competitor, net network, measured bool) error {
	p, t, err := c.start(ctx, who, net)
	if err != nil {
		return err
	}
	e := times{}
	if err := e.take(execTrue+net.suffix, func() error { return c.exec(ctx, p) }); err != nil {
		return err
	}
	ended, err := c.end(ctx, p, net)
	if err == nil && measured {
		c.result.addTimes(who, t, e, ended)
	}
	return err
}

func rateSeries(workers int) string { return fmt.Sprintf("rate/%d", workers) }
func cpuSeries(workers int) string  { return fmt.Sprintf("cpu/%d", workers) }

// measureRates lets workers start and remove pods.
func (c *comparison) measureRates(ctx context.Context) error {
	for range c.opts.repeats {
		for _, workers := range c.opts.workers {
			err := c.inTurn(ctx, func(who competitor) error { return c.measureRate(ctx, who, workers) })
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *comparison) measureRate(ctx context.Context, who competitor, workers int) error {
	before, err := c.cpuTime()
	if err != nil {
		return err
	}
	began := time.Now()
	err = together(c.opts.batch, workers, func(int) error {
		p, _, err := c.start(ctx, who, hostNetwork)
		if err != nil {
			return err
		}
		_, err = c.end(ctx, p, hostNetwork)
		return err
	})
	took := time.Since(began)
	if err != nil {
		return err
	}
	time.Sleep(rest)
	after, err := c.cpuTime()
	n := time.Duration(c.opts.batch)
	c.result.addTimes(who, times{rateSeries(workers): took / n, cpuSeries(workers): (after - before) / n})
	return err
}

// together calls a function for numbers from 0 in some workers, which stop at the first error.
func together(n, workers int, do func(i int) error) error {
	var next atomic.Int64
	var failed atomic.Bool
	errs := make([]error, workers)
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && !failed.Load(); i = int(next.Add(1)) - 1 {
				if err := do(i); err != nil {
					errs[w] = err
					failed.Store(true)
				}
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
