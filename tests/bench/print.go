package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/rtcontainers/rt/tests/bench/document"
	"github.com/rtcontainers/rt/tests/bench/stats"
)

// write prints the report, and writes the files that the options ask for.
func (r *report) write(opts *options) error {
	var text bytes.Buffer
	if err := r.print(&text, document.Text); err != nil {
		return err
	}
	_, err := text.WriteTo(os.Stdout)
	return errors.Join(err, r.writeFiles(opts))
}

func (r *report) writeFiles(opts *options) error {
	if opts.markdown != "" {
		var text bytes.Buffer
		if err := r.print(&text, printMarkdownTable); err != nil {
			return err
		}
		if err := os.WriteFile(opts.markdown, text.Bytes(), 0o644); err != nil {
			return err
		}
	}
	if opts.json != "" {
		return writeJSON(opts.json, r)
	}
	return nil
}

// print writes headings and lists that read well both as text and as markdown.
func (r *report) print(w *bytes.Buffer, table document.Table) error {
	fmt.Fprintf(w, "# rt compared, %s\n\n", r.Date.Format(time.DateOnly))
	r.printConditions(w)
	for _, v := range r.Views {
		fmt.Fprintf(w, "\n## View %s\n\n", v.View)
		for _, note := range v.Notes {
			fmt.Fprintf(w, "- %s\n", note)
		}
		if len(v.Notes) > 0 {
			fmt.Fprintln(w)
		}
		rows, err := v.rows(r.Seed)
		if err != nil {
			return err
		}
		if err := table(w, rows); err != nil {
			return err
		}
	}
	fmt.Fprintln(w)
	return nil
}

// printMachine says what ran, and on what.
func (r *report) printMachine(w io.Writer) {
	fmt.Fprintf(w, "- %d rounds after %d to warm up, seed %d\n", r.Runs, r.Warmup, r.Seed)
	r.Host.Print(w)
	for _, c := range r.Competitors {
		fmt.Fprintf(w, "- %s: %s, %d bytes\n", c.Name, c.Version, c.Bytes)
	}
}

func (r *report) printConditions(w io.Writer) {
	r.printMachine(w)
	seccomp := "without a seccomp profile"
	if r.Seccomp {
		seccomp = "with Docker's seccomp profile"
	}
	fmt.Fprintf(w, "- run-docker is %s\n", seccomp)
	fmt.Fprintf(w, "- run-rested is run-default with %d ms of rest before each: who moves a process into a cgroup waits for a grace period of RCU, unless somebody did so right before\n", rest.Milliseconds())
	fmt.Fprintln(w, "- rt/peer is the ratio of medians with its 95 % confidence interval")
}

// rows are the lines of a view's table; the first is its head.
func (v *viewResult) rows(seed uint64) ([][]string, error) {
	rows := [][]string{{"case", "who", "median", "quartiles", "unit", "rt/peer"}}
	for _, s := range v.Series {
		for _, who := range s.Competitors {
			samples := s.Samples[who]
			row := []string{
				s.Name, who, document.Number(stats.Median(samples)),
				document.Number(stats.Quantile(samples, 0.25)) + "–" + document.Number(stats.Quantile(samples, 0.75)), s.Unit, "",
			}
			if who != contender {
				found, err := s.ratio(who, seed)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", s.Name, err)
				}
				row[5] = found.String()
			}
			rows = append(rows, row)
		}
	}
	return rows, nil
}

func printMarkdownTable(w io.Writer, rows [][]string) error {
	for i, row := range rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintln(w, "|---|---|--:|--:|---|---|")
		}
	}
	return nil
}
