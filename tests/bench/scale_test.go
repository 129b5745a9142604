package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rtcontainers/rt/tests/bench/document"
	"github.com/rtcontainers/rt/tests/bench/procs"
)

// pointAt makes a point where every command takes a unit, except some.
func pointAt(alive int, control1 float64, times map[string]float64) scalePoint {
	p := scalePoint{Alive: alive, Times: map[string]map[string][]float64{}, Holds: map[string]procs.Holding{
		contender: {Processes: alive, Descriptors: 4 * alive, PSS: 70 * alive}, "crun": {Processes: alive, Descriptors: 6 * alive, PSS: 700 * alive},
	}}
	for _, command := range scaleCommands {
		time := control1
		if t, ok := times[command]; ok {
			time = t
		}
		for _, who := range []string{contender, "crun"} {
			add(p.Times, command, who, time)
		}
	}
	return p
}

func TestScaleBars(t *testing.T) {
	v := &scaleView{
		View: "v2",
		// At the end the machine is half as fast, and list takes 0.1 more for each container.
		Points: []scalePoint{
			pointAt(1, 1, map[string]float64{"list": 1.1}), pointAt(10, 1, map[string]float64{"list": 2}), pointAt(100, 2, map[string]float64{"list": 22}),
		},
		Rates: []rateResult{{rateStep: rateStep{Workers: 8, Containers: 100}, Create: map[string][]float64{contender: {150}, "crun": {100}}}},
	}
	v.Points[2].Times["list"]["crun"] = []float64{40}
	competitors := []identity{{competitor: competitor{Name: contender}}, {competitor: competitor{Name: "crun"}}}
	want := []string{
		"met: state with 100 containers takes 1.00 ", "met: each container from 10 to 100 adds 1.00 ",
		"missed: list with 100 containers takes 0.55 of crun's", "met: a created container's memory is 0.10 ", "met: 8 workers make 100 containers at 1.50 ",
	}
	got := v.bars(competitors)
	if len(got) != len(want) {
		t.Fatalf("%q", got)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("%q, want %q…", got[i], want[i])
		}
	}
	if got := v.bars(competitors[:1]); len(got) != 2 {
		t.Errorf("without crun: %q", got)
	}
	r := &scaleReport{report: &report{Seed: 1, Competitors: competitors}, Views: []scaleView{*v}, svg: "x.svg"}
	var text bytes.Buffer
	if err := r.print(&text, document.Markdown(2)); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"| list | rt | 1.10 | 2.00 | 22.00 | 20.00 |  |", "| 100 | crun | 100 | 68.36 | 700 | 600 | 6.00 |", "![The figures below as charts](x.svg)"} {
		if !strings.Contains(text.String(), line) {
			t.Errorf("the report lacks %q:\n%s", line, text.String())
		}
	}
}
