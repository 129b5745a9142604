package plot

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestBarsAreWellFormed(t *testing.T) {
	svg := Bars([]BarChart{
		{Title: "time <ms>", Bars: []Bar{{"rt", 1.234}, {"a & b", 20}}},
		{Title: "nothing", Bars: []Bar{{"rt", 0}}},
		{Title: "memory", Bars: []Bar{{"a & b", 512}}},
	})
	decoder, rects := xml.NewDecoder(strings.NewReader(svg)), 0
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, svg)
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "rect" {
			rects++
		}
	}
	// The background is one, too.
	if rects != 5 || strings.Contains(svg, "NaN") {
		t.Errorf("%d rectangles, want 5\n%s", rects, svg)
	}
	for _, want := range []string{">1.23<", ">20.0<", ">512<"} {
		if !strings.Contains(svg, want) {
			t.Errorf("no %q in\n%s", want, svg)
		}
	}
}

func TestBarsOfANameHaveOneColour(t *testing.T) {
	svg := Bars([]BarChart{{Bars: []Bar{{"a", 1}, {"b", 1}}}, {Bars: []Bar{{"b", 1}}}})
	if n := strings.Count(svg, `fill="`+colour(1)+`"`); n != 2 {
		t.Errorf("%d bars have b's colour, want 2\n%s", n, svg)
	}
}
