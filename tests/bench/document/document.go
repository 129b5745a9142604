// Package document writes the tables of benchmarks, as text and as markdown, and keeps them in
// documents.
package document

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
)

// Table writes rows; the first is the head.
type Table func(w io.Writer, rows [][]string) error

// Text writes rows as aligned text.
func Text(w io.Writer, rows [][]string) error {
	aligned := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(aligned, strings.TrimRight(strings.Join(row, "\t"), "\t"))
	}
	return aligned.Flush()
}

// Markdown writes markdown: the first columns are names, to the left, and all others are numbers.
func Markdown(names int) Table {
	return func(w io.Writer, rows [][]string) error {
		for i, row := range rows {
			fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
			if i == 0 {
				fmt.Fprintln(w, strings.Repeat("|---", names)+strings.Repeat("|--:", len(row)-names)+"|")
			}
		}
		return nil
	}
}

// Number has decimals where they matter.
func Number(value float64) string {
	if value >= 100 {
		return fmt.Sprintf("%.0f", value)
	}
	return fmt.Sprintf("%.2f", value)
}

// Replace replaces what a document has between two marks.
func Replace(path, begin, end, text string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(data), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return fmt.Errorf("%s has no marks %q and %q", path, begin, end)
	}
	return os.WriteFile(path, []byte(before+begin+text+end+after), 0o644)
}
