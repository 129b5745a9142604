package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/rtcontainers/rt/internal/defence"
)

// attack is a row of the table.
type attack struct {
	name string
	// about says what the attacker does and wants.
	about string
	// kinds are the published attacks of this kind.
	kinds []string
	// defences are those that stop it. With all of them off it succeeds.
	defences []defence.Name
	// view is the layout of cgroups that the attack needs, v1 or v2. If it is empty,
	// either will do.
	view string
	// needs is a file that the host must have for the attack.
	needs string
	// race is true for an attack that must be tried many times.
	race bool
	// ours is true for attacks on rt's own commands and files, which have no counterpart
	// in runc and crun.
	ours bool
	// patience is how long one try may take; 0: a minute.
	patience time.Duration
	// mount mounts the attack and returns what the attacker has gained; "" for nothing.
	mount func(t *try) string
}

// cell is how an attack ended.
type cell struct {
	// Gained is what the attacker has gained; empty if refused.
	Gained string `json:"gained,omitempty"`
	// Broken says why the attack could not be mounted.
	Broken string `json:"broken,omitempty"`
	// Log is what was done.
	Log string `json:"log,omitempty"`
	// Left is what the attack left behind.
	Left string `json:"left,omitempty"`
	// out is true if the attack means nothing for the runtime.
	out  bool
	took time.Duration
}

func (c cell) String() string {
	switch {
	case c.out:
		return "-"
	case c.Broken != "":
		return "broken"
	case c.Gained != "":
		return "succeeds"
	}
	return "refused"
}

type row struct {
	attack *attack
	cells  []cell
}

// problems are unexpected results.
func (r *row) problems(columns []column) (list []string) {
	for i, c := range r.cells {
		column := columns[i]
		switch {
		case c.Left != "" && column.ours():
			list = append(list, fmt.Sprintf("%s: left behind: %s", column.name, c.Left))
		case c.Broken != "" && column.ours():
			list = append(list, fmt.Sprintf("%s: could not be tried: %s", column.name, c.Broken))
		case column.weakened && c.Gained == "":
			list = append(list, fmt.Sprintf("does not succeed without %s", defenceList(r.attack.defences)))
		case column.name == "rt" && c.Gained != "":
			list = append(list, "succeeds: "+c.Gained)
		}
	}
	return list
}

func defenceList(names []defence.Name) string {
	var list []string
	for _, n := range names {
		list = append(list, string(n))
	}
	return strings.Join(list, ",")
}

func printHead(w io.Writer, columns []column) {
	fmt.Fprintf(w, "%-32s", "attack")
	for _, c := range columns {
		fmt.Fprintf(w, " %-12s", c.name)
	}
	fmt.Fprintln(w)
}

func (r *row) print(w io.Writer, verbose bool) {
	fmt.Fprintf(w, "%-32s", r.attack.name)
	var took time.Duration
	for _, c := range r.cells {
		fmt.Fprintf(w, " %-12s", c)
		took += c.took
	}
	fmt.Fprintf(w, " %.1fs\n", took.Seconds())
	if !verbose {
		return
	}
	for i, c := range r.cells {
		fmt.Fprintf(w, "  [%d] gained: %q broken: %q left: %q %.1fs\n", i, c.Gained, c.Broken, c.Left, c.took.Seconds())
		for line := range strings.Lines(c.Log) {
			fmt.Fprintf(w, "      %s\n", strings.TrimSpace(line))
		}
	}
}

// baselines prove that the attackers' programs run at all.
var baselines = []attack{baseline("v1"), baseline("v2")}

func baseline(view string) attack {
	return attack{name: "baseline-" + view, view: view, mount: func(t *try) string {
		b := t.attacker("say")
		if r := b.run(); !strings.Contains(r.stdout, secret) {
			t.fail("a container without an attack: %s", r.stderr)
		}
		return "it runs"
	}}
}

// find returns the attack or baseline of that name.
func find(name string) *attack {
	for _, list := range [][]attack{attacks, openAttacks, baselines} {
		for i := range list {
			if list[i].name == name {
				return &list[i]
			}
		}
	}
	return nil
}
