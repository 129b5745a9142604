package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/libcontainer"
	"github.com/rtcontainers/rt/spec"
	"github.com/sirupsen/logrus"
	"github.com/urfave/cli/v3"
)

func execCommand() command {
	return command{
		Command: cli.Command{
			Name:  "exec",
			Usage: "run a command in a running container",
			Description: `rt exits with the status of the command.

Example:
   rt exec --tty box sh`,
			ArgsUsage:    "<container-id> <command> [argument...] | --process FILE <container-id>",
			StopOnNthArg: &first,
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "console-socket", Category: handingOver, Usage: "send the master of the process's terminal to the unix socket `PATH`"},
				&cli.StringFlag{Name: "cwd", Usage: "run the command in `DIR` (default: the working directory of the container's process)"},
				&cli.StringSliceFlag{Name: "env", Aliases: []string{"e"}, Usage: "set an environment variable to `NAME=VALUE`"},
				&cli.BoolFlag{Name: "tty", Aliases: []string{"t"}, Usage: "allocate a terminal"},
				&cli.StringFlag{Name: "user", Category: "Rights", Aliases: []string{"u"}, Usage: "run as user `UID[:GID]`"},
				&cli.StringSliceFlag{Name: "additional-gids", Category: "Rights", Aliases: []string{"g"}, Usage: "add group `GID`"},
				&cli.StringFlag{Name: "process", Aliases: []string{"p"}, Usage: "read the process from `FILE`, which has the form of process in config.json"},
				&cli.BoolFlag{Name: "detach", Aliases: []string{"d"}, Usage: "run the command in the background"},
				&cli.StringFlag{Name: "pid-file", Category: handingOver, Usage: "write the process's pid to `FILE`"},
				&cli.StringFlag{Name: "pidfd-socket", Category: handingOver, Usage: "send a pidfd of the process to the unix socket `PATH`"},
				&cli.StringFlag{Name: "process-label", Category: "Rights", Usage: "run with the SELinux `LABEL`"},
				&cli.StringFlag{Name: "apparmor", Category: "Rights", Usage: "run with the AppArmor `PROFILE`"},
				&cli.BoolFlag{Name: "no-new-privs", Category: "Rights", Usage: "prevent the process from gaining privileges"},
				&cli.StringSliceFlag{Name: "cap", Category: "Rights", Aliases: []string{"c"}, Usage: "add capability `NAME`"},
				&cli.IntFlag{Name: "preserve-fds", Category: handingOver, HideDefault: true, Usage: "pass `N` descriptors after the standard streams and $LISTEN_FDS to the process"},
				&cli.StringSliceFlag{Name: "cgroup", Usage: "run in the cgroup `[CONTROLLER:]PATH` below the container's cgroup"},
				&cli.BoolFlag{Name: "ignore-paused", Usage: "run the command even if the container is paused"},
			},
		},
		run: func(in *input) error {
			if err := runExec(in); err != nil {
				var exit exitStatus
				if errors.As(err, &exit) {
					return err
				}
				return failedExec{err}
			}
			return nil
		},
	}
}

// failedExec is an error before a process started: its exit status differs from most of
// those of processes.
type failedExec struct{ error }

func (failedExec) exitStatus() int { return 255 }

func runExec(in *input) error {
	if len(in.args) == 0 {
		return errors.New("exec: needs a container id")
	}
	return withContainer(in, in.args[0], func(c *libcontainer.Container) error {
		o, err := execOptions(in, c)
		if err != nil {
			return err
		}
		detach := in.Bool("detach")
		f, err := attach(in, o.Terminal, detach)
		if err != nil {
			return err
		}
		defer f.tty.restore()
		o.Terminal = f.terminal
		if !detach {
			o.Keeper = &libcontainer.KeeperOptions{Ignored: notForwarded}
		}
		p, err := c.Exec(context.Background(), *o)
		if err != nil {
			return err
		}
		if detach {
			p.Close()
			return nil
		}
		if !f.tty.active() {
			f.takeLeave(p, p.Handover)
		}
		status := f.wait(p)
		f.tty.restore()
		return exitError(status)
	})
}

func execOptions(in *input, c *libcontainer.Container) (*libcontainer.ExecOptions, error) {
	process, err := execProcess(in, c)
	if err != nil {
		return nil, err
	}
	o := &libcontainer.ExecOptions{
		Process: process, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, PidFile: in.String("pid-file"),
		IgnorePaused: in.Bool("ignore-paused"), Logger: logger(), Trace: tracing.listener(),
	}
	var env []string
	if o.Preserve, env, err = preserved(in.Int("preserve-fds")); err != nil {
		return nil, err
	}
	process.Env = append(process.Env, env...)
	if o.Cgroup, err = libcontainer.SubCgroups(in.StringSlice("cgroup")); err != nil {
		return nil, fmt.Errorf("--cgroup: %w", err)
	}
	if o.PIDFD, err = socket(in, "pidfd-socket", "setns"); err != nil {
		return nil, err
	}
	o.Terminal, err = consoleSocket(in)
	return o, err
}

// execProcess is the process of the file, or that of the container's configuration with
// the changes of the command line.
func execProcess(in *input, c *libcontainer.Container) (*specs.Process, error) {
	if name := in.String("process"); name != "" {
		return readProcess(name)
	}
	if len(in.args) < 2 {
		return nil, errors.New("exec: needs a command, or --process")
	}
	p, err := c.Process()
	if err != nil {
		return nil, err
	}
	p.Args, p.Terminal = in.args[1:], in.Bool("tty")
	p.Env = append(p.Env, in.StringSlice("env")...)
	if cwd := in.String("cwd"); cwd != "" {
		p.Cwd = cwd
	}
	if label := in.String("process-label"); label != "" {
		p.SelinuxLabel = label
	}
	if profile := in.String("apparmor"); profile != "" {
		p.ApparmorProfile = profile
	}
	if in.Bool("no-new-privs") {
		p.NoNewPrivileges = true
	}
	addCapabilities(p, in.StringSlice("cap"))
	return p, changeUser(p, in.String("user"), in.StringSlice("additional-gids"))
}

func readProcess(name string) (*specs.Process, error) {
	data, err := spec.LoadDocument(name)
	if err != nil {
		return nil, fmt.Errorf("--process: %w", err)
	}
	p, remarks, err := spec.ParseProcess(data)
	if err != nil {
		return nil, fmt.Errorf("--process: %s: %w", name, err)
	}
	logRemarks(name, remarks)
	return p, nil
}

// logRemarks logs remarks about the names of a document's members.
func logRemarks(name string, r spec.Remarks) {
	for _, m := range r.Folded {
		logrus.Warnf("%s: %s", name, m)
	}
	for _, m := range r.Unknown {
		logrus.Debugf("%s: %s", name, m)
	}
}

// addCapabilities adds capabilities to the sets in which a process of root has them.
func addCapabilities(p *specs.Process, names []string) {
	if len(names) == 0 {
		return
	}
	if p.Capabilities == nil {
		p.Capabilities = new(specs.LinuxCapabilities)
	}
	c := p.Capabilities
	for _, set := range []*[]string{&c.Bounding, &c.Effective, &c.Permitted} {
		*set = append(*set, names...)
	}
	if defence.Off(defence.InheritableCapabilities) {
		c.Inheritable = append(c.Inheritable, names...)
	}
	for _, name := range names { // no other can be ambient: capabilities(7)
		if slices.Contains(c.Inheritable, name) {
			c.Ambient = append(c.Ambient, name)
		}
	}
}

// changeUser reads UID[:GID] and the additional groups.
func changeUser(p *specs.Process, user string, groups []string) error {
	number := func(field, s string, to *uint32) error {
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			return fmt.Errorf("%s: %q is not a number", field, s)
		}
		*to = uint32(n)
		return nil
	}
	if user != "" {
		uid, gid, both := strings.Cut(user, ":")
		if err := number("--user", uid, &p.User.UID); err != nil {
			return err
		}
		if both {
			if err := number("--user", gid, &p.User.GID); err != nil {
				return err
			}
		}
	}
	for _, g := range groups {
		var gid uint32
		if err := number("--additional-gids", g, &gid); err != nil {
			return err
		}
		p.User.AdditionalGids = append(p.User.AdditionalGids, gid)
	}
	return nil
}
