package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// median is that of a list, which is not empty.
func median(list []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(list))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// topic is what a step of the program is about: the section of config.json without the
// numbers of entries.
func (s span) topic() string {
	if !s.ofProgram() {
		return s.name
	}
	if s.field == "" {
		return "(the program itself)"
	}
	parts := strings.SplitN(s.field, ".", 3)
	topic, _, _ := strings.Cut(strings.Join(parts[:min(len(parts), 2)], "."), "[")
	return topic
}

func (s span) ofProgram() bool { return strings.HasSuffix(s.row, "program") }

// answers are the spans of rt that lie within others.
func (s span) answers() bool { return strings.HasSuffix(s.row, "answering") }

// phase is one line of a table.
type phase struct {
	row, topic string
	median     time.Duration
}

// phases are the medians of what the runs took for each phase: those of rt in their order,
// those of the program by their length.
func (p *profile) phases() []phase {
	type key struct{ row, topic string }
	var order []key
	times := map[key][]time.Duration{}
	for i, run := range p.runs {
		for _, s := range run {
			if s.answers() {
				continue
			}
			k := key{s.row, s.topic()}
			if times[k] == nil {
				times[k] = make([]time.Duration, len(p.runs))
				order = append(order, k)
			}
			times[k][i] += s.end - s.begin
		}
	}
	begins := func(k key) time.Duration { // in the first run
		for _, s := range p.runs[0] {
			if s.row == k.row && s.topic() == k.topic {
				return s.begin
			}
		}
		return 0
	}
	var list []phase
	for _, k := range order {
		list = append(list, phase{k.row, k.topic, median(times[k])})
	}
	rows := rowsOf(p.runs[0])
	slices.SortStableFunc(list, func(a, b phase) int {
		if a.row != b.row {
			return cmp.Compare(slices.Index(rows, a.row), slices.Index(rows, b.row))
		}
		if strings.HasSuffix(a.row, "program") {
			return cmp.Compare(b.median, a.median)
		}
		return cmp.Compare(begins(key{a.row, a.topic}), begins(key{b.row, b.topic}))
	})
	return list
}

// shown is the share of the whole below which a part of the program is one of others.
const shown = 0.005

func tables(profiles []*profile, kind string, runs int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s, medians of %d rounds, in which the runtimes take turns in a random order. %s.\n", time.Now().Format(time.DateOnly), runs, kind)
	for _, p := range profiles {
		whole := median(p.totals["rt"])
		fmt.Fprintf(&b, "\n### %s\n\n", p.name)
		fmt.Fprintf(&b, "The whole: rt %.0f µs", micro(whole))
		for _, peer := range []string{"crun", "runc"} {
			if t := p.totals[peer]; len(t) > 0 {
				fmt.Fprintf(&b, ", %s %.0f µs (rt/%s %.2f)", peer, micro(median(t)), peer, float64(whole)/float64(median(t)))
			}
		}
		b.WriteString(".\n\n| who | what | µs | of the whole |\n|---|---|--:|--:|\n")
		var others time.Duration
		flush := func(row string) {
			if others > 0 {
				fmt.Fprintf(&b, "| %s | other fields | %.0f | %.1f %% |\n", row, micro(others), 100*float64(others)/float64(whole))
			}
			others = 0
		}
		last := ""
		for _, ph := range p.phases() {
			if ph.row != last {
				flush(last)
				last = ph.row
			}
			share := float64(ph.median) / float64(whole)
			if strings.HasSuffix(ph.row, "program") && share < shown {
				others += ph.median
				continue
			}
			fmt.Fprintf(&b, "| %s | %s | %.0f | %.1f %% |\n", ph.row, ph.topic, micro(ph.median), 100*share)
		}
		flush(last)
	}
	return b.String()
}

func micro(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// The part of the document that this program writes is between these lines.
const (
	begin = "<!-- profiled: make profile -->\n"
	end   = "<!-- end of profiled -->"
)

func insert(document, text string) error {
	data, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(data), begin)
	_, after, ended := strings.Cut(rest, end)
	if !ok || !ended {
		return errors.New(document + ": the lines around the profile are missing")
	}
	return os.WriteFile(document, []byte(before+begin+text+end+after), 0o644)
}
