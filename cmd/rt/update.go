package main

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer"
	"github.com/rtcontainers/rt/spec"
	"github.com/sirupsen/logrus"
	"github.com/urfave/cli/v3"
)

// limit is a flag of update and the field that it sets.
type limit struct {
	flag, usage string
	set         func(l *specs.Linux, value string) error
}

var limits = []limit{
	{"blkio-weight", "set the `WEIGHT` of block I/O, 10 to 1000", func(l *specs.Linux, s string) error {
		r := l.Resources
		if r.BlockIO == nil {
			r.BlockIO = new(specs.LinuxBlockIO)
		}
		return number(s, &r.BlockIO.Weight)
	}},
	{"cpu-period", "set the period of --cpu-quota in `MICROSECONDS`", func(l *specs.Linux, s string) error { return number(s, &cpu(l).Period) }},
	{"cpu-quota", "limit CPU time to `MICROSECONDS` in each period", func(l *specs.Linux, s string) error { return number(s, &cpu(l).Quota) }},
	{"cpu-burst", "let the container save up `MICROSECONDS` of unused CPU time", func(l *specs.Linux, s string) error { return number(s, &cpu(l).Burst) }},
	{"cpu-share", "set `SHARES` of CPU time, relative to other containers", func(l *specs.Linux, s string) error { return number(s, &cpu(l).Shares) }},
	{"cpu-rt-period", "set the period of --cpu-rt-runtime in `MICROSECONDS`", func(l *specs.Linux, s string) error { return number(s, &cpu(l).RealtimePeriod) }},
	{"cpu-rt-runtime", "limit realtime CPU time to `MICROSECONDS` in each period", func(l *specs.Linux, s string) error { return number(s, &cpu(l).RealtimeRuntime) }},
	{"cpu-idle", "`1`: run only when nothing else does; 0: as usual", func(l *specs.Linux, s string) error { return number(s, &cpu(l).Idle) }},
	{"cpuset-cpus", "run only on the CPUs in `LIST`, such as 0-3,6", func(l *specs.Linux, s string) error { cpu(l).Cpus = s; return nil }},
	{"cpuset-mems", "use only the memory nodes in `LIST`", func(l *specs.Linux, s string) error { cpu(l).Mems = s; return nil }},
	{"memory", "limit memory to `BYTES`, or such as 64m or 1g; -1 removes the limit", func(l *specs.Linux, s string) error { return size(s, &memory(l).Limit) }},
	{"memory-reservation", "set the soft memory limit to `BYTES`", func(l *specs.Linux, s string) error { return size(s, &memory(l).Reservation) }},
	{"memory-swap", "limit memory plus swap to `BYTES`; -1 removes the limit", func(l *specs.Linux, s string) error { return size(s, &memory(l).Swap) }},
	{"kernel-memory", "ignored: the kernel no longer limits kernel memory (`BYTES`)", ignoredLimit("kernel-memory")},
	{"kernel-memory-tcp", "ignored, as by runc: limit of socket memory (`BYTES`)", ignoredLimit("kernel-memory-tcp")},
	{"pids-limit", "limit the number of processes and threads to `N`; -1 removes the limit", func(l *specs.Linux, s string) error {
		r := l.Resources
		if r.Pids == nil {
			r.Pids = new(specs.LinuxPids)
		}
		return number(s, &r.Pids.Limit)
	}},
	{"l3-cache-schema", "set the L3 cache `SCHEMA` of the Intel RDT class", func(l *specs.Linux, s string) error { rdt(l).L3CacheSchema = s; return nil }},
	{"mem-bw-schema", "set the memory bandwidth `SCHEMA` of the Intel RDT class", func(l *specs.Linux, s string) error { rdt(l).MemBwSchema = s; return nil }},
}

// limitGroup is the group of a flag in the help.
func limitGroup(flag string) string {
	switch {
	case strings.HasPrefix(flag, "cpu"):
		return "CPU"
	case strings.Contains(flag, "memory"):
		return "Memory"
	case strings.HasSuffix(flag, "schema"):
		return "Intel RDT"
	}
	return "Other limits"
}

func ignoredLimit(name string) func(*specs.Linux, string) error {
	return func(*specs.Linux, string) error {
		logrus.Warnf("--%s is ignored", name)
		return nil
	}
}

func rdt(l *specs.Linux) *specs.LinuxIntelRdt {
	if l.IntelRdt == nil {
		l.IntelRdt = new(specs.LinuxIntelRdt)
	}
	return l.IntelRdt
}

func cpu(l *specs.Linux) *specs.LinuxCPU {
	r := l.Resources
	if r.CPU == nil {
		r.CPU = new(specs.LinuxCPU)
	}
	return r.CPU
}

func memory(l *specs.Linux) *specs.LinuxMemory {
	r := l.Resources
	if r.Memory == nil {
		r.Memory = new(specs.LinuxMemory)
	}
	return r.Memory
}

// number reads a whole number of the field's type.
func number[T int64 | uint64 | uint16](s string, to **T) error {
	n, err := strconv.ParseInt(s, 10, 64)
	v := T(n)
	if u, uerr := strconv.ParseUint(s, 10, 64); err != nil && uerr == nil {
		v, err = T(u), nil
		n = int64(u)
	}
	var zero T
	if err != nil || int64(v) != n || strings.HasPrefix(s, "-") && zero-1 > zero {
		return fmt.Errorf("%q is not a number in the range of this limit", s)
	}
	*to = &v
	return nil
}

// size reads a number of bytes with an optional unit, k, m, g, t, p: powers of 1024. As
// with runc, there may be a space before the unit, and parts: 1.5g.
func size(s string, to **int64) error {
	text := strings.TrimSuffix(strings.ToLower(s), "b")
	shift := 0
	for i, unit := range []string{"k", "m", "g", "t", "p"} {
		if t, ok := strings.CutSuffix(strings.TrimSuffix(text, "i"), unit); ok {
			text, shift = strings.TrimRight(t, " "), 10*(i+1)
		}
	}
	if whole, parts, ok := strings.Cut(text, "."); ok && shift > 0 && whole != "" && strings.Trim(whole+parts, "0123456789") == "" {
		if f, err := strconv.ParseFloat(text, 64); err == nil && f < float64(int64(math.MaxInt64)>>shift) {
			n := int64(f * float64(int64(1)<<shift))
			*to = &n
			return nil
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < -1 || n < 0 && shift > 0 || n > math.MaxInt64>>shift {
		return fmt.Errorf("%q is not a size such as 512m, or -1", s)
	}
	if n > 0 {
		n <<= shift
	}
	*to = &n
	return nil
}

func updateCommand() command {
	flags := []cli.Flag{&cli.StringFlag{Name: "resources", Aliases: []string{"r"}, Usage: "read the limits from `FILE`, which has the form of linux.resources in config.json; - is standard input. Other flags are ignored"}}
	for _, l := range limits {
		flags = append(flags, &cli.StringFlag{Name: l.flag, Usage: l.usage, Category: limitGroup(l.flag)})
	}
	return command{
		Command: cli.Command{
			Name: "update", Usage: "change the resource limits of a container", ArgsUsage: "<container-id>", Flags: flags,
			Description: `Example:
   rt update --memory 512m --pids-limit 100 box`,
		},
		run: func(in *input) error {
			id, err := in.oneID()
			if err != nil {
				return err
			}
			change, err := changes(in)
			if err != nil {
				return err
			}
			return withContainer(in, id, func(c *libcontainer.Container) error { return c.Update(change) })
		},
	}
}

// changes are the changes of the command line.
func changes(in *input) (func(*specs.Linux) error, error) {
	if name := in.String("resources"); name != "" {
		return fromFile(name)
	}
	return func(l *specs.Linux) error {
		for _, limit := range limits {
			value := in.String(limit.flag)
			if value == "" {
				continue
			}
			if err := limit.set(l, value); err != nil {
				return fmt.Errorf("--%s: %w", limit.flag, err)
			}
		}
		return nil
	}, nil
}

func fromFile(name string) (func(*specs.Linux) error, error) {
	data, err := readDocument(name)
	if err != nil {
		return nil, fmt.Errorf("--resources: %w", err)
	}
	return func(l *specs.Linux) error {
		remarks, err := spec.ParseResources(data, l.Resources)
		if err != nil {
			return fmt.Errorf("--resources: %s: %w", name, err)
		}
		logRemarks(name, remarks)
		return nil
	}, nil
}

// readDocument reads a file, or the standard input for -.
func readDocument(name string) ([]byte, error) {
	if name == "-" {
		return spec.ReadDocument(int(os.Stdin.Fd()), "the standard input")
	}
	return spec.LoadDocument(name)
}
