package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rtcontainers/rt/tests/bench/document"
	"github.com/rtcontainers/rt/tests/bench/stats"
)

// countReport is the result of `bench count`.
type countReport struct {
	*report
	Views []countView
}

// The marks around what `make count` writes into a document.
const (
	countBegin = "<!-- counted: make count -->\n"
	countEnd   = "<!-- end of counted -->\n"
)

func (r *countReport) write(opts *options) error {
	var text bytes.Buffer
	r.print(&text, document.Text)
	if _, err := text.WriteTo(os.Stdout); err != nil {
		return err
	}
	if opts.markdown != "" {
		r.print(&text, printCounts)
		if err := document.Replace(opts.markdown, countBegin, countEnd, text.String()); err != nil {
			return err
		}
	}
	if opts.json != "" {
		return writeJSON(opts.json, r)
	}
	return nil
}

func (r *countReport) print(w *bytes.Buffer, table document.Table) {
	fmt.Fprintf(w, "Counted on %s:\n\n", r.Date.Format(time.DateOnly))
	r.printMachine(w)
	fmt.Fprintln(w, "- the numbers are medians, without the command that the container executes, which is the same for all")
	fmt.Fprintln(w, "- rt itself is its own process; the program becomes the container's process; the keeper waits in the place of `rt run`")
	for _, v := range r.Views {
		fmt.Fprintf(w, "\n### Counts in view %s\n\n", v.View)
		for _, note := range v.Notes {
			fmt.Fprintf(w, "- %s\n", note)
		}
		fmt.Fprintln(w)
		table(w, v.rows(r.Competitors))
		if v.Places != nil {
			fmt.Fprintf(w, "\nWhere the page faults of rt's own process are, view %s:\n\n", v.View)
			table(w, v.placeRows())
		}
	}
}

// rows are the lines of a view's table; the first is its head.
func (v *countView) rows(competitors []identity) [][]string {
	head := []string{"command", "count"}
	for _, c := range competitors {
		head = append(head, c.Name)
	}
	for _, c := range competitors[1:] {
		head = append(head, "rt/"+c.Name)
	}
	rows := [][]string{append(head, partNames[itself:command]...)}
	for _, c := range v.Commands {
		for _, metric := range metrics {
			row := []string{c.Name, metric}
			for _, who := range competitors {
				row = append(row, count(c.Total[metric][who.Name]))
			}
			for _, who := range competitors[1:] {
				row = append(row, quotient(c.Total[metric][contender], c.Total[metric][who.Name]))
			}
			for _, name := range partNames[itself:command] {
				row = append(row, count(c.Parts[metric][name]))
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// placeRows has a line for each place, the one with the most faults first.
func (v *countView) placeRows() [][]string {
	head := []string{"place"}
	sums := map[string]float64{}
	for _, c := range v.Commands {
		head = append(head, c.Name)
		for place, n := range v.Places[c.Name] {
			sums[place] += n
		}
	}
	rows := [][]string{head}
	for _, place := range slices.SortedFunc(maps.Keys(sums), func(a, b string) int {
		return cmp.Or(cmp.Compare(sums[b], sums[a]), strings.Compare(a, b))
	}) {
		row := []string{place}
		for _, c := range v.Commands {
			row = append(row, strconv.FormatFloat(v.Places[c.Name][place], 'f', -1, 64))
		}
		rows = append(rows, row)
	}
	return rows
}

// count is the median of samples, or a dash if there are none.
func count(samples []float64) string {
	if len(samples) == 0 {
		return "-"
	}
	return strconv.FormatFloat(math.Round(stats.Median(samples)), 'f', -1, 64)
}

func quotient(ours, theirs []float64) string {
	if len(ours) == 0 || len(theirs) == 0 || stats.Median(theirs) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", stats.Median(ours)/stats.Median(theirs))
}

// printCounts prints markdown, with all but the names to the right.
func printCounts(w io.Writer, rows [][]string) error {
	for i, row := range rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			left := 1
			if row[1] == "count" {
				left = 2
			}
			fmt.Fprintln(w, strings.Repeat("|---", left)+strings.Repeat("|--:", len(row)-left)+"|")
		}
	}
	return nil
}
