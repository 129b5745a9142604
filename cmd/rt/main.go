// Command rt is an OCI container runtime.
//
// It ends before it could make use of the share of the CPUs that its cgroup
// gives it, which the Go runtime would watch.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0
package main

import (
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
	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/internal/sysfile"
	"github.com/sirupsen/logrus"
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
	runtime.MemProfileRate = 0 // nobody asks for the profile that the samples are for
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

// execute does what the command line says.
func execute(argv []string) error {
	if n := len(argv) - 1; n >= 0 && argv[n] == completionFlag {
		complete(os.Stdout, argv[:n])
		return nil
	}
	c, in, err := parse(argv)
	switch {
	case err != nil:
		return err
	case in.Bool("version"):
		printVersion(os.Stdout)
		return nil
	case c == nil || in.Bool("help"):
		return printHelp(os.Stdout, c)
	}
	return c.do(in)
}

// exitStatus ends rt with the status of what it ran.
type exitStatus int

func (e exitStatus) Error() string { return "exit status " + strconv.Itoa(int(e)) }

// fail ends rt with a message where people look for it, and where engines do.
func fail(err error) {
	if logFile != nil || logsJSON {
		logrus.Error(err)
	}
	if logFile != nil || !logsJSON {
		fmt.Fprintln(os.Stderr, "rt:", err)
	}
	var other interface{ exitStatus() int }
	if errors.As(err, &other) {
		os.Exit(other.exitStatus())
	}
	os.Exit(1)
}

func commands() []command {
	return []command{
		createCommand(), startCommand(), runCommand(), execCommand(), stateCommand(), killCommand(), deleteCommand(),
		pauseCommand(), resumeCommand(), psCommand(), eventsCommand(), updateCommand(), listCommand(), specCommand(), featuresCommand(), explainCommand(),
		completionCommand(), helpCommand(),
	}
}

func globalFlags() []flag {
	return []flag{
		{name: "debug", usage: "log what rt does, step by step"},
		{name: "log", kind: stringFlag, usage: "write the log to `FILE` (default: /dev/stderr)"},
		{name: "log-format", kind: stringFlag, value: "text", usage: "`FORMAT` of the log: text or json"},
		{name: "root", kind: stringFlag, value: defaultRoot(), usage: "keep the state of containers in `DIR`, which should be on a tmpfs"},
		{name: "criu", kind: stringFlag, usage: "`PATH` of criu: accepted for callers that name it, and not used"},
		{name: "systemd-cgroup", usage: "let systemd manage cgroups; linux.cgroupsPath has the form slice:prefix:name then"},
		{name: "rootless", kind: stringFlag, value: "auto", usage: "ignore missing permissions over cgroups: true, false or auto"},
	}
}

const (
	summary     = "run OCI containers"
	description = `rt makes containers from bundles: directories with a config.json and a root
file system, as the OCI runtime specification describes them.`
)

func printVersion(w io.Writer) {
	fmt.Fprintf(w, "rt version %s\ncommit: %s\nspec: %s\ngo: %s\n", version, buildCommit(), specs.Version, runtime.Version())
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
	// logsJSON is true with --log-format json.
	logsJSON bool
)

// setUp puts the global flags in force.
func setUp(in *input) error {
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
	if name := in.String("log"); name != "" {
		mode := os.FileMode(0o644)
		if defence.Off(defence.CallerFiles) {
			mode = 0o666
		}
		f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, mode)
		if err != nil {
			return fmt.Errorf("--log: %w", err)
		}
		logFile = f
		logrus.SetOutput(f)
	}
	root, err := filepath.Abs(in.String("root"))
	if err != nil {
		return fmt.Errorf("--root: %w", err)
	}
	in.values["root"] = root
	switch in.String("rootless") {
	case "true", "false", "auto":
	default:
		return fmt.Errorf("--rootless: %q is not one of true, false, auto", in.String("rootless"))
	}
	return nil
}

// rootless tells whether missing permissions over cgroups are an error.
func rootless(in *input) bool {
	switch in.String("rootless") {
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
