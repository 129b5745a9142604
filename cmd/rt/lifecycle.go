package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/rtcontainers/rt/libcontainer"
	"github.com/sirupsen/logrus"
	"github.com/urfave/cli/v3"
	"golang.org/x/sys/unix"
)

// withContainer opens the one container that the arguments name.
func withContainer(in *input, id string, f func(*libcontainer.Container) error) error {
	c, err := libcontainer.Load(in.String("root"), id)
	if err != nil {
		return err
	}
	defer c.Close()
	return f(c)
}

func startCommand() command {
	return command{
		Command: cli.Command{
			Name:      "start",
			Usage:     "start the process of a created container",
			ArgsUsage: "<container-id>",
		},
		run: func(in *input) error {
			id, err := in.oneID()
			if err != nil {
				return err
			}
			return withContainer(in, id, start)
		},
	}
}

func start(c *libcontainer.Container) error {
	n := newNotifier()
	path := c.NotifySocket()
	if n == nil || path == "" {
		return c.Start(context.Background())
	}
	if err := n.bind(path); err != nil {
		return err
	}
	if err := c.Start(context.Background()); err != nil {
		return err
	}
	return n.awaitReady(c)
}

func killCommand() command {
	return command{
		Command: cli.Command{
			Name:      "kill",
			Usage:     "send a signal to a container's process (default: SIGTERM)",
			ArgsUsage: "<container-id> [signal]",
			Description: `Example:
   rt kill box KILL`,
			Flags: []cli.Flag{
				&cli.BoolFlag{Name: "all", Aliases: []string{"a"}, Usage: "send the signal to all processes of the container"},
				&cli.BoolFlag{Name: "regex", Aliases: []string{"r"}, Usage: "send the signal to all containers whose ids match the regular expression"},
			},
		},
		run: func(in *input) error {
			args := in.args
			if len(args) < 1 || len(args) > 2 {
				return fmt.Errorf("kill: needs a container id and at most one signal, not %d arguments", len(args))
			}
			name := "SIGTERM"
			if len(args) == 2 {
				name = args[1]
			}
			sig, err := parseSignal(name)
			if err != nil {
				return err
			}
			ids, err := in.ids(args[:1])
			if err != nil {
				return err
			}
			var errs []error
			for _, id := range ids {
				errs = append(errs, withContainer(in, id, func(c *libcontainer.Container) error {
					if in.Bool("all") {
						return c.SignalAll(sig)
					}
					return c.Signal(sig)
				}))
			}
			return errors.Join(errs...)
		},
	}
}

// ids are the ids that the arguments name, or, with --regex, those that match one.
func (in *input) ids(args []string) ([]string, error) {
	if !in.Bool("regex") {
		return args, nil
	}
	var ids []string
	for _, text := range args {
		pattern, err := regexp.Compile(text)
		if err != nil {
			return nil, fmt.Errorf("--regex: %w", err)
		}
		containers, err := libcontainer.List(in.String("root"))
		if err != nil {
			logrus.Warn(err)
		}
		for _, c := range containers {
			if pattern.MatchString(c.ID()) {
				ids = append(ids, c.ID())
			}
			c.Close()
		}
	}
	return ids, nil
}

// parseSignal reads a signal's number, or its name with or without SIG.
func parseSignal(s string) (unix.Signal, error) {
	const last = 64 // SIGRTMAX, signal(7)
	if n, err := strconv.Atoi(s); err == nil {
		if n < 0 || n > last {
			return 0, fmt.Errorf("signal %d is outside 0 to %d", n, last)
		}
		return unix.Signal(n), nil
	}
	name := strings.ToUpper(s)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	if sig := unix.SignalNum(name); sig != 0 {
		return sig, nil
	}
	if sig, ok := realTime(name); ok {
		return sig, nil
	}
	return 0, fmt.Errorf("%q is not a signal: give a number, or a name such as KILL or SIGRTMIN+1", s)
}

// realTime reads SIGRTMIN+N and SIGRTMAX-N as the C library counts them.
func realTime(name string) (unix.Signal, bool) {
	const rtMin, rtMax = 34, 64
	for prefix, base := range map[string]int{"SIGRTMIN": rtMin, "SIGRTMAX": rtMax} {
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		n := 0
		if rest != "" {
			var err error
			if n, err = strconv.Atoi(rest); err != nil {
				return 0, false
			}
		}
		if sig := base + n; sig >= rtMin && sig <= rtMax {
			return unix.Signal(sig), true
		}
	}
	return 0, false
}

func deleteCommand() command {
	return command{
		Command: cli.Command{
			Name:      "delete",
			Usage:     "delete stopped containers, with their cgroups and state",
			ArgsUsage: "<container-id>...",
			Description: `Example:
   rt delete --force box`,
			Flags: []cli.Flag{
				&cli.BoolFlag{Name: "force", Aliases: []string{"f"}, Usage: "kill a running container first, and ignore one that does not exist"},
				&cli.BoolFlag{Name: "regex", Aliases: []string{"r"}, Usage: "delete all containers whose ids match the regular expression"},
			},
		},
		run: func(in *input) error {
			if len(in.args) == 0 {
				return errors.New("delete: needs a container id")
			}
			force := in.Bool("force")
			ids, err := in.ids(in.args)
			if err != nil {
				return err
			}
			var errs []error
			for _, id := range ids {
				err := libcontainer.Delete(in.String("root"), id, force, logger())
				if err != nil && !(force && errors.Is(err, libcontainer.ErrNotExist)) {
					errs = append(errs, err)
				}
			}
			return errors.Join(errs...)
		},
	}
}
