package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// command defines one command of rt. Reading of the command line, help, manual
// pages and completion follow from the definitions.
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
	// key is where its value is kept when its name is taken by a global flag.
	key string
}

func (f *flag) kept() string {
	if f.key != "" {
		return f.key
	}
	return f.name
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

// usageError is an error about the command line of a command, or of rt itself.
func usageError(name, format string, args ...any) error {
	line := "rt"
	if name != "" {
		line, format = "rt "+name, name+": "+format
	}
	return fmt.Errorf(format+"; see `%s --help`", append(args, line)...)
}

// parse reads a command line. The command is nil when there is none.
func parse(argv []string) (*command, *input, error) {
	in := &input{values: map[string]string{}, lists: map[string][]string{}}
	rest, err := in.take(globalFlags(), argv, true)
	if err != nil || len(rest) == 0 || in.Bool("help") || in.Bool("version") {
		return nil, in, err
	}
	c := findCommand(rest[0])
	if c == nil {
		return nil, in, unknownCommand{usageError("", "%q is not a command", rest[0])}
	}
	in.command = c.name
	in.args, err = in.take(c.flags, rest[1:], c.rest)
	if c.rest && len(in.args) > 1 && in.args[1] == "--" { // behind the id it ends rt's part, as with runc
		in.args = slices.Delete(in.args, 1, 2)
	}
	return c, in, err
}

// unknownCommand has the exit status that runc gives it.
type unknownCommand struct{ error }

func (unknownCommand) exitStatus() int { return 3 }

func findCommand(name string) *command {
	list := commands()
	if i := slices.IndexFunc(list, func(c command) bool { return c.name == name }); i >= 0 {
		return &list[i]
	}
	return nil
}

// take reads flags, and returns the arguments: from the first on when that ends
// the flags. `--` ends them in any case.
func (in *input) take(flags []flag, argv []string, firstEnds bool) (args []string, err error) {
	for _, f := range flags {
		if f.value != "" {
			in.values[f.kept()] = f.value
		}
	}
	for len(argv) > 0 {
		word := argv[0]
		switch {
		case word == "--":
			return append(args, argv[1:]...), nil
		case isFlag(word):
			if argv, err = in.flag(flags, word, argv[1:]); err != nil {
				return nil, err
			}
		case firstEnds:
			return argv, nil
		default:
			args, argv = append(args, word), argv[1:]
		}
	}
	return args, nil
}

// isFlag tells flags from arguments. A single dash is an argument.
func isFlag(word string) bool { return len(word) > 1 && word[0] == '-' }

// flagName is the name of the flag, which may have one dash or two, and the
// value behind an equals sign.
func flagName(word string) (name, value string, has bool) {
	name, value, has = strings.Cut(strings.TrimPrefix(word[1:], "-"), "=")
	return name, value, has
}

// flag reads one flag and returns what follows.
func (in *input) flag(flags []flag, word string, rest []string) ([]string, error) {
	name, value, has := flagName(word)
	f := find(flags, name)
	if f == nil { // rarely: engines call rt for every container
		f = find(slices.Concat(alwaysFlags(in.command), globalFlags()), name)
	}
	switch {
	case f == nil:
		return nil, usageError(in.command, "there is no flag %s", word)
	case f.kind == boolFlag && !has:
		value = "true"
	case f.kind == boolFlag:
		on, err := strconv.ParseBool(value)
		if err != nil {
			return nil, usageError(in.command, "--%s: %q is not one of true, false", f.name, value)
		}
		value = strconv.FormatBool(on)
	case !has && len(rest) == 0:
		return nil, usageError(in.command, "--%s needs a value", f.name)
	case !has:
		value, rest = rest[0], rest[1:]
	}
	if _, err := strconv.Atoi(value); f.kind == intFlag && err != nil {
		return nil, usageError(in.command, "--%s: %q is not a number", f.name, value)
	}
	if f.kind == listFlag {
		in.lists[f.kept()] = append(in.lists[f.kept()], value)
	} else {
		in.values[f.kept()] = value
	}
	return rest, nil
}

// alwaysFlags are those that every command has, and rt itself.
func alwaysFlags(command string) []flag {
	list := []flag{{name: "help", alias: "h", usage: "show this help"}}
	if command == "" {
		list = append(list, flag{name: "version", alias: "v", usage: "print the version"})
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

// oneID is the container id of commands that take nothing else.
func (in *input) oneID() (string, error) {
	if n := len(in.args); n != 1 {
		return "", fmt.Errorf("%s: needs exactly one container id, not %d arguments", in.command, n)
	}
	return in.args[0], nil
}
