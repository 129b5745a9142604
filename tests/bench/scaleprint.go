package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/rtcontainers/rt/tests/bench/document"
	"github.com/rtcontainers/rt/tests/bench/plot"
	"github.com/rtcontainers/rt/tests/bench/stats"
)

// scaleReport is the result of `bench scale`.
type scaleReport struct {
	*report
	Views []scaleView
	svg   string
}

// The marks around what `make bench-report` writes into a document.
const (
	scaleBegin = "<!-- measured: make bench-report -->\n"
	scaleEnd   = "<!-- end of measured -->\n"
)

func (r *scaleReport) write(opts *options) error {
	var text bytes.Buffer
	if err := r.print(&text, document.Text); err != nil {
		return err
	}
	if _, err := text.WriteTo(os.Stdout); err != nil {
		return err
	}
	if r.svg != "" {
		if err := os.WriteFile(r.svg, []byte(plot.SVG(r.Views[len(r.Views)-1].charts(r.Competitors))), 0o644); err != nil {
			return err
		}
	}
	if opts.markdown != "" {
		if err := r.print(&text, document.Markdown(2)); err != nil {
			return err
		}
		if err := document.Replace(opts.markdown, scaleBegin, scaleEnd, text.String()); err != nil {
			return err
		}
	}
	if opts.json != "" {
		return writeJSON(opts.json, r)
	}
	return nil
}

func (r *scaleReport) print(w *bytes.Buffer, table document.Table) error {
	fmt.Fprintf(w, "Measured on %s:\n\n", r.Date.Format(time.DateOnly))
	r.printMachine(w)
	fmt.Fprintln(w, "- times are medians; rt/peer is the ratio with its 95 % confidence interval at the last number of containers")
	if r.svg != "" {
		fmt.Fprintf(w, "\n![The figures below as charts](%s)\n", filepath.Base(r.svg))
	}
	for _, v := range r.Views {
		fmt.Fprintf(w, "\n### Scale in view %s\n\n", v.View)
		for _, note := range v.Notes {
			fmt.Fprintf(w, "- %s\n", note)
		}
		fmt.Fprintf(w, "\nTime of a command, in ms, while so many containers are alive:\n\n")
		rows, err := v.timeRows(r.Competitors, r.Seed)
		if err != nil {
			return err
		}
		table(w, rows)
		fmt.Fprintf(w, "\nWhat the processes of created containers hold, all and per container:\n\n")
		table(w, v.holdRows(r.Competitors))
		fmt.Fprintf(w, "\nContainers per second:\n\n")
		table(w, v.rateRows(r.Competitors))
		fmt.Fprintf(w, "\nBars:\n\n")
		for _, bar := range v.bars(r.Competitors) {
			fmt.Fprintf(w, "- %s\n", bar)
		}
	}
	return nil
}

func (v *scaleView) timeRows(competitors []identity, seed uint64) ([][]string, error) {
	head := []string{"command", "who"}
	for _, p := range v.Points {
		head = append(head, strconv.Itoa(p.Alive))
	}
	rows := [][]string{append(head, "last/first", "rt/peer")}
	first, last := v.Points[0], v.Points[len(v.Points)-1]
	for _, command := range scaleCommands {
		for _, who := range competitors {
			row := []string{command, who.Name}
			for _, p := range v.Points {
				row = append(row, document.Number(stats.Median(p.Times[command][who.Name])))
			}
			row = append(row, quotient(last.Times[command][who.Name], first.Times[command][who.Name]), "")
			if who.Name != contender {
				s := seriesResult{Samples: last.Times[command]}
				found, err := s.ratio(who.Name, seed)
				if err != nil {
					return nil, err
				}
				row[len(row)-1] = found.String()
			}
			rows = append(rows, row)
		}
	}
	return rows, nil
}

func (v *scaleView) holdRows(competitors []identity) [][]string {
	rows := [][]string{{"containers", "who", "processes", "PSS, MiB", "PSS per container, KiB", "descriptors", "descriptors per container"}}
	for _, p := range v.Points {
		for _, who := range competitors {
			h, n := p.Holds[who.Name], float64(p.Alive)
			rows = append(rows, []string{
				strconv.Itoa(p.Alive), who.Name, strconv.Itoa(h.Processes), document.Number(float64(h.PSS) / 1024),
				document.Number(float64(h.PSS) / n), strconv.Itoa(h.Descriptors), document.Number(float64(h.Descriptors) / n),
			})
		}
	}
	return rows
}

func (v *scaleView) rateRows(competitors []identity) [][]string {
	head := []string{"workers", "containers"}
	for _, verb := range []string{"create", "kill and delete"} {
		for _, who := range competitors {
			head = append(head, verb+", "+who.Name)
		}
		for _, who := range competitors[1:] {
			head = append(head, "rt/"+who.Name)
		}
	}
	rows := [][]string{head}
	for _, rate := range v.Rates {
		row := []string{strconv.Itoa(rate.Workers), strconv.Itoa(rate.Containers)}
		for _, samples := range []map[string][]float64{rate.Create, rate.Delete} {
			for _, who := range competitors {
				row = append(row, document.Number(stats.Median(samples[who.Name])))
			}
			for _, who := range competitors[1:] {
				row = append(row, quotient(samples[contender], samples[who.Name]))
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// charts has one chart for each of what may grow.
func (v *scaleView) charts(competitors []identity) []plot.Chart {
	chart := func(title, x string, xs []float64, y func(who string, i int) float64) plot.Chart {
		c := plot.Chart{Title: title, X: x}
		for _, who := range competitors {
			line := plot.Line{Name: who.Name, X: xs}
			for i := range xs {
				line.Y = append(line.Y, y(who.Name, i))
			}
			c.Lines = append(c.Lines, line)
		}
		return c
	}
	var alive, workers []float64
	for _, p := range v.Points {
		alive = append(alive, float64(p.Alive))
	}
	for _, rate := range v.Rates {
		workers = append(workers, float64(rate.Workers))
	}
	var charts []plot.Chart
	const containers = "containers alive"
	for _, command := range []string{"create", "state", "list", "exec", "delete"} {
		charts = append(charts, chart(command+", ms", containers, alive, func(who string, i int) float64 {
			return stats.Median(v.Points[i].Times[command][who])
		}))
	}
	return append(charts,
		chart("PSS of all, KiB", containers, alive, func(who string, i int) float64 {
			return max(float64(v.Points[i].Holds[who].PSS), 1)
		}),
		chart("descriptors of all", containers, alive, func(who string, i int) float64 {
			return max(float64(v.Points[i].Holds[who].Descriptors), 1)
		}),
		chart("containers made per second", "workers", workers, func(who string, i int) float64 {
			return stats.Median(v.Rates[i].Create[who])
		}))
}
