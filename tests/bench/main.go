// Bench compares rt with crun, runc and a floor, in private views of the machine's cgroups.
//
//	go run ./tests/bench -rt PATH [-runs 100] [-views v1,v2] [-cases …] [-bar case:view:peer:max …]
//
// The comparison is interleaved: in every round each competitor runs once, in a random order, so
// that what else happens on the machine meets them all alike. Ratios are of medians, and their
// confidence intervals come from resampling whole rounds.
//
// The cases are
//
//	run-default  `RUNTIME run` of the bundle that `runc spec` writes, with /bin/true
//	run-rested   the same, after 20 ms of rest before each
//	run-docker   `RUNTIME run` of the bundle in tests/testdata/docker, with /bin/true
//	lifecycle    create, start, state, exec, kill and delete of a sleeping container, each by itself
//	memory       private memory of the process that waits for start, and the runtime's binary size
//
// The floor (floor.c) does nothing but the kernel's part of run-default: the same namespaces and
// mounts, pivot_root, execve and wait.
//
// `bench count` counts, in place of the time, what each command does: see count.go. `bench scale`
// measures what grows with the number of containers: see scale.go.
//
// Every runtime has bundles, a state directory and cgroups of its own, with equal content. A
// failure of any of them ends the comparison: a runtime that is quick to fail is not quick.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/rtcontainers/rt/tests/bench/bars"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	var usage usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.As(err, &usage):
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "count":
			return runCount(ctx, args[1:])
		case "scale":
			return runScale(ctx, args[1:])
		}
	}
	opts, err := parseOptions(args)
	if err != nil {
		return err
	}
	if opts.planPath != "" {
		return work(ctx, opts.planPath)
	}
	report, err := compare(ctx, opts)
	if err != nil {
		return err
	}
	if err := report.write(opts); err != nil {
		return err
	}
	return bars.Check(os.Stdout, opts.bars, report.barRatio)
}
