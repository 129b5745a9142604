// Command faults runs bundles that have one fault each. rt must refuse every
// one with a message that names the field and the cause, end with status 1, and
// leave nothing behind. What crun and runc say to the same bundles stands
// beside it in the table.
//
//	faults -rt bin/rt [-markdown FILE]
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

func run() error {
	rt := flag.String("rt", "", "`path` of rt")
	directory := flag.String("bundles", "tests/faults/bundles", "`directory` of the faults")
	markdown := flag.String("markdown", "", "write the table to `file`")
	flag.Parse()
	runtimes, err := findRuntimes(*rt)
	if err != nil {
		return err
	}
	faults, err := loadFaults(*directory)
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "rt-faults-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	// The bundle without a fault must run, or the faults would prove nothing.
	for _, path := range runtimes {
		if o, err := new(fault).try(scratch, path, "run"); err != nil || o.code != 0 {
			return fmt.Errorf("%s: the bundle without a fault: exit status %d: %s %w", path, o.code, o.message, err)
		}
	}
	rows, wrong := make([][]outcome, len(faults)), 0
	for i, f := range faults {
		for _, path := range runtimes {
			o, err := f.try(scratch, path, "run")
			if err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
			rows[i] = append(rows[i], o)
		}
		for _, problem := range f.problems(rows[i][0]) {
			fmt.Fprintf(os.Stderr, "%s: %s\n", f.name, problem)
			wrong++
		}
	}
	if *markdown != "" {
		if err := os.WriteFile(*markdown, []byte(table(faults, rows)), 0o644); err != nil {
			return err
		}
	}
	summary(os.Stdout, faults, rows)
	if wrong > 0 {
		return fmt.Errorf("%d problems in %d bundles", wrong, len(faults))
	}
	return nil
}

var names = []string{"rt", "crun", "runc"}

func findRuntimes(rt string) ([]string, error) {
	if rt == "" {
		return nil, fmt.Errorf("-rt is required")
	}
	var paths []string
	for _, name := range append([]string{rt}, names[1:]...) {
		path, err := exec.LookPath(name)
		if err != nil {
			return nil, err
		}
		if path, err = filepath.Abs(path); err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// summary counts.
func summary(w io.Writer, faults []fault, rows [][]outcome) {
	fmt.Fprintf(w, "%-6s %8s %16s %8s %14s\n", "", "refused", "names the field", "status 1", "leaves remains")
	for i, name := range names {
		var refused, named, one, left int
		for j, f := range faults {
			o := rows[j][i]
			if o.code == 0 {
				continue
			}
			refused++
			if o.code == 1 {
				one++
			}
			if strings.Contains(o.message, f.Path) {
				named++
			}
			if len(o.left) > 0 {
				left++
			}
		}
		fmt.Fprintf(w, "%-6s %5d/%d %16d %8d %14d\n", name, refused, len(faults), named, one, left)
	}
}

// table shows every message.
func table(faults []fault, rows [][]outcome) string {
	var b strings.Builder
	b.WriteString("# Faulty bundles\n\n")
	b.WriteString("Each bundle in `tests/faults/bundles` has one fault. The table shows what `run` says to it; `make faults-table` writes it.\n\n```text\n")
	summary(&b, faults, rows)
	b.WriteString("```\n\n| fault | rt | crun | runc |\n|---|---|---|---|\n")
	for i, f := range faults {
		fmt.Fprintf(&b, "| %s: %s |", f.name, f.Fault)
		for _, o := range rows[i] {
			fmt.Fprintf(&b, " %s |", o)
		}
		b.WriteString("\n")
	}
	return b.String()
}
