package main

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/rtcontainers/rt/tests/bench/bars"
)

func exampleReport(ours, theirs []float64) *report {
	return &report{Seed: 1, Views: []viewResult{{View: "v2", Series: []seriesResult{{
		Name: runDefault, Unit: "ms", Competitors: []string{contender, "crun"},
		Samples: map[string][]float64{contender: ours, "crun": theirs},
	}}}}}
}

func TestCheckBars(t *testing.T) {
	half := exampleReport([]float64{1, 1, 1}, []float64{2, 2, 2})
	for _, test := range []struct {
		name    string
		report  *report
		bar     bars.Bar
		output  string
		failure string
	}{
		{"met", half, bars.Bar{Series: runDefault, Of: "v2", Peer: "crun", Max: 0.5}, "met, ratio 0.50", ""},
		{"missed", half, bars.Bar{Series: runDefault, Of: "v2", Peer: "crun", Max: 0.49}, "missed, ratio 0.50", "1 of 1 bars missed"},
		{
			"not a number", exampleReport([]float64{math.NaN()}, []float64{1}),
			bars.Bar{Series: runDefault, Of: "v2", Peer: "crun", Max: 1}, "missed", "1 of 1 bars missed",
		},
		{"no view", half, bars.Bar{Series: runDefault, Of: "v1", Peer: "crun", Max: 1}, "", `view "v1" was not measured`},
		{"no case", half, bars.Bar{Series: "run-docker", Of: "v2", Peer: "crun", Max: 1}, "", `case "run-docker" was not measured`},
		{"no peer", half, bars.Bar{Series: runDefault, Of: "v2", Peer: "runc", Max: 1}, "", `peer "runc" was not measured`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var output bytes.Buffer
			err := bars.Check(&output, []bars.Bar{test.bar}, test.report.barRatio)
			if !strings.Contains(output.String(), test.output) {
				t.Errorf("printed %q, want %q in it", output.String(), test.output)
			}
			if (err == nil) != (test.failure == "") || err != nil && !strings.Contains(err.Error(), test.failure) {
				t.Errorf("error %v, want %q", err, test.failure)
			}
		})
	}
}
