package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/rtcontainers/rt/libcontainer"
	"github.com/urfave/cli/v3"
)

func explainCommand() *cli.Command {
	return &cli.Command{
		Name:      "explain",
		Usage:     "print how a container would be made, without making it",
		ArgsUsage: "[bundle directory]",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "json", Usage: "print the plan as JSON"},
			&cli.BoolFlag{Name: "no-pivot", Usage: "as of create"},
			&cli.BoolFlag{Name: "no-new-keyring", Usage: "as of create"},
		},
		OnUsageError: usageError,
		Action: func(_ context.Context, cmd *cli.Command) error {
			if cmd.Args().Len() > 1 {
				return errors.New("explain: needs at most one bundle directory")
			}
			bundle := cmd.Args().First()
			if bundle == "" {
				bundle = "."
			}
			plan, err := libcontainer.Explain(libcontainer.Options{
				Bundle: bundle, ID: "explained", NoPivot: cmd.Bool("no-pivot"), NoNewKeyring: cmd.Bool("no-new-keyring"),
				SystemdCgroup: cmd.Bool("systemd-cgroup"), Rootless: rootless(cmd),
			})
			if err != nil {
				return err
			}
			if cmd.Bool("json") {
				return printJSON(plan)
			}
			return printPlan(plan)
		},
	}
}

func printPlan(plan *libcontainer.Plan) error {
	fmt.Printf("rt clones a process with %s.\n", plan.Clone)
	for _, f := range plan.Files {
		fmt.Printf("Descriptor %d: %s\n", f.Number, f.What)
	}
	fmt.Println("The process then does, step by step:")
	w := tabwriter.NewWriter(os.Stdout, 0, 1, 2, ' ', 0)
	fmt.Fprint(w, "\nSTEP\tCALL\tFROM\tPURPOSE\n")
	for _, s := range plan.Steps {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", s.Step, s.Call, s.Source, s.Purpose)
	}
	for _, m := range plan.Warnings {
		fmt.Fprintf(w, "warning: %s\n", m)
	}
	return w.Flush()
}
