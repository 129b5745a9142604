package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/rtcontainers/rt/tests/bench/perf"
)

// countPlan is what `bench count` asks of a view.
type countPlan struct {
	// Places asks where the page faults of rt's own process are.
	Places bool
}

// countView is what was counted in a view.
type countView struct {
	View     string
	Notes    []note `json:",omitempty"`
	Commands []counted
	// Places are rt's page faults by command and place.
	Places map[string]map[string]float64 `json:",omitempty"`
}

// counted are the samples of a command: by metric and competitor.
type counted struct {
	Name  string
	Total map[string]map[string][]float64
	// Parts are those of rt: by metric and part.
	Parts map[string]map[string][]float64
}

// counter counts in a view.
type counter struct {
	*worker
	recorder *perf.Recorder
	result   *countView
	places   *places
	warm     bool
}

// settleTime is how long the container's process may still work after the runtime has ended.
const settleTime = 5 * time.Millisecond

func runCount(ctx context.Context, args []string) error {
	var opts options
	var views string
	var bars []countBar
	var places bool
	flags := flag.NewFlagSet("bench count", flag.ContinueOnError)
	paths := opts.commonFlags(flags, &views, 20)
	flags.BoolVar(&places, "places", false, "say where the page faults of rt's own process are")
	flags.Func("bar", "`command:view:metric:peer:max` or command:view:metric:max: fail if rt's count, or its ratio to the peer's, is above max (repeatable)", func(text string) error {
		b, err := parseCountBar(text)
		bars = append(bars, b)
		return err
	})
	if err := flags.Parse(args); err != nil {
		return usageError{err}
	}
	if err := opts.finish(flags, views, paths); err != nil {
		return err
	}
	for _, b := range bars {
		if err := b.check(&opts); err != nil {
			return err
		}
	}
	head, err := newReport(ctx, &opts)
	if err != nil {
		return err
	}
	p := opts.plan()
	p.Count = &countPlan{Places: places}
	r := &countReport{report: head}
	if r.Views, err = inViews[countView](ctx, opts.views, p); err != nil {
		return err
	}
	if err := r.write(&opts); err != nil {
		return err
	}
	return r.checkBars(os.Stdout, bars)
}

// countView counts the commands of every case.
func (w *worker) countView(ctx context.Context) (*countView, error) {
	obstacles, err := findObstacles(w.View, w.Competitors)
	if err != nil {
		return nil, err
	}
	// The recorder belongs to this thread, which starts all commands.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	recorder, err := perf.Open()
	if err != nil {
		return nil, err
	}
	defer recorder.Close()
	c := &counter{worker: w, recorder: recorder, result: &countView{View: w.View}}
	if w.Count.Places {
		if c.places, err = newPlaces(w.Competitors[0].Path); err != nil {
			return nil, err
		}
	}
	for i, kind := range selectCases([]string{runDefault, "run-docker", "lifecycle"}) {
		fmt.Fprintf(os.Stderr, "bench: count %s %s\n", w.View, kind.name)
		kind.floor = false
		subjects, dropped, err := w.prepare(&kind, obstacles)
		if err != nil {
			return nil, err
		}
		if dropped != "" {
			c.note(kind.name, "left out of linux.resources for all: "+dropped)
		}
		order := rand.New(rand.NewPCG(w.Seed, uint64(i)))
		if err := c.countCase(ctx, &kind, subjects, order); err != nil {
			return nil, fmt.Errorf("%s: %w", kind.name, err)
		}
		if err := w.checkClean(); err != nil {
			return nil, fmt.Errorf("%s: %w", kind.name, err)
		}
	}
	if c.places != nil {
		c.result.Places = c.places.medians()
	}
	return c.result, nil
}

func (c *counter) note(name, text string) {
	v := viewResult{Notes: c.result.Notes}
	if slices.ContainsFunc(v.Notes, func(n note) bool { return n.Text == text && slices.Contains(n.Cases, name) }) {
		return
	}
	v.addNote(name, text)
	c.result.Notes = v.Notes
}

func (c *counter) countCase(ctx context.Context, kind *benchCase, subjects []*subject, order *rand.Rand) error {
	for round := range c.Warmup + c.Runs {
		c.warm = round >= c.Warmup
		for _, i := range order.Perm(len(subjects)) {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := c.countOnce(kind, subjects[i]); err != nil {
				return fmt.Errorf("%s failed: %w", subjects[i].Name, err)
			}
		}
	}
	if kind.name == "lifecycle" {
		return c.countInstructions(subjects)
	}
	return nil
}

// countOnce counts one container's commands.
func (c *counter) countOnce(kind *benchCase, s *subject) error {
	l := newLineage("true", "sleep")
	if l.split = s.Name == contender; l.split && c.places != nil {
		l.itself = c.places.see
	}
	id := c.newID()
	if kind.name != "lifecycle" {
		name := map[string]string{runDefault: "run"}[kind.name]
		if name == "" {
			name = kind.name
		}
		return c.step(l, name, s, "run", "--bundle", s.bundle, id)
	}
	step := func(args ...string) error { return c.step(l, args[0], s, args...) }
	pid, err := s.create(step, id)
	if err != nil {
		return err
	}
	for _, args := range [][]string{{"start", id}, {"state", id}, append([]string{"exec", id}, succeed...)} {
		if err := step(args...); err != nil {
			return err
		}
	}
	return s.remove(step, id, pid)
}

// step runs a command and adds what it did to the samples of its name.
func (c *counter) step(l *lineage, name string, s *subject, args ...string) error {
	// What happened since the last command is nobody's.
	if err := c.read(l, newTally()); err != nil {
		return err
	}
	if c.places != nil {
		c.places.begin()
	}
	if _, err := c.run(s.argv(args...)); err != nil {
		return err
	}
	time.Sleep(settleTime)
	t := newTally()
	if err := c.read(l, t); err != nil || !c.warm {
		return err
	}
	if l.split && c.places != nil {
		c.places.end(name)
	}
	into := c.result.command(name)
	for i, metric := range metrics {
		if metric == instructions {
			continue
		}
		add(into.Total, metric, s.Name, t.total(i))
		for p, partName := range partNames {
			if l.split && partName != "" {
				add(into.Parts, metric, partName, t[p][i])
			}
		}
	}
	return nil
}

func (c *counter) read(l *lineage, t *tally) error {
	events, err := c.recorder.Read()
	if err == nil {
		l.add(events, t)
	}
	return err
}

// command returns the samples of a command, in the order in which commands came first.
func (v *countView) command(name string) *counted {
	i := slices.IndexFunc(v.Commands, func(c counted) bool { return c.Name == name })
	if i < 0 {
		i = len(v.Commands)
		v.Commands = append(v.Commands, counted{name, map[string]map[string][]float64{}, map[string]map[string][]float64{}})
	}
	return &v.Commands[i]
}

func add(to map[string]map[string][]float64, metric, who string, sample float64) {
	if to[metric] == nil {
		to[metric] = map[string][]float64{}
	}
	to[metric][who] = append(to[metric][who], sample)
}
