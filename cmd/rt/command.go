package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/urfave/cli/v3"
)

// command defines one command of rt. Help, errors of usage and completion are
// urfave/cli's, made from the definition. A command line without anything
// unusual is read from the definition right away: engines call rt for every
// container, and half a millisecond is a tenth of a container's birth.
type command struct {
	name, usage string
	// args describes the arguments in the help.
	args  string
	flags []flag
	// rest is true when what follows the first argument is a command line for
	// somebody else.
	rest bool
	run  func(in *input) error
}

type flagKind uint8

const (
	boolFlag flagKind = iota
	stringFlag
	intFlag
	listFlag // may be given several times
)

type flag struct {
	name string
	// alias is a single letter, or empty.
	alias string
	kind  flagKind
	value string // the default
	usage string
}

// input is a command line that was understood.
type input struct {
	// command is its name.
	command string
	// values are the flags that were given, or have a default: "true" for
	// those without a value.
	values map[string]string
	lists  map[string][]string
	args   []string
}

func (in *input) List(name string) []string { return in.lists[name] }

func (in *input) String(name string) string { return in.values[name] }
func (in *input) Bool(name string) bool     { return in.values[name] == "true" }

// Int is only for flags of that kind: their values are numbers.
func (in *input) Int(name string) int {
	n, _ := strconv.Atoi(in.values[name])
	return n
}

func find(flags []flag, name string) *flag {
	for i := range flags {
		if f := &flags[i]; name != "" && (f.name == name || f.alias == name) {
			return f
		}
	}
	return nil
}

// completionFlag is how the completion of the shells asks urfave/cli what may
// follow.
const completionFlag = "--generate-shell-completion"

// parse reads a command line without help: ok is false when it is not the
// plain form, or wrong.
func parse(argv []string) (c *command, in *input, ok bool) {
	if len(argv) > 0 && argv[len(argv)-1] == completionFlag {
		return nil, nil, false
	}
	in = &input{values: map[string]string{}, lists: map[string][]string{}}
	rest, ok := in.take(globalFlags(), argv)
	if !ok || len(rest) == 0 {
		return nil, nil, false
	}
	for _, c := range commands() {
		if c.name != rest[0] {
			continue
		}
		in.command = c.name
		in.args, ok = in.take(c.flags, rest[1:])
		for _, arg := range in.args {
			ok = ok && (c.rest || !strings.HasPrefix(arg, "-"))
		}
		return &c, in, ok
	}
	return nil, nil, false
}

// take reads flags up to the first argument.
func (in *input) take(flags []flag, argv []string) (rest []string, ok bool) {
	for _, f := range flags {
		if f.value != "" {
			in.values[f.name] = f.value
		}
	}
	for len(argv) > 0 && strings.HasPrefix(argv[0], "-") {
		name, value, has := strings.Cut(argv[0], "=")
		argv = argv[1:]
		if dashed := strings.TrimPrefix(name, "--"); dashed != name {
			name = dashed
		} else if name = name[1:]; len(name) != 1 {
			return nil, false
		}
		f := find(flags, name)
		switch {
		case f == nil:
			return nil, false
		case f.kind == boolFlag && has:
			return nil, false
		case f.kind == boolFlag:
			value = "true"
		case !has && len(argv) == 0:
			return nil, false
		case !has:
			value, argv = argv[0], argv[1:]
		}
		if _, err := strconv.Atoi(value); f.kind == intFlag && err != nil {
			return nil, false
		}
		if f.kind == listFlag {
			in.lists[f.name] = append(in.lists[f.name], value)
		} else {
			in.values[f.name] = value
		}
	}
	return argv, true
}

// cli is the definition in urfave/cli's terms.
func (c *command) cli() *cli.Command {
	cmd := &cli.Command{
		Name: c.name, Usage: c.usage, ArgsUsage: c.args, Flags: cliFlags(c.flags), OnUsageError: usageError,
		DisableSliceFlagSeparator: true, ShellComplete: c.complete,
		Action: func(_ context.Context, cmd *cli.Command) error {
			in := &input{command: c.name, values: map[string]string{}, lists: map[string][]string{}, args: cmd.Args().Slice()}
			for _, f := range append(globalFlags(), c.flags...) {
				switch f.kind {
				case boolFlag:
					in.values[f.name] = strconv.FormatBool(cmd.Bool(f.name))
				case stringFlag:
					in.values[f.name] = cmd.String(f.name)
				case intFlag:
					in.values[f.name] = strconv.Itoa(cmd.Int(f.name))
				case listFlag:
					in.lists[f.name] = cmd.StringSlice(f.name)
				}
			}
			return c.do(in)
		},
	}
	if c.rest {
		one := 1
		cmd.StopOnNthArg = &one
	}
	return cmd
}

// complete prints what may follow: the ids of containers, where one is wanted,
// and flags.
func (c *command) complete(ctx context.Context, cmd *cli.Command) {
	last := os.Args[max(0, len(os.Args)-2)]
	if strings.HasPrefix(c.args, "<container-id") && cmd.NArg() == 0 && !strings.HasPrefix(last, "-") {
		entries, _ := os.ReadDir(cmd.String("root"))
		for _, e := range entries {
			fmt.Fprintln(cmd.Root().Writer, e.Name())
		}
	}
	cli.DefaultCompleteWithFlags(ctx, cmd)
}

func cliFlags(flags []flag) []cli.Flag {
	list := make([]cli.Flag, 0, len(flags))
	for _, f := range flags {
		var aliases []string
		if f.alias != "" {
			aliases = []string{f.alias}
		}
		switch f.kind {
		case boolFlag:
			list = append(list, &cli.BoolFlag{Name: f.name, Aliases: aliases, Usage: f.usage})
		case stringFlag:
			list = append(list, &cli.StringFlag{Name: f.name, Aliases: aliases, Value: f.value, Usage: f.usage})
		case intFlag:
			n, _ := strconv.Atoi(f.value)
			list = append(list, &cli.IntFlag{Name: f.name, Aliases: aliases, Value: n, Usage: f.usage})
		case listFlag:
			list = append(list, &cli.StringSliceFlag{Name: f.name, Aliases: aliases, Usage: f.usage})
		}
	}
	return list
}

// do runs the command with the global flags in force.
func (c *command) do(in *input) error {
	if err := setUp(in); err != nil {
		return err
	}
	return c.run(in)
}

func usageError(_ context.Context, cmd *cli.Command, err error, _ bool) error {
	return fmt.Errorf("%s: %w; see `%s --help`", cmd.Name, err, cmd.FullName())
}

// oneID is the container id of commands that take nothing else.
func (in *input) oneID() (string, error) {
	if n := len(in.args); n != 1 {
		return "", fmt.Errorf("%s: needs exactly one container id, not %d arguments", in.command, n)
	}
	return in.args[0], nil
}
