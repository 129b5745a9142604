// Package plot draws small line charts side by side as one SVG. Both axes are logarithmic: what
// matters is whether something grows, and at which power.
package plot

import (
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
)

// Chart is one chart.
type Chart struct {
	// Title has the unit of Y.
	Title string
	// X names the horizontal axis.
	X     string
	Lines []Line
}

// Line is drawn in the order of its points. Lines of a name have the same colour in all charts.
type Line struct {
	Name string
	X, Y []float64
}

const (
	columns         = 4
	width, height   = 250, 210
	left, right     = 46, 12
	top, bottom     = 28, 38
	legend          = 26
	innerW, innerH  = width - left - right, height - top - bottom
	textStyle       = `font-family="sans-serif" font-size="10" fill="#333"`
	gridStyle       = `stroke="#ddd"`
	lineWidth       = 1.8
	pointRadius     = 2.4
	decadePadding   = 0.15
	smallestDecades = 1
)

var colours = []string{"#0b6e4f", "#d1495b", "#30638e", "#edae49", "#7a5195"}

// SVG draws charts.
func SVG(charts []Chart) string {
	var b strings.Builder
	rows := (len(charts) + columns - 1) / columns
	w, h := min(len(charts), columns)*width, rows*height+legend
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d">`+"\n", w, h, w, h)
	fmt.Fprintln(&b, `<rect width="100%" height="100%" fill="#fff"/>`)
	names := lineNames(charts)
	for i, name := range names {
		x := 12 + i*110
		fmt.Fprintf(&b, `<line x1="%d" y1="14" x2="%d" y2="14" stroke="%s" stroke-width="3"/>`+"\n", x, x+22, colour(i))
		fmt.Fprintf(&b, `<text x="%d" y="18" %s>%s</text>`+"\n", x+28, textStyle, html.EscapeString(name))
	}
	for i, c := range charts {
		fmt.Fprintf(&b, `<g transform="translate(%d,%d)">`+"\n", i%columns*width, legend+i/columns*height)
		c.draw(&b, names)
		fmt.Fprintln(&b, "</g>")
	}
	fmt.Fprintln(&b, "</svg>")
	return b.String()
}

// lineNames are those of all charts, in the order in which they come first.
func lineNames(charts []Chart) []string {
	var names []string
	seen := map[string]bool{}
	for _, c := range charts {
		for _, l := range c.Lines {
			if !seen[l.Name] {
				seen[l.Name] = true
				names = append(names, l.Name)
			}
		}
	}
	return names
}

func colour(i int) string { return colours[i%len(colours)] }

func (c *Chart) draw(b *strings.Builder, names []string) {
	x, y := c.scales()
	fmt.Fprintf(b, `<text x="%d" y="16" %s font-weight="bold">%s</text>`+"\n", left, textStyle, html.EscapeString(c.Title))
	fmt.Fprintf(b, `<text x="%d" y="%d" %s text-anchor="middle">%s</text>`+"\n", left+innerW/2, height-6, textStyle, html.EscapeString(c.X))
	for _, v := range c.values(func(l Line) []float64 { return l.X }) {
		at := left + x.at(v)*innerW
		fmt.Fprintf(b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" %s/>`+"\n", at, top, at, top+innerH, gridStyle)
		fmt.Fprintf(b, `<text x="%.1f" y="%d" %s text-anchor="middle">%s</text>`+"\n", at, top+innerH+14, textStyle, number(v))
	}
	for _, v := range y.ticks() {
		at := top + (1-y.at(v))*innerH
		fmt.Fprintf(b, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" %s/>`+"\n", left, at, left+innerW, at, gridStyle)
		fmt.Fprintf(b, `<text x="%d" y="%.1f" %s text-anchor="end">%s</text>`+"\n", left-4, at+3, textStyle, number(v))
	}
	for _, l := range c.Lines {
		i := 0
		for names[i] != l.Name {
			i++
		}
		var points []string
		for j := range l.X {
			px, py := left+x.at(l.X[j])*innerW, top+(1-y.at(l.Y[j]))*innerH
			points = append(points, fmt.Sprintf("%.1f,%.1f", px, py))
			fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="%g" fill="%s"/>`+"\n", px, py, pointRadius, colour(i))
		}
		fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="%g"/>`+"\n", strings.Join(points, " "), colour(i), lineWidth)
	}
}

// values are the different values of an axis, in the order of the lines.
func (c *Chart) values(of func(Line) []float64) []float64 {
	var list []float64
	seen := map[float64]bool{}
	for _, l := range c.Lines {
		for _, v := range of(l) {
			if !seen[v] {
				seen[v] = true
				list = append(list, v)
			}
		}
	}
	return list
}

func (c *Chart) scales() (x, y scale) {
	return newScale(c.values(func(l Line) []float64 { return l.X }), 0.1),
		newScale(c.values(func(l Line) []float64 { return l.Y }), smallestDecades)
}

// scale is a logarithmic axis between two powers of ten.
type scale struct{ low, high float64 }

// newScale covers the values, and at least some decades.
func newScale(values []float64, decades float64) scale {
	s := scale{math.Inf(1), math.Inf(-1)}
	for _, v := range values {
		s.low, s.high = min(s.low, math.Log10(v)), max(s.high, math.Log10(v))
	}
	if missing := decades - (s.high - s.low); missing > 0 {
		s.low, s.high = s.low-missing/2, s.high+missing/2
	}
	padding := decadePadding * min(1, s.high-s.low)
	return scale{s.low - padding, s.high + padding}
}

// at is where a value is: 0 at the low end, 1 at the high one.
func (s scale) at(v float64) float64 { return (math.Log10(v) - s.low) / (s.high - s.low) }

// ticks are 1, 2 and 5 of each decade, or only 1 if there are many decades.
func (s scale) ticks() []float64 {
	steps := []float64{1, 2, 5}
	if s.high-s.low > 2.5 {
		steps = []float64{1}
	}
	var ticks []float64
	for decade := math.Floor(s.low); decade <= s.high; decade++ {
		for _, step := range steps {
			v := step * math.Pow(10, decade)
			if at := s.at(v); at >= 0 && at <= 1 {
				ticks = append(ticks, v)
			}
		}
	}
	return ticks
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }
