package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/rtcontainers/rt/tests/bench/stats"
)

// countCommands are those that `bench count` counts.
var countCommands = []string{"run", "run-docker", "create", "start", "state", "exec", "kill", "delete"}

// countBar is a limit for a count of rt: absolute, or as a ratio to a peer's.
type countBar struct {
	Command, View, Metric string
	// Peer is empty if the limit is absolute.
	Peer string
	Max  float64
}

// parseCountBar reads command:view:metric:peer:max, for example run:v2:page-faults:crun:1.0, or
// command:view:metric:max.
func parseCountBar(text string) (countBar, error) {
	fields := strings.Split(text, ":")
	if len(fields) != 4 && len(fields) != 5 {
		return countBar{}, fmt.Errorf("%q is not command:view:metric:peer:max or command:view:metric:max", text)
	}
	b := countBar{Command: fields[0], View: fields[1], Metric: fields[2]}
	if len(fields) == 5 {
		if b.Peer = fields[3]; b.Peer == "" {
			return countBar{}, fmt.Errorf("%q has no peer", text)
		}
	}
	limit, err := strconv.ParseFloat(fields[len(fields)-1], 64)
	if err != nil || !(limit >= 0) || math.IsInf(limit, 1) {
		return countBar{}, fmt.Errorf("%q: %q is not a number", text, fields[len(fields)-1])
	}
	b.Max = limit
	return b, nil
}

func (b countBar) String() string {
	if b.Peer == "" {
		return fmt.Sprintf("%s:%s:%s:%g", b.Command, b.View, b.Metric, b.Max)
	}
	return fmt.Sprintf("%s:%s:%s:%s:%g", b.Command, b.View, b.Metric, b.Peer, b.Max)
}

// check refuses a bar that no count will decide.
func (b countBar) check(o *options) error {
	switch {
	case !slices.Contains(countCommands, b.Command):
		return usagef("bar %s: command %q is not counted", b, b.Command)
	case !slices.Contains(o.views, b.View):
		return usagef("bar %s: view %q is not counted", b, b.View)
	case !slices.Contains(metrics, b.Metric):
		return usagef("bar %s: there is no count %q", b, b.Metric)
	case b.Peer != "" && !o.hasPeer(b.Peer):
		return usagef("bar %s: peer %q is not counted", b, b.Peer)
	}
	return nil
}

// value is what a bar limits; it is not a number if there is no such count.
func (r *countReport) value(b countBar) float64 {
	for _, v := range r.Views {
		for _, c := range v.Commands {
			if v.View != b.View || c.Name != b.Command {
				continue
			}
			ours := stats.Median(c.Total[b.Metric][contender])
			if b.Peer == "" {
				return ours
			}
			return ours / stats.Median(c.Total[b.Metric][b.Peer])
		}
	}
	return math.NaN()
}

// checkBars prints how each bar came out. The error says that at least one was missed.
func (r *countReport) checkBars(w io.Writer, bars []countBar) error {
	missed := 0
	for _, b := range bars {
		value, verdict := r.value(b), "met"
		// Written so that what is not a number is a miss.
		if !(value <= b.Max) {
			verdict = "missed"
			missed++
		}
		fmt.Fprintf(w, "bar %s: %s, %.4g\n", b, verdict, value)
	}
	if missed > 0 {
		return fmt.Errorf("%d of %d bars missed", missed, len(bars))
	}
	return nil
}
