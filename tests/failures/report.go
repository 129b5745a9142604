package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The kinds of trials, in the order of the report.
const (
	kindInstruction = "an instruction fails"
	kindHalt        = "kill -9 of the program, or of the keeper, before an instruction"
	kindNever       = "instructions that no trial came to"
)

// report counts trials and collects problems.
type report struct {
	only    *regexp.Regexp
	stride  int
	verbose bool
	kinds   []string
	counts  map[string]map[string]int
	total   map[string]int
	notes   map[string][]string
	wrong   int
	began   time.Time
}

func newReport() *report {
	return &report{counts: map[string]map[string]int{}, total: map[string]int{}, notes: map[string][]string{}, began: time.Now()}
}

// wants tells whether a part is to be tried.
func (r *report) wants(name string) bool { return r.only.MatchString(name) }

func (r *report) tried(kind string) {
	if r.total[kind] == 0 {
		r.kinds = append(r.kinds, kind)
	}
	r.total[kind]++
	if r.verbose && r.total[kind]%100 == 0 {
		fmt.Fprintf(os.Stderr, "%6.0f s  %s: %d\n", time.Since(r.began).Seconds(), kind, r.total[kind])
	}
}

// count notes how a trial ended.
func (r *report) count(kind, outcome string) {
	if r.counts[kind] == nil {
		r.counts[kind] = map[string]int{}
	}
	r.counts[kind][outcome]++
}

func (r *report) note(kind, text string) { r.notes[kind] = append(r.notes[kind], text) }

// problem is a trial that rt did not pass.
func (r *report) problem(kind, replay, text string) {
	r.wrong++
	r.count(kind, "wrong")
	text = strings.TrimSpace(text)
	if len(text) > 1500 {
		text = text[:1500] + "…"
	}
	fmt.Fprintf(os.Stderr, "%s:\n    %s\n    %s\n", kind, strings.ReplaceAll(text, "\n", "\n    "), replay)
}

// all is the number of trials.
func (r *report) all() (n int) {
	for _, count := range r.total {
		n += count
	}
	return n
}

func outcomes(counts map[string]int) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, fmt.Sprintf("%d %s", counts[name], name))
	}
	return strings.Join(list, ", ")
}

func (r *report) print(out io.Writer) {
	for _, kind := range r.kinds {
		fmt.Fprintf(out, "%6d  %s: %s\n", r.total[kind], kind, outcomes(r.counts[kind]))
	}
	for _, kind := range slices.Sorted(maps.Keys(r.notes)) {
		fmt.Fprintf(out, "%6d  %s\n", len(r.notes[kind]), kind)
	}
	fmt.Fprintf(out, "%6d  trials in all, %d wrong\n", r.all(), r.wrong)
}

// saved are the numbers of a run of some parts.
type saved struct {
	Kinds  []string                  `json:"kinds"`
	Counts map[string]map[string]int `json:"counts"`
	Total  map[string]int            `json:"total"`
	Notes  map[string][]string       `json:"notes"`
	Wrong  int                       `json:"wrong"`
}

// save writes the numbers, so that the parts can be tried one by one.
func (r *report) save(name string) error {
	data, err := json.Marshal(saved{r.kinds, r.counts, r.total, r.notes, r.wrong})
	if err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o644)
}

// add adds the numbers of other runs.
func (r *report) add(names ...string) error {
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		var s saved
		if err := json.Unmarshal(data, &s); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, kind := range s.Kinds {
			if r.total[kind] == 0 {
				r.kinds = append(r.kinds, kind)
			}
			r.total[kind] += s.Total[kind]
		}
		for kind, counts := range s.Counts {
			for outcome, n := range counts {
				if r.counts[kind] == nil {
					r.counts[kind] = map[string]int{}
				}
				r.counts[kind][outcome] += n
			}
		}
		for kind, list := range s.Notes {
			r.notes[kind] = append(r.notes[kind], list...)
			slices.Sort(r.notes[kind])
			r.notes[kind] = slices.Compact(r.notes[kind])
		}
		r.wrong += s.Wrong
	}
	return nil
}

// table writes the numbers as a page of the documentation.
func (r *report) table(name string) error {
	var b strings.Builder
	b.WriteString("# What fails, and what rt does\n\n")
	b.WriteString("`tests/failures` makes everything fail that can fail while rt works, one thing at a time, and checks that rt ends, says what\n")
	b.WriteString("failed, and leaves nothing behind: no process, mount, cgroup, state or file. `make failures-table` writes this page.\n\n")
	b.WriteString("* **An instruction fails**: each system call of rt's programs (`rt explain --calls`) with each plausible errno. rt reports the\n")
	b.WriteString("  field of config.json, the purpose, the call and the errno, or the program has another way.\n")
	b.WriteString("* **A system call of rt fails**: each call of each command, found by the functions that make it, once with each plausible errno.\n")
	b.WriteString("  A command that succeeds all the same must have done its work.\n")
	b.WriteString("* **kill -9** of rt, of the program, of the keeper and of the container's first process at each step. `rt state` and `rt list`\n")
	b.WriteString("  answer, and `rt delete --force` leaves nothing.\n\n")
	b.WriteString("| what | tried | outcome |\n|---|--:|---|\n")
	for _, kind := range r.kinds {
		fmt.Fprintf(&b, "| %s | %d | %s |\n", kind, r.total[kind], outcomes(r.counts[kind]))
	}
	fmt.Fprintf(&b, "| all | %d | %d wrong |\n", r.all(), r.wrong)
	if list := r.notes[kindNever]; len(list) > 0 {
		fmt.Fprintf(&b, "\n%d instructions were not tried, because no failure of one other instruction leads to them. They are for another\n", len(list))
		b.WriteString("content of the root file system or another kernel: a device that exists already, a symlink at a mount point, a masked\ndirectory that this kernel does not have.\n")
	}
	if list := r.notes[kindRuntime]; len(list) > 0 {
		b.WriteString("\nNot tried are the calls that the Go runtime makes by itself, for its threads, memory, signals and poller. If one of those\nfails, the runtime ends the process, which is as a `kill -9`. They are:\n\n```text\n")
		for _, text := range list {
			b.WriteString(text + "\n")
		}
		b.WriteString("```\n")
	}
	return os.WriteFile(name, []byte(b.String()), 0o644)
}
