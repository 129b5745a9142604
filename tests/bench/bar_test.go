package main

import (
	"bytes"
	"math"
	"strings"
	"testing"
)

func TestParseBar(t *testing.T) {
	const text = "lifecycle/create:v1:runc:0.5"
	got, err := parseBar(text)
	if want := (bar{"lifecycle/create", "v1", "runc", 0.5}); err != nil || got != want {
		t.Errorf("parseBar(%q) = %v, %v, want %v", text, got, err, want)
	}
	if got.String() != text {
		t.Errorf("the bar prints as %q, want %q", got, text)
	}
}

func TestParseBarRejects(t *testing.T) {
	for _, text := range []string{
		"", "run-default:v2:crun", "run-default:v2:crun:0.75:1", ":v2:crun:0.75", "run-default::crun:0.75",
		"run-default:v2::0.75", "run-default:v2:crun:", "run-default:v2:crun:fast", "run-default:v2:crun:0",
		"run-default:v2:crun:-1", "run-default:v2:crun:NaN", "run-default:v2:crun:Inf",
	} {
		if got, err := parseBar(text); err == nil {
			t.Errorf("parseBar(%q) = %v, want an error", text, got)
		}
	}
}

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
		bar     bar
		output  string
		failure string
	}{
		{"met", half, bar{runDefault, "v2", "crun", 0.5}, "met, ratio 0.50", ""},
		{"missed", half, bar{runDefault, "v2", "crun", 0.49}, "missed, ratio 0.50", "1 of 1 bars missed"},
		{
			"not a number", exampleReport([]float64{math.NaN()}, []float64{1}),
			bar{runDefault, "v2", "crun", 1}, "missed", "1 of 1 bars missed",
		},
		{"no view", half, bar{runDefault, "v1", "crun", 1}, "", `view "v1" was not measured`},
		{"no case", half, bar{"run-docker", "v2", "crun", 1}, "", `case "run-docker" was not measured`},
		{"no peer", half, bar{runDefault, "v2", "runc", 1}, "", `peer "runc" was not measured`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var output bytes.Buffer
			err := checkBars(&output, test.report, []bar{test.bar})
			if !strings.Contains(output.String(), test.output) {
				t.Errorf("printed %q, want %q in it", output.String(), test.output)
			}
			if (err == nil) != (test.failure == "") || err != nil && !strings.Contains(err.Error(), test.failure) {
				t.Errorf("error %v, want %q", err, test.failure)
			}
		})
	}
}
