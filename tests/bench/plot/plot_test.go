package plot

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestSVGIsWellFormed(t *testing.T) {
	charts := make([]Chart, 5)
	for i := range charts {
		charts[i] = Chart{Title: "time <ms>", X: "alive", Lines: []Line{
			{Name: "rt", X: []float64{1, 10, 1000}, Y: []float64{2, 2, 2}},
			{Name: "a & b", X: []float64{1, 10, 1000}, Y: []float64{3, 30, 3000}},
		}}
	}
	svg := SVG(charts)
	decoder, lines := xml.NewDecoder(strings.NewReader(svg)), 0
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, svg)
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "polyline" {
			lines++
		}
	}
	if lines != 10 || strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
		t.Errorf("%d lines, want 10\n%s", lines, svg)
	}
}

func TestScale(t *testing.T) {
	s := newScale([]float64{1, 1000}, 1)
	if got := s.ticks(); !slices.Equal(got, []float64{1, 10, 100, 1000}) {
		t.Errorf("ticks %v", got)
	}
	if a, b := s.at(1), s.at(1000); a <= 0 || b >= 1 || a >= b {
		t.Errorf("1 at %v, 1000 at %v", a, b)
	}
	if same := newScale([]float64{5, 5}, 1); math.Abs(same.at(5)-0.5) > 1e-9 {
		t.Errorf("a single value at %v, want the middle", same.at(5))
	}
}
