package main

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestParseOptions(t *testing.T) {
	o, err := parseOptions([]string{"-competitors", "rt-sandbox,runc", "-pods", "200,1,50,1", "-workers", "0", "-bar", "start:rt-sandbox:runc:0.50", "-bar", "memory/50:rt-sandbox:runc:1"})
	if err != nil {
		t.Fatal(err)
	}
	if len(o.competitors) != 2 || o.competitors[1].name != reference {
		t.Errorf("competitors %v", o.competitors)
	}
	if !slices.Equal(o.pods, []int{1, 50, 200}) || len(o.workers) != 0 || len(o.bars) != 2 {
		t.Errorf("pods %v, workers %v, bars %v", o.pods, o.workers, o.bars)
	}
	if !strings.HasPrefix(o.bin, "/") {
		t.Errorf("the directory %q is not absolute", o.bin)
	}
}

func TestParseOptionsRejects(t *testing.T) {
	for want, args := range map[string][]string{
		"unexpected argument":    {"start"},
		"unknown competitor":     {"-competitors", "rt,runc"},
		"runc is there twice":    {"-competitors", "runc,runc"},
		"-runs":                  {"-runs", "0"},
		"list of numbers":        {"-pods", "1,x"},
		"numbers from 1":         {"-workers", "1,0"},
		`competitor "crun"`:      {"-competitors", "rt-pause,runc", "-bar", "start:rt-pause:crun:1"},
		`series "begin" is not`:  {"-bar", "begin:rt-pause:runc:1"},
		`series "rate/1" is not`: {"-workers", "4", "-bar", "rate/1:rt-pause:runc:1"},
		"series:who:peer:max":    {"-bar", "start:rt-pause:runc"},
	} {
		_, err := parseOptions(args)
		var usage usageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
}

func TestSeriesAreMeasuredOnce(t *testing.T) {
	o, err := parseOptions(nil)
	if err != nil {
		t.Fatal(err)
	}
	names := o.series()
	slices.Sort(names)
	if len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("a name is there twice: %q", names)
	}
	for _, want := range []string{"start", "start/cni", "end", "exec", "task", "rate/8", "cpu/1", "memory/200"} {
		if !slices.Contains(names, want) {
			t.Errorf("no series %q in %q", want, names)
		}
	}
}

func TestConfigOfACompetitor(t *testing.T) {
	const table = `[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.`
	for name, want := range map[string]string{
		"rt-node": table + `rt-node]
runtime_type = "io.containerd.rt.v2"
runtime_path = "/b/containerd-shim-rt-v2"
sandboxer = "shim"
disable_pause_image_pull = true
` + table + `rt-node.options]
Grouping = "node"
`,
		"runc": table + `runc]
runtime_type = "io.containerd.runc.v2"
runtime_path = "/b/containerd/containerd-shim-runc-v2"
` + table + `runc.options]
BinaryName = "/b/peers/runc"

`,
	} {
		i := slices.Index(competitorNames(), name)
		if got := competitors[i].config("/b"); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
}
