package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/rtcontainers/rt/libcontainer"
	"github.com/urfave/cli/v3"
)

func pauseCommand() command {
	return simple("pause", "suspend all processes of a container", (*libcontainer.Container).Pause)
}

func resumeCommand() command {
	return simple("resume", "resume the processes of a paused container", (*libcontainer.Container).Resume)
}

// simple is a command that does one thing to one container.
func simple(name, usage string, do func(*libcontainer.Container) error) command {
	return command{
		Command: cli.Command{
			Name: name, Usage: usage, ArgsUsage: "<container-id>",
		},
		run: func(in *input) error {
			id, err := in.oneID()
			if err != nil {
				return err
			}
			return withContainer(in, id, do)
		},
	}
}

func psCommand() command {
	return command{
		Command: cli.Command{
			Name:      "ps",
			Usage:     "list the processes of a container",
			ArgsUsage: "<container-id> [ps options...]",
			Description: `Example:
   rt ps box -o pid,stat,args`,
			StopOnNthArg: &first,
			Flags:        []cli.Flag{&cli.StringFlag{Name: "format", Aliases: []string{"f"}, Value: "table", Usage: "print the list as `FORMAT`: table or json"}},
		},
		run: func(in *input) error {
			if len(in.args) == 0 {
				return errors.New("ps: needs a container id")
			}
			return withContainer(in, in.args[0], func(c *libcontainer.Container) error {
				pids, err := c.Pids()
				if err != nil {
					return err
				}
				switch format := in.String("format"); format {
				case "json":
					return json.NewEncoder(os.Stdout).Encode(append([]int{}, pids...))
				case "table":
					return printProcesses(pids, in.args[1:])
				default:
					return fmt.Errorf("--format: %q is not one of table, json", format)
				}
			})
		},
	}
}

// printProcesses shows the container's lines of the output of the host's ps(1).
func printProcesses(pids []int, options []string) error {
	if len(options) == 0 {
		options = []string{"-ef"}
	}
	out, err := exec.Command("ps", options...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ps %s: %w: %s", strings.Join(options, " "), err, bytes.TrimSpace(out))
	}
	lines := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
	column := -1
	for i, name := range strings.Fields(lines[0]) {
		if name == "PID" {
			column = i
		}
	}
	if column < 0 {
		return fmt.Errorf("ps %s: its output has no column PID", strings.Join(options, " "))
	}
	fmt.Println(lines[0])
	wanted := map[string]bool{}
	for _, pid := range pids {
		wanted[strconv.Itoa(pid)] = true
	}
	for _, line := range lines[1:] {
		if f := strings.Fields(line); len(f) > column && wanted[f[column]] {
			fmt.Println(line)
		}
	}
	return nil
}
