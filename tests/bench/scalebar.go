package main

import (
	"fmt"

	"github.com/rtcontainers/rt/tests/bench/stats"
)

// The project's bars for many containers. `make bench-report` reports them and does not fail.
const (
	// rateBar is the least ratio of the rates of creation to crun's, with the most workers.
	rateBar = 1.4
	// memoryBar is the greatest ratio of a created container's memory to crun's.
	memoryBar = 0.2
	// stateBar is how much longer state may take with the most containers than with the fewest. It
	// and linearBar compare different minutes of a machine, and so count in units of the control.
	stateBar = 1.1
	// listBar is the greatest ratio of list's time to crun's with the most containers. linearBar is
	// how much more the last containers may add to it, each, than those before.
	listBar   = 0.5
	linearBar = 1.25
)

// bars says how each bar came out.
func (v *scaleView) bars(competitors []identity) []string {
	var crun bool
	for _, c := range competitors {
		crun = crun || c.Name == "crun"
	}
	var lines []string
	verdict := func(met bool, format string, args ...any) {
		word := "met"
		if !met {
			word = "missed"
		}
		lines = append(lines, word+": "+fmt.Sprintf(format, args...))
	}
	first, last := v.Points[0], v.Points[len(v.Points)-1]
	time := func(p scalePoint, command, who string) float64 { return stats.Median(p.Times[command][who]) }
	// In units of the control, at the same time.
	units := func(p scalePoint, command string) float64 {
		return time(p, command, contender) / time(p, control, contender)
	}
	grows := units(last, "state") / units(first, "state")
	verdict(grows <= stateBar, "state with %d containers takes %.2f of its time with %d, both in units of %s (at most %.2f)",
		last.Alive, grows, first.Alive, control, stateBar)
	if len(v.Points) > 2 {
		before := v.Points[len(v.Points)-2]
		each := func(p, q scalePoint) float64 {
			return (units(q, "list") - units(p, "list")) / float64(q.Alive-p.Alive)
		}
		factor := each(before, last) / each(first, before)
		verdict(factor <= linearBar, "each container from %d to %d adds %.2f of what each from %d to %d adds to list (at most %.2f)",
			before.Alive, last.Alive, factor, first.Alive, before.Alive, linearBar)
	}
	if !crun {
		return lines
	}
	list := time(last, "list", contender) / time(last, "list", "crun")
	verdict(list <= listBar, "list with %d containers takes %.2f of crun's time (at most %.2f)", last.Alive, list, listBar)
	memory := float64(last.Holds[contender].PSS) / float64(last.Holds["crun"].PSS)
	verdict(memory <= memoryBar, "a created container's memory is %.2f of crun's (at most %.2f)", memory, memoryBar)
	most := v.Rates[len(v.Rates)-1]
	rate := stats.Median(most.Create[contender]) / stats.Median(most.Create["crun"])
	verdict(rate >= rateBar, "%d workers make %d containers at %.2f of crun's rate (at least %.2f)", most.Workers, most.Containers, rate, rateBar)
	return lines
}
