// Command rt is an OCI container runtime.
//
// It ends before it could make use of the share of the CPUs that its cgroup
// gives it, which the Go runtime would watch.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/opencontainers/cgroups/systemd"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/plain"
	_ "github.com/rtcontainers/rt/internal/start"
	"github.com/rtcontainers/rt/internal/sysfile"
	"github.com/sirupsen/logrus"
	"github.com/urfave/cli/v3"
)

// version and commit are set by the linker.
var (
	version = "1.0.0-rc.1"
	commit  = ""
)

// started is when rt began; --debug counts from here.
var started = time.Now()

// milliseconds shows a duration with microseconds after the point.
func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 3, 64)
}

func main() {
	runtime.MemProfileRate = 0 // nobody uses the profile that the samples are for
	err := checkLimits()
	if err == nil {
		err = execute(os.Args[1:])
	}
	var exit exitStatus
	switch {
	case err == nil:
	case errors.As(err, &exit):
		os.Exit(int(exit))
	default:
		fail(err)
	}
}

// execute executes the command line.
func execute(argv []string) error { return executeTo(os.Stdout, argv) }

func executeTo(out io.Writer, argv []string) error {
	cli.VersionPrinter = func(c *cli.Command) { printVersion(c.Root().Writer) }
	root := commandLine(argv, out, func(in *input, run func(*input) error) error {
		if err := setUp(in); err != nil {
			return err
		}
		if name := in.Root().String("trace"); name != "" {
			if err := startTrace(name, in.Name); err != nil {
				return err
			}
		}
		defer tracing.write()
		return run(in)
	})
	unknown := ""
	root.CommandNotFound = func(_ context.Context, _ *cli.Command, name string) { unknown = name }
	err := root.Run(context.Background(), append([]string{"rt"}, argv...))
	if err == nil && unknown != "" {
		return unknownCommand{usageError("", "%q is not a command", unknown)}
	}
	return err
}

// exitStatus ends rt with the status of the process that it ran.
type exitStatus int

func (e exitStatus) Error() string { return "exit status " + strconv.Itoa(int(e)) }

// fail ends rt with a message where people look for it, and where engines do.
func fail(err error) {
	if logFile != nil || logsJSON || logsElsewhere {
		logrus.Error(err)
	}
	if logFile != nil || !logsJSON {
		fmt.Fprintln(os.Stderr, "rt:", plain.Text(err.Error())) // it may contain text of a hook or the image
	}
	var other interface{ exitStatus() int }
	if errors.As(err, &other) {
		os.Exit(other.exitStatus())
	}
	os.Exit(1)
}

func globalFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "debug", Category: "Logging", Usage: "log each step that rt takes"},
		&cli.StringFlag{Name: "log", Category: "Logging", Usage: "write the log to `FILE`, syslog:IDENTIFIER or journald:IDENTIFIER (default: /dev/stderr)"},
		&cli.StringFlag{Name: "log-level", Category: "Logging", Usage: "log messages of `LEVEL` or worse: error, warning, info or debug (default: warning)"},
		&cli.StringFlag{Name: "trace", Category: "Logging", Usage: "write the time of each step to `FILE`, in JSON that https://ui.perfetto.dev opens"},
		&cli.StringFlag{Name: "log-format", Category: "Logging", Value: "text", Usage: "write the log as `FORMAT`: text or json"},
		&cli.StringFlag{Name: "root", Value: defaultRoot(), Usage: "keep the state of containers in `DIR`; a tmpfs forgets them when the host restarts"},
		&cli.StringFlag{Name: "criu", Usage: "accept the `PATH` of criu, and ignore it"},
		&cli.StringFlag{Name: "cgroup-manager", Category: "Cgroups", Usage: "manage cgroups with `MANAGER`: cgroupfs, systemd, or disabled to stay in rt's cgroup (default: cgroupfs)"},
		&cli.BoolFlag{Name: "systemd-cgroup", Category: "Cgroups", Usage: "same as --cgroup-manager=systemd; linux.cgroupsPath must have the form slice:prefix:name"},
		&cli.StringFlag{Name: "rootless", Category: "Cgroups", Value: "auto", Usage: "ignore permission errors of cgroups: `MODE` is true, false or auto"},
	}
}

const (
	summary     = "run OCI containers"
	description = `rt runs containers from bundles. A bundle is a directory with a config.json and a
root file system, as the OCI runtime specification describes it.

Example:
   mkdir -p box/rootfs/bin && cp /bin/busybox box/rootfs/bin/sh
   rt spec --bundle box
   rt run box`
)

func printVersion(w io.Writer) {
	fmt.Fprintf(w, "rt version %s\ncommit: %s\nspec: %s\ngo: %s\n", version, buildCommit(), specs.Version, runtime.Version())
}

// buildCommit comes from the Makefile or from the Go tool.
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

// defaultRoot is /run/rt, or a directory of the user.
func defaultRoot() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" && isOrdinaryUser() {
		return filepath.Join(dir, "rt")
	}
	return "/run/rt"
}

// isOrdinaryUser tells whether rt was started by a user other than root, maybe as
// the root of a user namespace, as Podman does.
func isOrdinaryUser() bool {
	return os.Geteuid() != 0 || os.Getenv("USER") != "root" && sysfile.InUserNamespace()
}

var (
	// logFile is the file of --log, nil when there is none.
	logFile *os.File
	// logsElsewhere is true if a service takes the log.
	logsElsewhere bool
	// logsJSON is true with --log-format json.
	logsJSON bool
)

// setUp applies the global flags.
func setUp(in *input) error {
	if name := in.String("log-level"); name != "" {
		level, err := logrus.ParseLevel(name)
		if err != nil {
			return fmt.Errorf("--log-level: %q is not one of error, warning, info, debug", name)
		}
		logrus.SetLevel(level)
	}
	if in.Bool("debug") {
		logrus.SetLevel(logrus.DebugLevel)
	}
	switch format := in.String("log-format"); format {
	case "text":
	case "json":
		logsJSON = true
		logrus.SetFormatter(new(logrus.JSONFormatter))
	default:
		return fmt.Errorf("--log-format: %q is not one of text, json", format)
	}
	if where := in.String("log"); where != "" {
		if err := logTo(where); err != nil {
			return err
		}
	}
	root, err := filepath.Abs(in.String("root"))
	if err != nil {
		return fmt.Errorf("--root: %w", err)
	}
	if err := in.Set("root", root); err != nil {
		return fmt.Errorf("--root: %w", err)
	}
	switch in.Root().String("rootless") {
	case "true", "false", "auto":
	default:
		return fmt.Errorf("--rootless: %q is not one of true, false, auto", in.Root().String("rootless"))
	}
	switch manager := in.String("cgroup-manager"); manager {
	case "", "cgroupfs", "disabled":
	case "systemd":
		return in.Set("systemd-cgroup", "true")
	default:
		return fmt.Errorf("--cgroup-manager: %q is not one of cgroupfs, systemd, disabled", manager)
	}
	return nil
}

// rootless tells whether missing permissions over cgroups are an error.
func rootless(in *input) bool {
	switch in.Root().String("rootless") {
	case "true":
		return true
	case "false":
		return false
	}
	if os.Geteuid() != 0 {
		return true
	}
	return sysfile.InUserNamespace() && !ownsManager(in)
}

// ownsManager tells whether the systemd that --systemd-cgroup would talk to is
// root's.
func ownsManager(in *input) bool {
	if !in.Bool("systemd-cgroup") {
		return false
	}
	uid, err := systemd.DetectUID()
	return err == nil && uid == 0
}
