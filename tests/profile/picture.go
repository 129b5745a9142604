package main

import (
	"cmp"
	"fmt"
	"html"
	"slices"
	"strings"
	"time"
)

const (
	pictureWidth = 1000
	labelWidth   = 130
	rowHeight    = 30
	barHeight    = 22
	headHeight   = 40
	charWidth    = 5.6 // of the font, about
)

var colours = []string{"#4e79a7", "#f28e2b", "#59a14f", "#b07aa1", "#76b7b2", "#edc948", "#9c755f", "#e15759", "#8cd17d", "#86bcb6"}

// draw draws the run of each profile whose time is the median.
func draw(profiles []*profile) string {
	var body strings.Builder
	y, colour := 8, map[string]string{}
	for _, p := range profiles {
		y = drawProfile(&body, y, p, colour)
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="10">`+"\n"+
		`<rect width="100%%" height="100%%" fill="#fff"/>`+"\n%s</svg>\n", pictureWidth, y, body.String())
}

func drawProfile(b *strings.Builder, y int, p *profile, colour map[string]string) int {
	run, from, to := p.typical()
	scale := float64(pictureWidth-labelWidth-10) / float64(to-from)
	at := func(t time.Duration) float64 { return labelWidth + float64(t-from)*scale }
	title := fmt.Sprintf("%s: %.0f µs", p.name, micro(to-from))
	for _, peer := range []string{"crun", "runc"} {
		if t := p.totals[peer]; len(t) > 0 {
			title += fmt.Sprintf(", %s %.0f µs", peer, micro(median(t)))
		}
	}
	fmt.Fprintf(b, `<text x="8" y="%d" font-size="13" font-weight="bold">%s</text>`+"\n", y+16, html.EscapeString(title))
	step := gridStep(to - from)
	rows := rowsOf(run)
	bottom := y + headHeight + len(rows)*rowHeight
	for t := time.Duration(0); t <= to-from; t += step {
		x := at(from + t)
		fmt.Fprintf(b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#ddd"/><text x="%.1f" y="%d" fill="#666">%.0f</text>`+"\n", x, y+34, x, bottom, x+2, y+34, micro(t))
	}
	for i, row := range rows {
		top := y + headHeight + i*rowHeight
		fmt.Fprintf(b, `<text x="8" y="%d">%s</text>`+"\n", top+15, html.EscapeString(row))
		for _, s := range merged(run, row) {
			topic := s.topic()
			if colour[topic] == "" {
				colour[topic] = colours[len(colour)%len(colours)]
			}
			width := float64(s.end-s.begin) * scale
			label := topic
			if most := int(width/charWidth) - 1; most < len(label) {
				label = label[:max(most, 0)]
			}
			fmt.Fprintf(b, `<g><title>%s: %.0f µs</title><rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s" stroke="#fff" stroke-width="0.5"/>`,
				html.EscapeString(topic), micro(s.end-s.begin), at(s.begin), top, max(width, 0.5), barHeight, colour[topic])
			if len(label) > 2 {
				fmt.Fprintf(b, `<text x="%.1f" y="%d" fill="#fff">%s</text>`, at(s.begin)+3, top+15, html.EscapeString(label))
			}
			b.WriteString("</g>\n")
		}
	}
	return bottom + 12
}

// typical is the run with the median time.
func (p *profile) typical() (run []span, from, to time.Duration) {
	length := func(run []span) (from, to time.Duration) {
		from = slices.MinFunc(run, func(a, b span) int { return cmp.Compare(a.begin, b.begin) }).begin
		to = slices.MaxFunc(run, func(a, b span) int { return cmp.Compare(a.end, b.end) }).end
		return from, to
	}
	runs := slices.SortedFunc(slices.Values(p.runs), func(a, b []span) int {
		af, at := length(a)
		bf, bt := length(b)
		return cmp.Compare(at-af, bt-bf)
	})
	run = runs[len(runs)/2]
	from, to = length(run)
	return run, from, to
}

// gridStep is a round time of which about eight fit.
func gridStep(whole time.Duration) time.Duration {
	step := time.Microsecond
	for _, factor := range []time.Duration{5, 2, 5, 2, 5, 2, 5, 2, 5, 2} {
		if whole/step <= 10 {
			break
		}
		step *= factor
	}
	return step
}

// rowsOf are the rows of a run, in the order of their first steps.
func rowsOf(run []span) []string {
	var rows []string
	for _, s := range slices.SortedFunc(slices.Values(run), func(a, b span) int { return cmp.Compare(a.begin, b.begin) }) {
		if !slices.Contains(rows, s.row) && !s.answers() {
			rows = append(rows, s.row)
		}
	}
	return rows
}

// merged are the steps of a row; neighbours about one topic are one.
func merged(run []span, row string) []span {
	var list []span
	for _, s := range slices.SortedFunc(slices.Values(run), func(a, b span) int { return cmp.Compare(a.begin, b.begin) }) {
		if s.row != row {
			continue
		}
		if n := len(list); n > 0 && list[n-1].topic() == s.topic() && s.ofProgram() {
			list[n-1].end = s.end
			continue
		}
		list = append(list, s)
	}
	return list
}
