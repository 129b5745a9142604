package main

import (
	"fmt"
	"os"
	"strings"
)

// markdown is the table for the documentation.
func markdown(columns []column, rows []*row) string {
	var b strings.Builder
	b.WriteString("| attack | what it does | kind | stopped by |")
	for _, c := range columns {
		fmt.Fprintf(&b, " %s |", c.name)
	}
	b.WriteString("\n|---|---|---|---|" + strings.Repeat("---|", len(columns)) + "\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |", r.attack.name, r.attack.about, strings.Join(r.attack.kinds, ", "), defenceList(r.attack.defences))
		for _, c := range r.cells {
			fmt.Fprintf(&b, " %s |", c)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// The table stands between these lines.
const tableBegins, tableEnds = "<!-- attacks -->\n", "<!-- /attacks -->\n"

// replaceTable replaces the table in a file.
func replaceTable(name, table string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(text), tableBegins)
	if !ok {
		return fmt.Errorf("%s: no line %q", name, tableBegins)
	}
	_, after, ok := strings.Cut(rest, tableEnds)
	if !ok {
		return fmt.Errorf("%s: no line %q", name, tableEnds)
	}
	return os.WriteFile(name, []byte(before+tableBegins+table+tableEnds+after), 0o644)
}
