package main

import (
	"flag"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/rtcontainers/rt/tests/bench/bars"
)

// Names of the competitors. The contender is what every peer is compared with.
const (
	contender = "rt"
	floor     = "floor"
)

type options struct {
	competitors []competitor
	// further are peers beside those that everybody has.
	further  []competitor
	runs     int
	warmup   int
	seed     uint64
	views    []string
	cases    []string
	seccomp  bool
	bars     []bars.Bar
	markdown string
	json     string
	// planPath makes this process the part of a comparison that runs inside a view.
	planPath string
}

// plan is what all modes have in their plans.
func (o *options) plan() plan {
	return plan{Competitors: o.competitors, Runs: o.runs, Warmup: o.warmup, Seed: o.seed}
}

type competitor struct {
	Name string
	Path string
}

// usageError is a mistake in the command line.
type usageError struct{ error }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

func parseOptions(args []string) (*options, error) {
	var opts options
	var views, cases string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	paths := opts.commonFlags(flags, &views, 100)
	flags.StringVar(&cases, "cases", strings.Join(caseNames(), ","), "`list` of cases")
	flags.BoolVar(&opts.seccomp, "seccomp", false, "run-docker with Docker's seccomp profile")
	flags.Func("bar", "`case:view:peer:max`: fail if the ratio rt/peer is above max (repeatable)", func(text string) error {
		b, err := bars.Parse(text, [3]string{"case", "view", "peer"})
		opts.bars = append(opts.bars, b)
		return err
	})
	flags.StringVar(&opts.planPath, "plan", "", "`file` of a view's plan; for the harness itself")
	if err := flags.Parse(args); err != nil {
		return nil, usageError{err}
	}
	if opts.planPath != "" {
		return &opts, nil
	}
	opts.cases = strings.Split(cases, ",")
	if err := opts.finish(flags, views, paths); err != nil {
		return nil, err
	}
	return &opts, opts.checkBars()
}

// finish checks what all modes have in common.
func (o *options) finish(flags *flag.FlagSet, views string, paths map[string]*string) error {
	if flags.NArg() > 0 {
		return usagef("unexpected argument %q", flags.Arg(0))
	}
	o.views = strings.Split(views, ",")
	if err := o.check(); err != nil {
		return err
	}
	return o.findCompetitors(paths)
}

// commonFlags defines the flags that all modes have.
func (o *options) commonFlags(flags *flag.FlagSet, views *string, runs int) (paths map[string]*string) {
	paths = map[string]*string{contender: flags.String(contender, "", "`path` of rt (required)")}
	for _, peer := range []string{"crun", "runc"} {
		paths[peer] = flags.String(peer, peer, "`path` of "+peer+", empty to leave it out")
	}
	flags.Func("peer", "`name=path`: compare with this one, too, such as a newer runc (repeatable)", func(text string) error {
		name, path, ok := strings.Cut(text, "=")
		if !ok || !peerName.MatchString(name) {
			return fmt.Errorf("%q is not NAME=PATH with a name of letters, digits, dots and hyphens", text)
		}
		o.further = append(o.further, competitor{name, path})
		return nil
	})
	flags.IntVar(&o.runs, "runs", runs, "measured `rounds` of each case")
	flags.IntVar(&o.warmup, "warmup", 3, "`rounds` before the measured ones")
	flags.Uint64Var(&o.seed, "seed", 1, "`seed` of the order in the rounds and of the resampling")
	flags.StringVar(views, "views", "v1,v2", "`list` of cgroup views")
	flags.StringVar(&o.markdown, "markdown", "", "write the results as markdown to `file`")
	flags.StringVar(&o.json, "json", "", "write the results with all samples as JSON to `file`")
	return paths
}

func (o *options) check() error {
	if o.runs < 1 || o.warmup < 0 {
		return usagef("-runs must be at least 1 and -warmup at least 0")
	}
	for _, view := range o.views {
		if !slices.Contains([]string{"hybrid", "v1", "v2"}, view) {
			return usagef("unknown view %q", view)
		}
	}
	for _, name := range o.cases {
		if !slices.Contains(caseNames(), name) {
			return usagef("unknown case %q", name)
		}
	}
	return nil
}

func (o *options) findCompetitors(paths map[string]*string) error {
	if *paths[contender] == "" {
		return usagef("-rt is required")
	}
	all := []competitor{{contender, *paths[contender]}, {"crun", *paths["crun"]}, {"runc", *paths["runc"]}}
	for _, c := range append(all, o.further...) {
		if c.Path == "" {
			continue
		}
		if slices.ContainsFunc(o.competitors, func(other competitor) bool { return other.Name == c.Name }) {
			return usagef("%s is there twice", c.Name)
		}
		found, err := exec.LookPath(c.Path)
		if err != nil {
			return usagef("%s: %w", c.Name, err)
		}
		if c.Path, err = filepath.Abs(found); err != nil {
			return err
		}
		o.competitors = append(o.competitors, c)
	}
	return nil
}

// peerName is what names of files and cgroups may be made of.
var peerName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9.-]*$`)

// checkBars refuses bars that no result will decide, before any time is spent on them.
func (o *options) checkBars() error {
	for _, b := range o.bars {
		switch {
		case !slices.Contains(o.views, b.Of):
			return usagef("bar %s: view %q is not measured", b, b.Of)
		case !slices.Contains(o.seriesNames(), b.Series):
			return usagef("bar %s: case %q is not measured", b, b.Series)
		case b.Peer == floor && b.Series != runDefault:
			return usagef("bar %s: the floor is measured for %s only", b, runDefault)
		case b.Peer != floor && !o.hasPeer(b.Peer):
			return usagef("bar %s: peer %q is not measured", b, b.Peer)
		}
	}
	return nil
}

func (o *options) hasPeer(name string) bool {
	return name != contender && slices.ContainsFunc(o.competitors, func(c competitor) bool { return c.Name == name })
}

// seriesNames lists what the selected cases measure.
func (o *options) seriesNames() []string {
	var names []string
	for _, c := range cases {
		if slices.Contains(o.cases, c.name) {
			names = append(names, c.series...)
		}
	}
	return names
}
