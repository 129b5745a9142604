package main

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rtcontainers/rt/libcontainer"
	"github.com/urfave/cli/v3"
	"golang.org/x/sys/unix"
)

func explainCommand() command {
	return command{
		Command: cli.Command{
			Name:      "explain",
			Usage:     "show how rt would create a container, without creating it",
			ArgsUsage: "[bundle directory]",
			Description: `It lists the fields of config.json in the order in which rt carries them out, what each
is for, and how many system calls it takes. It needs no privileges.

Example:
   rt explain --calls /srv/box`,
			Flags: []cli.Flag{
				&cli.BoolFlag{Name: "calls", Usage: "list every step with its system call"},
				&cli.BoolFlag{Name: "json", Usage: "print every step as JSON"},
				&cli.StringFlag{Name: "html", Usage: "write every step to `FILE`, a web page with a search"},
				&cli.BoolFlag{Name: "no-pivot", Usage: "show the plan of create --no-pivot"},
				&cli.BoolFlag{Name: "no-new-keyring", Usage: "show the plan of create --no-new-keyring"},
			},
		},
		run: func(in *input) error {
			bundle := "."
			switch len(in.args) {
			case 0:
			case 1:
				bundle = in.args[0]
			default:
				return errors.New("explain: needs at most one bundle directory")
			}
			plan, err := libcontainer.Explain(libcontainer.Options{
				Bundle: bundle, ID: "explained", NoPivot: in.Bool("no-pivot"), NoNewKeyring: in.Bool("no-new-keyring"),
				SystemdCgroup: in.Bool("systemd-cgroup"), Rootless: rootless(in),
			})
			if err != nil {
				return err
			}
			if in.Bool("json") {
				return printJSON(plan)
			}
			if name := in.String("html"); name != "" {
				var page bytes.Buffer
				if bundle, err = filepath.Abs(bundle); err != nil {
					return err
				}
				writePlan(&page, bundle, plan)
				return os.WriteFile(name, page.Bytes(), 0o644)
			}
			out := bufio.NewWriter(os.Stdout)
			printPlan(out, plan, terminalWidth(), in.Bool("calls"))
			return out.Flush()
		},
	}
}

// terminalWidth is the number of columns of the terminal, of $COLUMNS, or 100.
func terminalWidth() int {
	if size, err := unix.IoctlGetWinsize(int(os.Stdout.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 {
		return max(int(size.Col), 40)
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return max(n, 40)
	}
	return 100
}

// printPlan prints what a person wants to know first: the warnings, and one line for each
// field of config.json with its effect; or every step.
func printPlan(out io.Writer, plan *libcontainer.Plan, width int, calls bool) {
	for _, m := range plan.Warnings {
		fold(out, "warning: ", m, width)
	}
	fold(out, "", "rt clones a process with "+strings.ReplaceAll(plan.Clone, "|", ", ")+".", width)
	for _, f := range plan.Files {
		fold(out, "", fmt.Sprintf("Its descriptor %d is %s.", f.Number, f.What), width)
	}
	if calls {
		printSteps(out, plan, width)
	} else {
		printFields(out, plan, width)
	}
}

// planField is the effect of a field of config.json, at one place in the plan.
type planField struct {
	name, purpose string
	purposes      map[string]bool
	// calls are the system calls that are made in any case.
	calls int
}

// planFields joins neighbouring steps of a field. Rarely executed code belongs to the step
// that it replaces, and is not counted.
func planFields(plan *libcontainer.Plan) []*planField {
	var fields []*planField
	var last *planField
	for _, s := range plan.Steps {
		if s.Rare {
			break
		}
		if last == nil || last.name != s.Source {
			last = &planField{name: s.Source, purpose: s.Purpose, purposes: map[string]bool{}}
			fields = append(fields, last)
		}
		if s.Purpose == last.purpose || !strings.HasPrefix(s.Purpose, last.purpose) { // otherwise it is a part of it
			last.purposes[s.Purpose] = true
		}
		if s.Syscall != "" {
			last.calls++
		}
	}
	return slices.DeleteFunc(fields, func(f *planField) bool { return f.calls == 0 })
}

func printFields(out io.Writer, plan *libcontainer.Plan, width int) {
	fields, column, total, rare := planFields(plan), len("FIELD"), 0, 0
	for _, f := range fields {
		column = max(column, len(f.name))
		total += f.calls
	}
	for _, s := range plan.Steps {
		if s.Rare && s.Syscall != "" {
			rare++
		}
	}
	column = min(column, width/3)
	fmt.Fprintf(out, "\nCALLS  %-*s  WHAT IT DOES\n", column, "FIELD")
	for _, f := range fields {
		purpose := f.purpose
		if n := len(f.purposes) - 1; n > 0 {
			purpose += fmt.Sprintf(", and %d more", n)
		}
		fold(out, fmt.Sprintf("%5d  %-*s  ", f.calls, column, cmp.Or(f.name, "-")), purpose, width)
	}
	fold(out, "", fmt.Sprintf("%d system calls, and up to %d more where something is missing. --calls lists them, --json for programs.", total, rare), width)
}

// printSteps prints every step below its field and purpose.
func printSteps(out io.Writer, plan *libcontainer.Plan, width int) {
	source, purpose, rare := "", "", false
	for i, s := range plan.Steps {
		if s.Rare && !rare {
			fmt.Fprintln(out, "\nOnly where something is missing or fails:")
			rare = true
		}
		if i == 0 || s.Source != source || s.Purpose != purpose {
			source, purpose = s.Source, s.Purpose
			fmt.Fprintln(out)
			fold(out, "", strings.TrimPrefix(source+": "+purpose, ": "), width)
		}
		fold(out, fmt.Sprintf("%6d  ", s.Step), s.Call, width)
	}
}

// fold prints a text after a lead, in lines that fit the width and are aligned below the
// text.
func fold(out io.Writer, lead, text string, width int) {
	indent := min(utf8.RuneCountInString(lead), width/2)
	room := max(width-indent, 20)
	for first := true; first || text != ""; first = false {
		line := text
		if utf8.RuneCountInString(text) > room {
			line = string([]rune(text)[:room])
			if i := strings.LastIndexAny(line, " |"); i > room/2 {
				line = line[:i+1]
			}
		}
		text = strings.TrimLeft(text[len(line):], " ")
		if !first {
			lead = strings.Repeat(" ", indent)
		}
		fmt.Fprintln(out, strings.TrimRight(lead+line, " "))
	}
}
