package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/rtcontainers/rt/libcontainer"
	"github.com/sirupsen/logrus"
	"github.com/urfave/cli/v3"
)

func eventsCommand() command {
	return command{
		Command: cli.Command{
			Name:      "events",
			Usage:     "print a container's statistics and out-of-memory events as JSON",
			ArgsUsage: "<container-id>",
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "interval", Value: "5s", Usage: "print statistics every `DURATION`"},
				&cli.BoolFlag{Name: "stats", Usage: "print statistics once and exit"},
			},
		},
		run: func(in *input) error {
			id, err := in.oneID()
			if err != nil {
				return err
			}
			interval, err := time.ParseDuration(in.String("interval"))
			if err != nil || interval <= 0 {
				return fmt.Errorf("--interval: %q is not a duration such as 5s", in.String("interval"))
			}
			return withContainer(in, id, func(c *libcontainer.Container) error {
				p := &printer{out: json.NewEncoder(os.Stdout), id: id}
				if s := c.Status(); s == libcontainer.Stopped {
					return fmt.Errorf("container %q: %w: it is %s", id, libcontainer.ErrWrongState, s)
				}
				if in.Bool("stats") {
					return p.stats(c)
				}
				return p.follow(c, interval)
			})
		},
	}
}

// event is one line, as runc prints it.
type event struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Data any    `json:"data,omitempty"`
}

type printer struct {
	mu  sync.Mutex
	out *json.Encoder
	id  string
}

func (p *printer) print(kind string, data any) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Encode(event{kind, p.id, data})
}

func (p *printer) stats(c *libcontainer.Container) error {
	s, err := c.Stats()
	if err != nil {
		return err
	}
	return p.print("stats", s)
}

// follow prints until the container has stopped.
func (p *printer) follow(c *libcontainer.Container, interval time.Duration) error {
	stop, err := c.WatchOOM(func() { _ = p.print("oom", nil) })
	if err == nil {
		defer stop()
	} else if !errors.Is(err, os.ErrNotExist) {
		logrus.Warn("no memory events: ", err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- c.WaitStopped() }()
	ticks := time.NewTicker(interval)
	defer ticks.Stop()
	for {
		select {
		case err := <-stopped:
			return err
		case <-ticks.C:
			if err := p.stats(c); err != nil {
				logrus.Warn(err)
			}
		}
	}
}
