package kubernetes

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// table is the results by scenario and column.
type table struct {
	mu      sync.Mutex
	columns []handler
	rows    []string
	failed  map[[2]string]bool
	// onlyKnown is true in the end if nothing failed but what is known to, or without rt.
	onlyKnown bool
}

var results = table{failed: map[[2]string]bool{}}

// record takes over the result of a scenario.
func (r *table) record(t *testing.T, scenario string, h handler) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.rows, scenario) {
		r.rows = append(r.rows, scenario)
	}
	if !slices.ContainsFunc(r.columns, func(c handler) bool { return c.name == h.name }) {
		r.columns = append(r.columns, h)
	}
	r.failed[[2]string{scenario, h.name}] = t.Failed()
}

// knownFailures has lines of a handler, a scenario that fails with it, and the reason, with
// tabs between them.
//
//go:embed known-failures.txt
var knownFailures string

// reason is why a scenario is known to fail.
func reason(scenario, handler string) string {
	for line := range strings.Lines(knownFailures) {
		if fields := strings.Split(strings.TrimSpace(line), "\t"); len(fields) == 3 && fields[0] == handler && fields[1] == scenario {
			return fields[2]
		}
	}
	return ""
}

// check looks whether enough scenarios passed in each column, and whether those that failed
// are the known ones. What fails without rt is no fault of it: such a failure on a busy
// machine is only printed.
func (r *table) check(t *testing.T) {
	for _, h := range r.columns {
		passed, known, unknown := 0, 0, 0
		for _, s := range r.rows {
			failed, ran := r.failed[[2]string{s, h.name}]
			switch why := reason(s, h.name); {
			case !ran:
			case failed && why != "":
				known++
			case failed && !h.isRt():
				unknown++
				t.Logf("%s fails without rt", s)
			case failed:
				unknown++
				t.Errorf("%s fails with %s", s, h.name)
			case why != "":
				t.Errorf("%s is listed as failing with %s, but passes", s, h.name)
			default:
				passed++
			}
		}
		fmt.Printf("kubernetes: %s: %d scenarios passed, %d failed, %d failed for known reasons\n", h.name, passed, unknown, known)
		if passed < *least {
			t.Errorf("%s: only %d scenarios passed", h.name, passed)
		}
	}
	r.onlyKnown = !t.Failed()
}

// Marks of the table in its file, and its cells.
const (
	tableBegin = "<!-- results: make kubernetes-table -->\n"
	tableEnd   = "<!-- end of results -->"
	passedCell = "✓"
	failedCell = "**fails**"
)

// write updates the table in a file.
func (r *table) write(path string) error {
	commit, err := exec.Command("git", "-C", filepath.Dir(path), "-c", "safe.directory=*", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Last run on %s with rt %s.\n\n| scenario |", time.Now().UTC().Format(time.DateOnly), bytes.TrimSpace(commit))
	// The columns ran in the order of the comparison; rt comes first here.
	columns := slices.Clone(r.columns)
	slices.SortStableFunc(columns, func(a, b handler) int { return strings.Compare(a.title, b.title) })
	for _, h := range columns {
		fmt.Fprintf(&b, " %s |", h.title)
	}
	fmt.Fprintf(&b, "\n|---|%s\n", strings.Repeat("---|", len(columns)))
	for _, s := range r.ordered() {
		fmt.Fprintf(&b, "| %s |", s)
		for _, h := range columns {
			cell := ""
			if failed, ran := r.failed[[2]string{s, h.name}]; ran {
				cell = map[bool]string{false: passedCell, true: failedCell}[failed]
			}
			if why := reason(s, h.name); cell == failedCell && why != "" {
				cell += ": " + why
			}
			fmt.Fprintf(&b, " %s |", cell)
		}
		b.WriteString("\n")
	}
	return replaceBetween(path, tableBegin, tableEnd, b.String())
}

// ordered are the rows in the order of the source: they ended in another.
func (r *table) ordered() []string {
	var list []string
	for _, s := range scenarios() {
		list = append(list, s.name)
	}
	return slices.DeleteFunc(append(list, nothingLeft, sameErrors), func(s string) bool { return !slices.Contains(r.rows, s) })
}

// replaceBetween replaces what is between two marks in a file.
func replaceBetween(path, begin, end, text string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(data), begin)
	_, after, foundEnd := strings.Cut(rest, end)
	if !found || !foundEnd {
		return fmt.Errorf("%s: no marks for the table: %s", path, begin)
	}
	return os.WriteFile(path, []byte(before+begin+text+end+after), 0o644)
}
