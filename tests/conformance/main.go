// Conformance runs the validation suite of the OCI's runtime-tools with a container runtime.
//
//	go run -C tests/conformance . -runtime PATH [-known FILE] [-cache DIR [-built]] [-run REGEXP] [-v]
//
// The suite is a set of programs that create containers and print TAP. Each runs in a scratch
// directory of its own, which is removed with all that the program left: containers, processes,
// mounts, cgroups and files. The programs run one at a time, because the ones about cgroups share fixed
// cgroup paths and others have deadlines.
//
// Programs that are known to fail are listed in known-failures.txt, and those that fail on some
// machines only in lists of their own. The run fails when a program
// fails that is not listed, and when a listed one passes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// errUnexpected tells that the outcome is not the one that the list of known failures describes.
var errUnexpected = errors.New("the outcome differs from the list of known failures")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(2)
	case errors.Is(err, errUnexpected): // the report says what is unexpected
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	opts, err := parseOptions(args)
	if err != nil {
		return err
	}
	var suite *suite
	if opts.built {
		suite, err = builtSuite(opts.cache)
	} else {
		suite, err = buildSuite(ctx, opts.cache)
	}
	if err != nil {
		return err
	}
	known, err := readKnown(opts.known)
	if err != nil {
		return err
	}
	if err := known.check(suite.programs); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(opts.known, ", "), err)
	}
	return runSuite(ctx, opts, suite, known)
}

// runSuite runs the selected programs and reports each of them as it ends.
func runSuite(ctx context.Context, opts options, suite *suite, known knownFailures) error {
	report := newReport(os.Stdout, known, opts.verbose)
	for _, program := range suite.programs {
		if !opts.run.MatchString(program) {
			continue
		}
		var out output
		for try := 0; try == 0 || try < tries && lostRace(program, out); try++ {
			var err error
			left := out.left
			if out, err = suite.execute(ctx, program, opts); err != nil {
				return fmt.Errorf("%s: %w", program, err)
			}
			out.left.add(left)
			out.tries = try + 1
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		report.add(program, out)
	}
	return report.close()
}
