package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer"
	"github.com/sirupsen/logrus"
	"github.com/urfave/cli/v3"
)

// containerState is the state document as runc prints it: the specification's, with some
// more fields.
type containerState struct {
	Version     string               `json:"ociVersion"`
	ID          string               `json:"id"`
	Pid         int                  `json:"pid"`
	Status      specs.ContainerState `json:"status"`
	Bundle      string               `json:"bundle"`
	Rootfs      string               `json:"rootfs"`
	Created     time.Time            `json:"created"`
	Annotations map[string]string    `json:"annotations,omitempty"`
	Owner       string               `json:"owner"`
	// Scope is the container's systemd unit, as in crun.
	Scope string `json:"systemd-scope,omitempty"`
}

func describe(c *libcontainer.Container) containerState {
	s := c.State()
	return containerState{
		Version: s.Version, ID: s.ID, Pid: s.Pid, Status: s.Status, Bundle: s.Bundle, Rootfs: c.Rootfs(),
		Created: c.Created(), Annotations: s.Annotations, Owner: userName(c.OwnerUID()), Scope: c.SystemdScope(),
	}
}

func userName(uid int) string {
	id := strconv.Itoa(uid)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "#" + id
}

func stateCommand() command {
	return command{
		Command: cli.Command{
			Name:      "state",
			Usage:     "print a container's state as JSON",
			ArgsUsage: "<container-id>",
		},
		run: func(in *input) error {
			id, err := in.oneID()
			if err != nil {
				return err
			}
			return withContainer(in, id, func(c *libcontainer.Container) error {
				return printJSON(describe(c))
			})
		},
	}
}

func printJSON(v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Println(string(data))
	return err
}

func listCommand() command {
	return command{
		Command: cli.Command{
			Name:  "list",
			Usage: "list containers",
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "format", Aliases: []string{"f"}, Value: "table", Usage: "print the list as `FORMAT`: table or json"},
				&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print only container ids"},
			},
		},
		run: func(in *input) error {
			if len(in.args) > 0 {
				return fmt.Errorf("list: takes no arguments, but got %q", in.args[0])
			}
			states, err := describeAll(in.String("root"))
			if err != nil && len(states) == 0 {
				return err
			}
			if err != nil {
				logrus.Warn(err)
			}
			if in.Bool("quiet") {
				for _, s := range states {
					fmt.Println(s.ID)
				}
				return nil
			}
			switch format := in.String("format"); format {
			case "table":
				return printTable(states)
			case "json":
				return json.NewEncoder(os.Stdout).Encode(states)
			default:
				return fmt.Errorf("--format: %q is not one of table, json", format)
			}
		},
	}
}

// describeAll describes the containers, in the order of their names.
func describeAll(root string) ([]containerState, error) {
	var mutex sync.Mutex
	states := []containerState{}
	err := libcontainer.Each(root, func(c *libcontainer.Container) {
		s := describe(c)
		mutex.Lock()
		defer mutex.Unlock()
		states = append(states, s)
	})
	slices.SortFunc(states, func(a, b containerState) int { return strings.Compare(a.ID, b.ID) })
	return states, err
}

func printTable(states []containerState) error {
	// The writer of tables writes each cell, and the space beside it, by itself.
	out := bufio.NewWriter(os.Stdout)
	w := tabwriter.NewWriter(out, 12, 1, 3, ' ', 0)
	fmt.Fprint(w, "ID\tPID\tSTATUS\tBUNDLE\tCREATED\tOWNER\n")
	for _, s := range states {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\n", s.ID, s.Pid, s.Status, s.Bundle, s.Created.Format(time.RFC3339Nano), s.Owner)
	}
	return errors.Join(w.Flush(), out.Flush())
}
