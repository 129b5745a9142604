package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"
)

// command is one command of rt: its definition for urfave/cli, and its code.
type command struct {
	cli.Command
	run func(in *input) error
}

// input is a parsed command line.
type input struct {
	*cli.Command
	args []string
}

func newInput(c *cli.Command) *input { return &input{c, c.Args().Slice()} }

// oneID is the container id of commands that take nothing else.
func (in *input) oneID() (string, error) {
	if n := len(in.args); n != 1 {
		return "", fmt.Errorf("%s: needs exactly one container id, not %d arguments", in.Name, n)
	}
	return in.args[0], nil
}

// first is for commands that take another command line after their first argument.
var first = 1

// commandLine is rt with its commands; perform executes a parsed one. Most command lines
// name one command: only those whose name is among the words are made.
func commandLine(argv []string, out io.Writer, perform func(in *input, run func(*input) error) error) *cli.Command {
	root := &cli.Command{
		Name: "rt", Usage: summary, Description: description, Version: version, ArgsUsage: "[argument...]",
		Flags: globalFlags(), HideHelpCommand: true, DisableSliceFlagSeparator: true, Writer: out,
		OnUsageError:   usageProblem(argv),
		ExitErrHandler: func(context.Context, *cli.Command, error) {}, // main knows the exit statuses
		Action: func(_ context.Context, c *cli.Command) error {
			if name := c.Args().First(); name != "" {
				return unknownCommand{usageError("", "%q is not a command", name)}
			}
			return cli.ShowRootCommandHelp(c)
		},
	}
	makers := makers()
	named := func(m maker) bool { return slices.Contains(argv, m.name) }
	all := !slices.ContainsFunc(makers, named) || slices.Contains(argv, "help")
	for _, m := range makers {
		if all || named(m) {
			root.Commands = append(root.Commands, wired(m.command(), argv, perform))
		}
	}
	if n := len(argv); n > 0 && argv[n-1] == completionFlag && os.Getenv(completing) != "" {
		root.EnableShellCompletion = true
		for _, c := range append(root.Commands, root) {
			c.ShellComplete = complete(argv[:n-1])
		}
	}
	return root
}

// wired adds to a command what all commands share.
func wired(c command, argv []string, perform func(*input, func(*input) error) error) *cli.Command {
	cmd, run := &c.Command, c.run
	cmd.DisableSliceFlagSeparator, cmd.HideHelpCommand, cmd.OnUsageError = true, true, usageProblem(argv)
	cmd.CommandNotFound = func(ctx context.Context, c *cli.Command, _ string) { // nothing after --help is a command
		_ = cli.ShowCommandHelp(ctx, c.Root(), c.Name)
	}
	cmd.Action = func(_ context.Context, c *cli.Command) error { return perform(newInput(c), run) }
	return cmd
}

// maker makes a command.
type maker struct {
	name    string
	command func() command
}

// makers are those of all commands, in the order of the help.
func makers() []maker {
	return []maker{
		{"create", createCommand}, {"start", startCommand}, {"run", runCommand}, {"exec", execCommand}, {"state", stateCommand},
		{"kill", killCommand}, {"delete", deleteCommand}, {"pause", pauseCommand}, {"resume", resumeCommand}, {"ps", psCommand},
		{"events", eventsCommand}, {"update", updateCommand}, {"mounts", mountsCommand}, {"list", listCommand}, {"spec", specCommand},
		{"features", featuresCommand}, {"explain", explainCommand}, {"completion", completionCommand}, {"help", helpCommand},
	}
}

func commandNames() []string {
	var names []string
	for _, m := range makers() {
		names = append(names, m.name)
	}
	return names
}

func helpCommand() command {
	return command{
		Command: cli.Command{Name: "help", Usage: "show the help of a command, or of rt", ArgsUsage: "[command]"},
		run: func(in *input) error {
			if len(in.args) == 0 {
				return cli.ShowRootCommandHelp(in.Command)
			}
			if !slices.Contains(commandNames(), in.args[0]) {
				return unknownCommand{usageError("", "%q is not a command", in.args[0])}
			}
			return cli.ShowCommandHelp(context.Background(), in.Root(), in.args[0])
		},
	}
}

// unknownCommand has the exit status that runc gives it.
type unknownCommand struct{ error }

func (unknownCommand) exitStatus() int { return 3 }

// usageError is an error about the command line of a command, or of rt itself.
func usageError(name, format string, args ...any) error {
	line := "rt"
	if name != "" {
		line, format = "rt "+name, name+": "+format
	}
	return fmt.Errorf(format+"; see `%s --help`", append(args, line)...)
}

// usageProblem says what is wrong with a flag, and where help is.
func usageProblem(argv []string) cli.OnUsageErrorFunc {
	return func(_ context.Context, c *cli.Command, err error, sub bool) error {
		if !sub {
			return flagError("", argv, err.Error())
		}
		return flagError(c.Name, argv, err.Error())
	}
}

// flagError rewrites urfave/cli's errors about flags, which have no types, in rt's words.
func flagError(name string, argv []string, text string) error {
	find := func(pattern string) []string { return regexp.MustCompile(pattern).FindStringSubmatch(text) }
	if m := find(`^flag provided but not defined: -(.*)$`); m != nil {
		flag := "--" + m[1]
		if slices.Contains(argv, flag[1:]) {
			flag = flag[1:]
		}
		return usageError(name, "there is no flag %s", flag)
	}
	if m := find(`^flag needs an argument: (-.*)$`); m != nil {
		return usageError(name, "%s needs a value", m[1])
	}
	if m := find(`^invalid value (".*") for flag -(.*?): (parse error|strconv\.ParseInt: .*)$`); m != nil {
		wants := "a number"
		if m[3] == "parse error" {
			wants = "one of true, false"
		}
		return usageError(name, "--%s: %s is not %s", m[2], m[1], wants)
	}
	return usageError(name, "%s", strings.TrimSpace(text))
}
