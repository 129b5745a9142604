package main

import (
	"errors"
	"slices"
	"testing"
)

// Any program does as a competitor: the options only look for it.
var competitorArgs = []string{"-rt", "/bin/sh", "-crun", "/bin/sh", "-runc", "/bin/sh"}

func TestParseOptions(t *testing.T) {
	opts, err := parseOptions(append(competitorArgs,
		"-runc", "", "-views", "v2", "-cases", "run-default,lifecycle",
		"-bar", "run-default:v2:crun:0.75", "-bar", "run-default:v2:floor:3", "-bar", "lifecycle/kill:v2:crun:1"))
	if err != nil {
		t.Fatal(err)
	}
	if len(opts.competitors) != 2 || opts.competitors[0].Name != contender || opts.competitors[1].Name != "crun" {
		t.Errorf("competitors %v, want rt and crun", opts.competitors)
	}
	if len(opts.bars) != 3 {
		t.Errorf("%d bars, want 3", len(opts.bars))
	}
	want := []string{
		runDefault, "lifecycle/create", "lifecycle/start", "lifecycle/state", "lifecycle/exec", "lifecycle/kill", "lifecycle/delete",
	}
	if got := opts.seriesNames(); !slices.Equal(got, want) {
		t.Errorf("series %v, want %v", got, want)
	}
}

func TestFurtherPeers(t *testing.T) {
	opts, err := parseOptions(append(competitorArgs, "-peer", "runc-1.5.3=/bin/sh", "-bar", "run-default:v2:runc-1.5.3:1"))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(opts.competitors); n != 4 || opts.competitors[3] != (competitor{"runc-1.5.3", opts.competitors[0].Path}) {
		t.Errorf("%v", opts.competitors)
	}
}

func TestParseOptionsDefaults(t *testing.T) {
	opts, err := parseOptions(competitorArgs)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(opts.cases, caseNames()) || !slices.Equal(opts.views, []string{"v1", "v2"}) {
		t.Errorf("cases %v in views %v, want all cases in v1 and v2", opts.cases, opts.views)
	}
}

func TestParseOptionsRejects(t *testing.T) {
	for name, args := range map[string][]string{
		"no rt":             {"-rt", ""},
		"no such program":   {"-crun", "/nonexistent"},
		"no such peer":      {"-peer", "runc-next=/nonexistent"},
		"peer without name": {"-peer", "/bin/sh"},
		"peer twice":        {"-peer", "runc=/bin/sh"},
		"name of a peer":    {"-peer", "a/b=/bin/sh"},
		"argument":          {"more"},
		"no rounds":         {"-runs", "0"},
		"negative warmup":   {"-warmup", "-1"},
		"view":              {"-views", "v3"},
		"case":              {"-cases", "run"},
		"bar":               {"-bar", "run-default"},
		"view of a bar":     {"-views", "v1", "-bar", "run-default:v2:crun:1"},
		"case of a bar":     {"-cases", "memory", "-bar", "run-default:v2:crun:1"},
		"a bar of no case":  {"-bar", "lifecycle:v2:crun:1"},
		"peer of a bar":     {"-runc", "", "-bar", "run-default:v2:runc:1"},
		"rt as its peer":    {"-bar", "run-default:v2:rt:1"},
		"floor of the rest": {"-bar", "run-docker:v2:floor:1"},
	} {
		t.Run(name, func(t *testing.T) {
			var usage usageError
			if _, err := parseOptions(append(slices.Clone(competitorArgs), args...)); !errors.As(err, &usage) {
				t.Errorf("%v: error %v, want a usage error", args, err)
			}
		})
	}
}
