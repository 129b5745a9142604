package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/rtcontainers/rt/tests/bench/bars"
	"github.com/rtcontainers/rt/tests/bench/document"
	"github.com/rtcontainers/rt/tests/bench/plot"
	"github.com/rtcontainers/rt/tests/bench/stats"
)

// titled is a table with its title.
type titled struct {
	title string
	rows  [][]string
}

func (r *report) tables() []titled {
	var list []titled
	for _, net := range networks {
		list = append(list, titled{"Time of a pod in ms, with " + net.title, r.table([]column{
			{"RunPodSandbox", runSandbox + net.suffix, false}, {"CreateContainer", createContainer + net.suffix, false},
			{"StartContainer", startContainer + net.suffix, false}, {"start, whole", startPod + net.suffix, true},
			{"ExecSync", execTrue + net.suffix, true}, {"StopPodSandbox", stopPod + net.suffix, false},
			{"RemovePodSandbox", removePod + net.suffix, false}, {"end, whole", endPod + net.suffix, true},
		})})
	}
	list = append(list, titled{"Time of a container without a pod in ms, by containerd's own client", r.table([]column{
		{"create", createTask, false}, {"start", startTask, false}, {"kill and delete", endTask, false}, {"whole", wholeTask, true},
	})})
	if len(r.opts.workers) > 0 {
		list = append(list, titled{"Pods per second, from their start to their removal, and CPU time of a pod in ms", r.rateTable()})
	}
	if len(r.opts.pods) > 0 {
		list = append(list, titled{"Memory of a pod's shim and pause container in KiB (PSS), when so many pods run", r.memoryTable()},
			titled{"CPU time of a pod that does nothing, in µs a second, when so many pods run", r.idleTable()})
	}
	return list
}

// column is a series in a table.
type column struct {
	title, series string
	// compared is true if the ratio to the reference is beside it.
	compared bool
}

func (r *report) table(columns []column) [][]string {
	head := []string{""}
	for _, c := range columns {
		head = append(head, c.title)
		if c.compared {
			head = append(head, "of "+reference)
		}
	}
	rows := [][]string{head}
	for _, who := range r.opts.competitors {
		if len(r.samples[columns[0].series][who.name]) == 0 {
			continue // not measured without a pod
		}
		row := []string{who.title}
		for _, c := range columns {
			row = append(row, document.Number(stats.Median(r.samples[c.series][who.name])))
			if c.compared {
				row = append(row, r.compared(c.series, who))
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// compared is the ratio of a competitor's median to the reference's.
func (r *report) compared(series string, who competitor) string {
	found, err := r.ratio(bars.Bar{Series: series, Of: who.name, Peer: reference})
	switch {
	case err != nil:
		return "" // the reference does not compete
	case who.name == reference:
		return "1.00"
	case len(r.samples[series][who.name]) == 1:
		return fmt.Sprintf("%.2f", found.Value)
	}
	return found.String()
}

func (r *report) rateTable() [][]string {
	head := []string{""}
	for _, n := range r.opts.workers {
		head = append(head, plural(n, "worker"), "of "+reference)
	}
	for _, n := range r.opts.workers {
		head = append(head, "CPU, "+plural(n, "worker"), "of "+reference)
	}
	rows := [][]string{head}
	for _, who := range r.opts.competitors {
		row := []string{who.title}
		for _, n := range r.opts.workers {
			// Of medians, so that it fits the numbers beside it.
			ours, theirs := stats.Median(r.samples[rateSeries(n)][who.name]), stats.Median(r.samples[rateSeries(n)][reference])
			row = append(row, document.Number(1000/ours), number(theirs/ours))
		}
		for _, n := range r.opts.workers {
			row = append(row, document.Number(stats.Median(r.samples[cpuSeries(n)][who.name])), r.compared(cpuSeries(n), who))
		}
		rows = append(rows, row)
	}
	return rows
}

func (r *report) memoryTable() [][]string {
	head := []string{""}
	for _, n := range r.opts.pods {
		head = append(head, plural(n, "pod"), "of "+reference)
	}
	most := plural(r.opts.pods[len(r.opts.pods)-1], "pod")
	head = append(head, "the shim's part with "+most, "processes with "+most, "a container's own process with "+most)
	rows := [][]string{head}
	for _, who := range r.opts.competitors {
		row := []string{who.title}
		for _, n := range r.opts.pods {
			row = append(row, document.Number(stats.Median(r.samples[memorySeries(n)][who.name])), r.compared(memorySeries(n), who))
		}
		m := r.memory[who.name][len(r.opts.pods)-1]
		pods := float64(m.Pods)
		row = append(row, document.Number(float64(m.Shims)/pods), strconv.Itoa(m.Processes), document.Number(float64(m.Containers)/pods))
		rows = append(rows, row)
	}
	return rows
}

func (r *report) idleTable() [][]string {
	var columns []column
	for _, n := range r.opts.pods {
		columns = append(columns, column{plural(n, "pod"), idleSeries(n), true})
	}
	return r.table(columns)
}

// number is a ratio, or nothing if it is none.
func number(ratio float64) string {
	if text := document.Number(ratio); text != "NaN" {
		return text
	}
	return ""
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// charts are those of the picture.
func (r *report) charts() []plot.BarChart {
	chart := func(title, series string, unit float64) plot.BarChart {
		c := plot.BarChart{Title: title}
		for _, who := range r.opts.competitors {
			if samples := r.samples[series][who.name]; len(samples) > 0 {
				c.Bars = append(c.Bars, plot.Bar{Name: who.title, Value: stats.Median(samples) / unit})
			}
		}
		return c
	}
	list := []plot.BarChart{chart("start of a pod, ms", startPod, 1), chart("end of a pod, ms", endPod, 1), chart("exec, ms", execTrue, 1)}
	if len(r.opts.workers) > 0 {
		list = append(list, chart("CPU time of a pod, ms", cpuSeries(r.opts.workers[0]), 1))
	}
	for _, n := range r.opts.pods {
		list = append(list, chart(strings.TrimSpace("memory of a pod when "+plural(n, "pod")+" run, MiB"), memorySeries(n), 1024))
	}
	return list
}
