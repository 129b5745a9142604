package main

import (
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rtcontainers/rt/tests/bench/bars"
)

type options struct {
	bin         string
	competitors []competitor
	runs        int
	warmup      int
	repeats     int
	batch       int
	seed        uint64
	// pods and workers are numbers, in ascending order.
	pods    []int
	workers []int
	storm   int
	// patience is how long a call may take.
	patience time.Duration
	// settle is the time between the start of pods and the measurement of memory.
	settle time.Duration
	bars   []bars.Bar
	// markdown and svg are files, or empty.
	markdown string
	svg      string
}

// usageError is a mistake in the command line.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func parseOptions(args []string) (*options, error) {
	opts := &options{pods: []int{1, 50, 200}, workers: []int{1, 4, 8}}
	flags := flag.NewFlagSet("pods", flag.ContinueOnError)
	flags.StringVar(&opts.bin, "bin", "bin", "`directory` of what make bench-pods builds")
	names := flags.String("competitors", strings.Join(competitorNames(), ","), "`list` of competitors")
	flags.IntVar(&opts.runs, "runs", 30, "measured `rounds`")
	flags.IntVar(&opts.warmup, "warmup", 2, "`rounds` before the measured ones")
	flags.IntVar(&opts.repeats, "repeats", 5, "how `often` pods per second and CPU time are measured")
	flags.IntVar(&opts.batch, "batch", 24, "`pods` of such a measurement")
	flags.Uint64Var(&opts.seed, "seed", 1, "`seed` of the order in the rounds and of the resampling")
	flags.Func("pods", "`list` of how many pods run when their memory is measured (1,50,200); 0 for none", listOf(&opts.pods))
	flags.Func("workers", "`list` of how many workers start and remove pods (1,4,8); 0 for none", listOf(&opts.workers))
	flags.IntVar(&opts.storm, "storm", 0, "in place of the comparison, start so many `pods` at once while containerd is killed and restarted, and look for what is left")
	flags.DurationVar(&opts.patience, "patience", 5*time.Minute, "`time` that a call to containerd may take")
	flags.DurationVar(&opts.settle, "settle", 32*time.Second, "`time` before memory is measured: shims give memory back every 30 seconds")
	flags.Func("bar", "`series:who:peer:max`: fail if the ratio of medians is above max (repeatable)", func(text string) error {
		b, err := bars.Parse(text, [3]string{"series", "who", "peer"})
		opts.bars = append(opts.bars, b)
		return err
	})
	flags.StringVar(&opts.markdown, "markdown", "", "write the tables between the marks of `file`")
	flags.StringVar(&opts.svg, "svg", "", "write a picture to `file`")
	if err := flags.Parse(args); err != nil {
		return nil, usageError{err}
	}
	if flags.NArg() > 0 {
		return nil, usagef("unexpected argument %q", flags.Arg(0))
	}
	if opts.runs < 1 || opts.warmup < 0 || opts.repeats < 1 || opts.batch < 1 || opts.storm < 0 || opts.patience <= 0 {
		return nil, usagef("-runs, -repeats and -batch must be at least 1, -warmup and -storm at least 0, and -patience above 0")
	}
	for name := range strings.SplitSeq(*names, ",") {
		i := slices.IndexFunc(competitors, func(c competitor) bool { return c.name == name })
		if i < 0 {
			return nil, usagef("unknown competitor %q; there are %s", name, strings.Join(competitorNames(), ", "))
		}
		if opts.competes(name) {
			return nil, usagef("%s is there twice", name)
		}
		opts.competitors = append(opts.competitors, competitors[i])
	}
	var err error
	if opts.bin, err = filepath.Abs(opts.bin); err != nil {
		return nil, err
	}
	return opts, opts.checkBars()
}

// listOf reads numbers into a list; 0 alone empties it.
func listOf(to *[]int) func(string) error {
	return func(text string) error {
		*to = nil
		if text == "0" {
			return nil
		}
		for word := range strings.SplitSeq(text, ",") {
			n, err := strconv.Atoi(word)
			if err != nil || n < 1 {
				return fmt.Errorf("%q is not a list of numbers from 1", text)
			}
			*to = append(*to, n)
		}
		slices.Sort(*to)
		*to = slices.Compact(*to)
		return nil
	}
}

func (o *options) competes(name string) bool {
	return slices.ContainsFunc(o.competitors, func(c competitor) bool { return c.name == name })
}

// checkBars refuses bars that no result will decide, before any time is spent on them.
func (o *options) checkBars() error {
	for _, b := range o.bars {
		switch {
		case !o.competes(b.Of):
			return usagef("bar %s: competitor %q is not measured", b, b.Of)
		case !o.competes(b.Peer):
			return usagef("bar %s: competitor %q is not measured", b, b.Peer)
		case !slices.Contains(o.series(), b.Series):
			return usagef("bar %s: series %q is not measured", b, b.Series)
		}
	}
	return nil
}

// series are the names of all that is measured.
func (o *options) series() []string {
	var names []string
	for _, n := range networks {
		for _, s := range podSeries {
			names = append(names, s+n.suffix)
		}
	}
	names = append(names, taskSeries...)
	for _, n := range o.workers {
		names = append(names, rateSeries(n), cpuSeries(n))
	}
	for _, n := range o.pods {
		names = append(names, memorySeries(n), idleSeries(n))
	}
	return names
}
