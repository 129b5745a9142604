package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/rtcontainers/rt/libcontainer"
	"github.com/urfave/cli/v3"
)

func explainCommand() command {
	return command{
		Command: cli.Command{
			Name:      "explain",
			Usage:     "print how a container would be made, without making it",
			ArgsUsage: "[bundle directory]",
			Flags: []cli.Flag{
				&cli.BoolFlag{Name: "json", Usage: "print the plan as JSON"},
				&cli.BoolFlag{Name: "no-pivot", Usage: "as of create"},
				&cli.BoolFlag{Name: "no-new-keyring", Usage: "as of create"},
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
			return printPlan(plan)
		},
	}
}

func printPlan(plan *libcontainer.Plan) error {
	out := bufio.NewWriter(os.Stdout) // a table is written in pieces of a cell
	fmt.Fprintf(out, "rt clones a process with %s.\n", plan.Clone)
	for _, f := range plan.Files {
		fmt.Fprintf(out, "Descriptor %d: %s\n", f.Number, f.What)
	}
	fmt.Fprintln(out, "The process then does, step by step:")
	w := tabwriter.NewWriter(out, 0, 1, 2, ' ', 0)
	fmt.Fprint(w, "\nSTEP\tCALL\tFROM\tPURPOSE\n")
	for _, s := range plan.Steps {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", s.Step, s.Call, s.Source, s.Purpose)
	}
	for _, m := range plan.Warnings {
		fmt.Fprintf(w, "warning: %s\n", m)
	}
	return errors.Join(w.Flush(), out.Flush())
}
