package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/rtcontainers/rt/tests/bench/procs"
)

// scalePlan is what `bench scale` asks of a view.
type scalePlan struct {
	// Alive are the numbers of containers that each competitor has while commands are measured.
	Alive []int
	// Rates are measured Repeats times each.
	Rates   []rateStep
	Repeats int
}

// rateStep is a number of workers that make and delete containers at once.
type rateStep struct{ Workers, Containers int }

// scaleView is what was measured in a view.
type scaleView struct {
	View   string
	Notes  []note `json:",omitempty"`
	Points []scalePoint
	Rates  []rateResult
}

// scalePoint is what was measured while some containers were alive.
type scalePoint struct {
	Alive int
	// Times are in milliseconds, by command and competitor.
	Times map[string]map[string][]float64
	Holds map[string]procs.Holding
}

// scaleCommands are measured at every point; the first six are those of measureLifecycle. The last,
// which asks nothing about containers, shows how fast the machine itself was at that point.
var scaleCommands = []string{"create", "start", "state", "exec", "kill", "delete", "list", control}

const control = "--version"

func runScale(ctx context.Context, args []string) error {
	var opts options
	var views, alive, svg string
	p := scalePlan{Rates: []rateStep{{1, 0}, {2, 0}, {4, 0}, {8, 0}}}
	flags := flag.NewFlagSet("bench scale", flag.ContinueOnError)
	paths := opts.commonFlags(flags, &views, 30)
	flags.Lookup("views").DefValue = "v2"
	views = "v2"
	flags.StringVar(&alive, "alive", "1,10,100,1000", "`list` of numbers of containers")
	flags.IntVar(&p.Repeats, "repeats", 3, "how `often` each rate is measured")
	flags.StringVar(&svg, "svg", "", "draw the results into `file`, beside that of -markdown")
	if err := flags.Parse(args); err != nil {
		return usageError{err}
	}
	if err := opts.finish(flags, views, paths); err != nil {
		return err
	}
	for text := range strings.SplitSeq(alive, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || len(p.Alive) > 0 && n <= p.Alive[len(p.Alive)-1] {
			return usagef("-alive: %q: the numbers must be positive and grow", alive)
		}
		p.Alive = append(p.Alive, n)
	}
	// The most workers make as many containers as there are alive at the last point.
	most := p.Alive[len(p.Alive)-1]
	for i := range p.Rates {
		p.Rates[i].Containers = max(most/5, p.Rates[i].Workers)
	}
	p.Rates[len(p.Rates)-1].Containers = max(most, p.Rates[len(p.Rates)-1].Workers)
	head, err := newReport(ctx, &opts)
	if err != nil {
		return err
	}
	plan := opts.plan()
	plan.Scale = &p
	r := &scaleReport{report: head, svg: svg}
	if r.Views, err = inViews[scaleView](ctx, opts.views, plan); err != nil {
		return err
	}
	return r.write(&opts)
}

// scaleView measures points and rates.
func (w *worker) scaleView(ctx context.Context) (*scaleView, error) {
	obstacles, err := findObstacles(w.View, w.Competitors)
	if err != nil {
		return nil, err
	}
	kind := selectCases([]string{"lifecycle"})[0]
	subjects, dropped, err := w.prepare(&kind, obstacles)
	if err != nil {
		return nil, err
	}
	result := &scaleView{View: w.View}
	if dropped != "" {
		result.Notes = append(result.Notes, note{[]string{"all"}, "left out of linux.resources for all: " + dropped})
	}
	order := rand.New(rand.NewPCG(w.Seed, 0))
	c := &crowd{worker: w, subjects: subjects, alive: map[string][]member{}, processes: map[string][]int{}}
	if err := c.points(ctx, result, order); err != nil {
		return nil, err
	}
	if err := c.clear(ctx); err != nil {
		return nil, err
	}
	for _, step := range w.Scale.Rates {
		fmt.Fprintf(os.Stderr, "bench: scale %s, %d workers\n", w.View, step.Workers)
		rate, err := w.measureRate(ctx, subjects, step, order)
		if err != nil {
			return nil, fmt.Errorf("%d workers: %w", step.Workers, err)
		}
		result.Rates = append(result.Rates, *rate)
	}
	return result, w.checkClean()
}

// crowd are the containers that are alive meanwhile.
type crowd struct {
	*worker
	subjects []*subject
	alive    map[string][]member
	// processes are all those that the containers of a competitor keep.
	processes map[string][]int
}

type member struct {
	id  string
	pid int
}

func (c *crowd) points(ctx context.Context, result *scaleView, order *rand.Rand) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, n := range c.Scale.Alive {
		fmt.Fprintf(os.Stderr, "bench: scale %s, %d alive\n", c.View, n)
		point := scalePoint{Alive: n, Times: map[string]map[string][]float64{}, Holds: map[string]procs.Holding{}}
		for _, i := range order.Perm(len(c.subjects)) {
			if err := c.fill(ctx, c.subjects[i], n); err != nil {
				return fmt.Errorf("%s, %d containers: %w", c.subjects[i].Name, n, err)
			}
		}
		for _, s := range c.subjects {
			h, err := procs.Holds(c.processes[s.Name])
			if err != nil {
				return fmt.Errorf("what %s holds: %w", s.Name, err)
			}
			point.Holds[s.Name] = h
		}
		if err := c.measurePoint(ctx, &point, order); err != nil {
			return fmt.Errorf("with %d containers: %w", n, err)
		}
		result.Points = append(result.Points, point)
	}
	return nil
}

// fill creates containers until there are n.
func (c *crowd) fill(ctx context.Context, s *subject, n int) error {
	before, err := procs.Descendants(os.Getpid())
	if err != nil {
		return err
	}
	step := func(args ...string) error {
		_, err := c.run(s.argv(args...))
		return err
	}
	for len(c.alive[s.Name]) < n {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		id := c.newID()
		pid, err := s.create(step, id)
		if err != nil {
			return err
		}
		c.alive[s.Name] = append(c.alive[s.Name], member{id, pid})
	}
	after, err := procs.Descendants(os.Getpid())
	for pid := range after {
		if !before[pid] {
			c.processes[s.Name] = append(c.processes[s.Name], pid)
		}
	}
	return err
}

// measurePoint measures one more container's life, and list, beside those that are alive.
func (c *crowd) measurePoint(ctx context.Context, point *scalePoint, order *rand.Rand) error {
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for round := range c.Warmup + c.Runs {
		for _, i := range order.Perm(len(c.subjects)) {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			s := c.subjects[i]
			samples, err := measureLifecycle(c.worker, s)
			if err != nil {
				return fmt.Errorf("%s failed: %w", s.Name, err)
			}
			for _, command := range []string{"list", control} {
				elapsed, err := c.run(s.argv(command))
				if err != nil {
					return fmt.Errorf("%s failed: %w", s.Name, err)
				}
				samples = append(samples, milliseconds(elapsed))
			}
			if round < c.Warmup {
				continue
			}
			for j, sample := range samples {
				add(point.Times, scaleCommands[j], s.Name, sample)
			}
		}
	}
	return nil
}

// clear deletes all.
func (c *crowd) clear(ctx context.Context) error {
	for _, s := range c.subjects {
		step := func(args ...string) error {
			_, err := c.run(s.argv(args...))
			return err
		}
		for _, m := range c.alive[s.Name] {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := s.remove(step, m.id, m.pid); err != nil {
				return fmt.Errorf("%s: %w", s.Name, err)
			}
		}
	}
	return c.checkClean()
}
