package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/rtcontainers/rt/tests/bench/bars"
	"github.com/rtcontainers/rt/tests/bench/document"
	"github.com/rtcontainers/rt/tests/bench/machine"
	"github.com/rtcontainers/rt/tests/bench/plot"
	"github.com/rtcontainers/rt/tests/bench/stats"
)

// report has the samples of a comparison: by series, and by the names of competitors.
type report struct {
	opts    *options
	host    machine.Host
	samples map[string]map[string][]float64
	memory  map[string][]*memory
}

func newReport(opts *options, host machine.Host) *report {
	return &report{opts, host, map[string]map[string][]float64{}, map[string][]*memory{}}
}

// addTimes adds samples in milliseconds.
func (r *report) addTimes(who competitor, all ...times) {
	for _, t := range all {
		for series, took := range t {
			r.add(series, who, float64(took)/float64(time.Millisecond))
		}
	}
}

func (r *report) add(series string, who competitor, value float64) {
	if r.samples[series] == nil {
		r.samples[series] = map[string][]float64{}
	}
	r.samples[series][who.name] = append(r.samples[series][who.name], value)
}

func (r *report) addMemory(who competitor, m *memory) {
	r.memory[who.name] = append(r.memory[who.name], m)
	r.add(memorySeries(m.Pods), who, float64(m.Shims+m.Holders)/float64(m.Pods))
}

func (r *report) ratio(b bars.Bar) (stats.Ratio, error) {
	ours, theirs := r.samples[b.Series][b.Of], r.samples[b.Series][b.Peer]
	if len(ours) == 0 || len(ours) != len(theirs) {
		return stats.Ratio{}, fmt.Errorf("%s and %s have no samples that belong together", b.Of, b.Peer)
	}
	return stats.MedianRatio(ours, theirs, r.opts.seed), nil
}

// The marks around what the benchmark writes into a document.
const (
	markBegin = "<!-- pods: make bench-pods -->\n"
	markEnd   = "<!-- end of pods -->\n"
)

// write prints the tables, and writes the files that the options ask for.
func (r *report) write(w io.Writer) error {
	var text bytes.Buffer
	if err := r.print(&text, document.Text); err != nil {
		return err
	}
	if _, err := text.WriteTo(w); err != nil {
		return err
	}
	if r.opts.svg != "" {
		if err := os.WriteFile(r.opts.svg, []byte(plot.Bars(r.charts())), 0o644); err != nil {
			return err
		}
	}
	if r.opts.markdown == "" {
		return nil
	}
	if err := r.print(&text, document.Markdown(1)); err != nil {
		return err
	}
	return document.Replace(r.opts.markdown, markBegin, markEnd, text.String())
}

func (r *report) print(w *bytes.Buffer, table document.Table) error {
	fmt.Fprintf(w, "Measured on %s:\n\n", time.Now().UTC().Format(time.DateOnly))
	fmt.Fprintf(w, "- %d rounds after %d to warm up, seed %d; %d times %d pods for pods per second and CPU time\n",
		r.opts.runs, r.opts.warmup, r.opts.seed, r.opts.repeats, r.opts.batch)
	r.host.Print(w)
	for _, line := range r.versions() {
		fmt.Fprintf(w, "- %s\n", line)
	}
	if r.opts.svg != "" && r.opts.markdown != "" {
		fmt.Fprintf(w, "\n![Pods of each competitor](%s)\n", filepath.Base(r.opts.svg))
	}
	for _, t := range r.tables() {
		fmt.Fprintf(w, "\n%s:\n\n", t.title)
		if err := table(w, t.rows); err != nil {
			return err
		}
	}
	return nil
}

// versions are those of the programs that have one.
func (r *report) versions() []string {
	var lines []string
	programs := []string{"containerd/containerd"}
	for _, c := range r.opts.competitors {
		if c.runtime != "" {
			programs = append(programs, c.runtime)
		}
	}
	for _, p := range programs {
		out, err := exec.Command(below(r.opts.bin, p), "--version").Output()
		line, _, _ := strings.Cut(string(out), "\n")
		if err == nil {
			lines = append(lines, line)
		}
	}
	return lines
}
