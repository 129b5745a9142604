// Command failures makes everything fail that can fail while rt works, one thing at a time:
// each instruction of rt's programs, each system call of each command, each process at each
// step, and the surroundings. Whatever fails, rt must say so and leave nothing behind.
//
//	failures -rt bin/rt -failing bin/rt-failing [-short] [-only REGEXP] [-markdown FILE]
//
// With -only, -save and -add, the parts can be tried one by one: instructions/FLOW,
// calls/COMMAND, surroundings/PART: TRIAL.
package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// shortStride: the short form tries one of so many.
const shortStride = 80

// testdata is the directory with Docker's bundle.
var testdata string

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "failures:", err)
		os.Exit(1)
	}
}

func run() error {
	rt := flag.String("rt", "bin/rt", "`path` of rt")
	failing := flag.String("failing", "bin/rt-failing", "`path` of rt with the build tag failing")
	flag.StringVar(&testdata, "testdata", "tests/testdata", "`directory` with Docker's bundle")
	only := flag.String("only", "", "try only parts that match the `regexp`")
	short := flag.Bool("short", false, "try only a sample")
	replay := flag.String("replay", "", "repeat one trial: the `text` that follows -replay in a report")
	markdown := flag.String("markdown", "", "write the table to `file`")
	save := flag.String("save", "", "write the numbers to `file`")
	add := flag.String("add", "", "add the numbers of other runs that -save wrote to `files`, with commas between them")
	verbose := flag.Bool("v", false, "print progress, and what was not reached")
	flag.Parse()
	r := newReport()
	r.verbose = *verbose
	r.stride = 1
	if *short {
		r.stride = shortStride
	}
	var err error
	if r.only, err = regexp.Compile(*only); err != nil {
		return err
	}
	w, err := newWorld(*rt, *failing)
	if err != nil {
		return err
	}
	defer w.close()
	if *replay != "" {
		return r.replay(w, *replay)
	}
	for _, part := range []func(*world) error{r.instructions, r.commands, r.surroundings} {
		if err := part(w); err != nil {
			return err
		}
	}
	if *add != "" {
		if err := r.add(strings.Split(*add, ",")...); err != nil {
			return err
		}
	}
	if *save != "" {
		if err := r.save(*save); err != nil {
			return err
		}
	}
	r.print(os.Stdout)
	if r.verbose {
		for kind, list := range r.notes {
			for _, text := range list {
				fmt.Printf("%s: %s\n", kind, text)
			}
		}
	}
	if *markdown != "" {
		if err := r.table(*markdown); err != nil {
			return err
		}
	}
	if r.wrong > 0 {
		return fmt.Errorf("%d problems", r.wrong)
	}
	return nil
}
