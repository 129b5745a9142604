package main

import (
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer"
	"github.com/rtcontainers/rt/spec"
	"github.com/urfave/cli/v3"
)

func mountsCommand() command {
	return command{
		Command: cli.Command{
			Name:      "mounts",
			Usage:     "add mounts to a container, or remove them",
			ArgsUsage: "<add | remove> <container-id> <file>",
			Description: `The file is a JSON array of the form of mounts in config.json; - is standard input. To
remove a mount, its destination is enough.

Example:
   echo '[{"destination": "/data", "source": "/srv/data", "options": ["rbind", "ro"]}]' |
      rt mounts add box -`,
		},
		run: func(in *input) error {
			if n := len(in.args); n != 3 {
				return usageError(in.Name, "needs add or remove, a container id and a file, not %d arguments", n)
			}
			change := map[string]func(*libcontainer.Container, []specs.Mount) error{"add": addMounts, "remove": (*libcontainer.Container).RemoveMounts}[in.args[0]]
			if change == nil {
				return usageError(in.Name, "%q is not one of add, remove", in.args[0])
			}
			return withContainer(in, in.args[1], func(c *libcontainer.Container) error {
				list, err := readMounts(in.args[2])
				if err != nil {
					return err
				}
				return change(c, list)
			})
		},
	}
}

func addMounts(c *libcontainer.Container, list []specs.Mount) error {
	return c.AddMounts(list, logger())
}

func readMounts(name string) ([]specs.Mount, error) {
	data, err := readDocument(name)
	if err != nil {
		return nil, fmt.Errorf("mounts: %w", err)
	}
	list, remarks, err := spec.ParseMounts(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	logRemarks(name, remarks)
	return list, nil
}
