package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
)

// shown is a flag as help and manual pages show it: --name VALUE, and what it
// does. The word of the usage that stands for the value is between backquotes.
func (f *flag) shown() (tag, text string) {
	tag = "--" + f.name
	value := map[flagKind]string{stringFlag: "STRING", intFlag: "N", listFlag: "STRING"}[f.kind]
	if parts := strings.Split(f.usage, "`"); len(parts) == 3 {
		value = parts[1]
	}
	if value != "" {
		tag += " " + value
	}
	if f.alias != "" {
		tag = "-" + f.alias + ", " + tag
	}
	text = strings.ReplaceAll(f.usage, "`", "")
	if f.kind == listFlag {
		text += "; may be given several times"
	}
	return tag, text
}

const synopsis = "rt [global option...] <command> [option...] [argument...]"

func (c *command) synopsis() string {
	return strings.TrimSpace("rt [global option...] " + c.name + " [option...] " + c.args)
}

func helpCommand() command {
	return command{
		name:  "help",
		usage: "print the help of a command, or of rt",
		args:  "[command]",
		run: func(in *input) error {
			if len(in.args) == 0 {
				return printHelp(os.Stdout, nil)
			}
			c := findCommand(in.args[0])
			if c == nil {
				return usageError("", "%q is not a command", in.args[0])
			}
			return printHelp(os.Stdout, c)
		},
	}
}

// printHelp prints the help of a command, or of rt itself.
func printHelp(w io.Writer, c *command) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if c == nil {
		fmt.Fprintf(t, "rt %s: %s\n\nUsage: %s\n\n%s\n\n", version, summary, synopsis, description)
		fmt.Fprint(t, "To run a container from the bundle in ./mybundle:\n\n    rt run mybundle\n\nCommands:\n")
		for _, c := range commands() {
			fmt.Fprintf(t, "  %s\t%s\n", c.name, c.usage)
		}
	} else {
		fmt.Fprintf(t, "rt %s: %s\n\nUsage: %s\n", c.name, c.usage, c.synopsis())
		printFlags(t, "Options", append(c.flags, alwaysFlags(c.name)...))
	}
	global := globalFlags()
	if c == nil {
		global = append(global, alwaysFlags("")...)
	}
	printFlags(t, "Global options", global)
	return t.Flush()
}

func printFlags(w io.Writer, title string, flags []flag) {
	fmt.Fprintf(w, "\n%s:\n", title)
	for _, f := range flags {
		tag, text := f.shown()
		if f.value != "" {
			text += " (default: " + f.value + ")"
		}
		fmt.Fprintf(w, "  %s\t%s\n", tag, text)
	}
}
