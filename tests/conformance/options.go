package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"
)

// errUsage is what the errors of a wrong command line wrap.
var errUsage = errors.New("usage")

type options struct {
	runtime string
	known   []string
	cache   string
	built   bool
	run     *regexp.Regexp
	timeout time.Duration
	verbose bool
}

func parseOptions(args []string) (options, error) {
	var opts options
	var pattern string
	flags := flag.NewFlagSet("conformance", flag.ContinueOnError)
	flags.StringVar(&opts.runtime, "runtime", "rt", "the runtime: a path, or a name to look up in $PATH")
	flags.Func("known", "a list of known failures, can be repeated (default known-failures.txt and known-failures-here.txt)", func(name string) error {
		opts.known = append(opts.known, name)
		return nil
	})
	flags.StringVar(&opts.cache, "cache", defaultCache(), "keep the test programs in this directory")
	flags.BoolVar(&opts.built, "built", false, "take the test programs from -cache as they are")
	flags.StringVar(&pattern, "run", "", "run only the test programs whose names match this regular expression")
	flags.DurationVar(&opts.timeout, "timeout", time.Minute, "stop a test program after this time")
	flags.BoolVar(&opts.verbose, "v", false, "print the output of the test programs that fail")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return options{}, err
	case err != nil:
		return options{}, fmt.Errorf("%w: %w", errUsage, err)
	case flags.NArg() > 0:
		return options{}, fmt.Errorf("%w: unexpected argument %q", errUsage, flags.Arg(0))
	}
	if opts.known == nil {
		opts.known = []string{"known-failures.txt", "known-failures-here.txt"}
	}
	var err error
	if opts.run, err = regexp.Compile(pattern); err != nil {
		return options{}, fmt.Errorf("%w: -run: %w", errUsage, err)
	}
	return opts, opts.resolve()
}

// resolve makes the paths absolute: the programs of the suite run in other directories.
func (o *options) resolve() error {
	path, err := exec.LookPath(o.runtime)
	if err != nil {
		return fmt.Errorf("%w: -runtime: %w", errUsage, err)
	}
	if o.runtime, err = filepath.Abs(path); err != nil {
		return err
	}
	o.cache, err = filepath.Abs(o.cache)
	return err
}

func defaultCache() string {
	dir, err := os.UserCacheDir()
	if err != nil { // no $HOME
		dir = os.TempDir()
	}
	return filepath.Join(dir, "rt-conformance")
}
