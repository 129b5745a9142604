// Command rt is an OCI container runtime.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/sirupsen/logrus"
	"github.com/urfave/cli/v3"
)

// version and commit are set by the linker.
var (
	version = "0.1.0-dev"
	commit  = ""
)

// started is when rt began; --debug counts from here.
var started = time.Now()

// milliseconds shows a duration with the microseconds behind the point.
func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 3, 64)
}

func main() {
	// A short-lived command is faster without garbage collection; the limit
	// turns it on again in what runs long.
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(64 << 20) // bytes
	if err := command().Run(context.Background(), os.Args); err != nil {
		var exit cli.ExitCoder
		if errors.As(err, &exit) {
			os.Exit(exit.ExitCode())
		}
		fail(err)
	}
}

// fail ends rt with a message where people look for it, and where engines do.
func fail(err error) {
	if logFile != nil {
		logrus.Error(err)
	}
	fmt.Fprintln(os.Stderr, "rt:", err)
	os.Exit(1)
}

func command() *cli.Command {
	cli.VersionPrinter = printVersion
	return &cli.Command{
		Name:    "rt",
		Usage:   "run OCI containers",
		Version: version,
		Description: `rt makes containers from bundles: directories with a config.json and a root
file system, as the OCI runtime specification describes them.

To run a container from the bundle in ./mybundle:

    rt run mybundle`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "debug", Usage: "log what rt does, step by step"},
			&cli.StringFlag{Name: "log", Usage: "write the log to `FILE` (default: /dev/stderr)"},
			&cli.StringFlag{Name: "log-format", Value: "text", Usage: "`FORMAT` of the log: text or json"},
			&cli.StringFlag{Name: "root", Value: defaultRoot(), Usage: "keep the state of containers in `DIR`, which should be on a tmpfs"},
			&cli.BoolFlag{Name: "systemd-cgroup", Usage: "let systemd manage cgroups; linux.cgroupsPath has the form slice:prefix:name then"},
			&cli.StringFlag{Name: "rootless", Value: "auto", Usage: "ignore missing permissions over cgroups: true, false or auto"},
		},
		Before:                 setUp,
		Action:                 noCommand,
		HideHelpCommand:        true,
		UseShortOptionHandling: false,
		ExitErrHandler:         func(context.Context, *cli.Command, error) {},
		OnUsageError:           usageError,
		Commands: []*cli.Command{
			createCommand(), startCommand(), runCommand(), stateCommand(), killCommand(), deleteCommand(),
			listCommand(), specCommand(), featuresCommand(), explainCommand(),
		},
	}
}

// noCommand runs when no command has the name that was given.
func noCommand(_ context.Context, cmd *cli.Command) error {
	if name := cmd.Args().First(); name != "" {
		return fmt.Errorf("%q is not a command; see `rt --help`", name)
	}
	return cli.ShowAppHelp(cmd)
}

func usageError(_ context.Context, cmd *cli.Command, err error, _ bool) error {
	return fmt.Errorf("%s: %w; see `%s --help`", cmd.Name, err, cmd.FullName())
}

func printVersion(cmd *cli.Command) {
	fmt.Fprintf(cmd.Root().Writer, "rt version %s\ncommit: %s\nspec: %s\ngo: %s\n", version, buildCommit(), specs.Version, runtime.Version())
}

// buildCommit is what the Makefile or the Go tool says.
func buildCommit() string {
	if commit != "" {
		return commit
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return "unknown"
}

// defaultRoot is /run/rt, or a directory of the user's own.
func defaultRoot() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" && os.Geteuid() != 0 {
		return filepath.Join(dir, "rt")
	}
	return "/run/rt"
}

// logFile is the file of --log, nil when there is none.
var logFile *os.File

func setUp(ctx context.Context, cmd *cli.Command) (context.Context, error) {
	if cmd.Bool("debug") {
		logrus.SetLevel(logrus.DebugLevel)
	}
	switch format := cmd.String("log-format"); format {
	case "text":
	case "json":
		logrus.SetFormatter(new(logrus.JSONFormatter))
	default:
		return ctx, fmt.Errorf("--log-format: %q is not one of text, json", format)
	}
	if name := cmd.String("log"); name != "" {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		if err != nil {
			return ctx, fmt.Errorf("--log: %w", err)
		}
		logFile = f
		logrus.SetOutput(f)
	}
	switch cmd.String("rootless") {
	case "true", "false", "auto":
	default:
		return ctx, fmt.Errorf("--rootless: %q is not one of true, false, auto", cmd.String("rootless"))
	}
	return ctx, nil
}

// rootless tells whether missing permissions over cgroups are an error.
func rootless(cmd *cli.Command) bool {
	switch cmd.String("rootless") {
	case "true":
		return true
	case "false":
		return false
	}
	return os.Geteuid() != 0
}

// oneID is the container id of commands that take nothing else.
func oneID(cmd *cli.Command) (string, error) {
	if n := cmd.Args().Len(); n != 1 {
		return "", fmt.Errorf("%s: needs exactly one container id, not %d arguments", cmd.Name, n)
	}
	return cmd.Args().First(), nil
}
