package plot

import (
	"fmt"
	"html"
	"strings"
)

// BarChart is a chart of horizontal bars.
type BarChart struct {
	// Title has the unit of the values.
	Title string
	Bars  []Bar
}

// Bar is one value. Bars of a name have the same colour in all charts.
type Bar struct {
	Name  string
	Value float64
}

const (
	barColumns = 2
	barChart   = 480 // width
	barNames   = 150
	barValues  = 60
	barHeight  = 14
	barStep    = 20
	barTop     = 28
)

// Bars draws charts of bars, whose axes begin at zero.
func Bars(charts []BarChart) string {
	var names []string
	most := 0
	seen := map[string]bool{}
	for _, c := range charts {
		most = max(most, len(c.Bars))
		for _, bar := range c.Bars {
			if !seen[bar.Name] {
				seen[bar.Name] = true
				names = append(names, bar.Name)
			}
		}
	}
	colourOf := map[string]string{}
	for i, name := range names {
		colourOf[name] = colour(i)
	}
	each := barTop + most*barStep + 12
	rows := (len(charts) + barColumns - 1) / barColumns
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d">`+"\n", barColumns*barChart, rows*each)
	fmt.Fprintln(&b, `<rect width="100%" height="100%" fill="#fff"/>`)
	for i, c := range charts {
		fmt.Fprintf(&b, `<g transform="translate(%d,%d)">`+"\n", i%barColumns*barChart, i/barColumns*each)
		c.draw(&b, colourOf)
		fmt.Fprintln(&b, "</g>")
	}
	fmt.Fprintln(&b, "</svg>")
	return b.String()
}

func (c *BarChart) draw(b *strings.Builder, colourOf map[string]string) {
	fmt.Fprintf(b, `<text x="%d" y="18" %s font-weight="bold">%s</text>`+"\n", barNames, textStyle, html.EscapeString(c.Title))
	longest := 0.0
	for _, bar := range c.Bars {
		longest = max(longest, bar.Value)
	}
	for i, bar := range c.Bars {
		y, width := barTop+i*barStep, 0.0
		if longest > 0 {
			width = bar.Value / longest * (barChart - barNames - barValues)
		}
		fmt.Fprintf(b, `<text x="%d" y="%d" %s text-anchor="end">%s</text>`+"\n", barNames-6, y+11, textStyle, html.EscapeString(bar.Name))
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", barNames, y, width, barHeight, colourOf[bar.Name])
		fmt.Fprintf(b, `<text x="%.1f" y="%d" %s>%s</text>`+"\n", barNames+width+5, y+11, textStyle, barNumber(bar.Value))
	}
}

// barNumber has three digits.
func barNumber(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
