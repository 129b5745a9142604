package main

import (
	"slices"
	"time"
)

const runDefault = "run-default"

// rest is so long that no runtime profits from the one before.
const rest = 20 * time.Millisecond

// benchCase is a case: what it measures, on which bundle, and how.
type benchCase struct {
	name   string
	series []string
	// unit of each series.
	units []string
	// config names the bundle's configuration, relative to the directory tests.
	config string
	// args of the container's process.
	args []string
	// floor says that the floor takes part.
	floor bool
	// seccomp says that -seccomp adds Docker's profile.
	seccomp bool
	// rest is the pause before each sample.
	rest time.Duration
	// measure takes one sample of each series.
	measure func(*worker, *subject) ([]float64, error)
}

const (
	defaultConfig = "bench/default.json"
	dockerConfig  = "testdata/docker/config.json"
	dockerSeccomp = "testdata/docker/seccomp.json"
)

var (
	succeed = []string{"/bin/true"}
	// Longer than any comparison; the harness kills it.
	sleep = []string{"/bin/sleep", "1000000"}
)

var cases = []benchCase{
	{
		name: runDefault, series: []string{runDefault}, units: []string{"ms"},
		config: defaultConfig, args: succeed, floor: true, measure: measureRun,
	},
	{
		// Moving a process into a cgroup waits for an RCU grace period, unless somebody
		// did so a few milliseconds ago: in run-default the runtime before pays for the
		// next. After a rest each pays for itself, as on a machine that starts containers
		// now and then.
		name: "run-rested", series: []string{"run-rested"}, units: []string{"ms"},
		config: defaultConfig, args: succeed, floor: true, rest: rest, measure: measureRun,
	},
	{
		name: "run-docker", series: []string{"run-docker"}, units: []string{"ms"},
		config: dockerConfig, args: succeed, seccomp: true, measure: measureRun,
	},
	{
		name: "lifecycle",
		series: []string{
			"lifecycle/create", "lifecycle/start", "lifecycle/state", "lifecycle/exec",
			"lifecycle/kill", "lifecycle/delete",
		},
		units:  []string{"ms", "ms", "ms", "ms", "ms", "ms"},
		config: defaultConfig, args: sleep, measure: measureLifecycle,
	},
	{
		name: "memory", series: []string{"memory/private", "memory/binary"}, units: []string{"kB", "kB"},
		config: defaultConfig, args: sleep, measure: measureMemory,
	},
}

func caseNames() []string {
	names := make([]string, len(cases))
	for i, c := range cases {
		names[i] = c.name
	}
	return names
}

// selectCases returns the named cases in the order of the table.
func selectCases(names []string) []benchCase {
	var selected []benchCase
	for _, c := range cases {
		if slices.Contains(names, c.name) {
			selected = append(selected, c)
		}
	}
	return selected
}
