package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rtcontainers/rt/tests/bench/machine"
)

// versionTimeout is for `RUNTIME --version`.
const versionTimeout = 10 * time.Second

// report is a comparison's result.
type report struct {
	Date    time.Time
	Kernel  string
	CPUs    int
	CPU     string
	Machine machine.Kind
	// Load is the load average of the last minute, before the first measurement.
	Load    float64
	Runs    int
	Warmup  int
	Seed    uint64
	Seccomp bool

	Competitors []identity
	Views       []viewResult
}

// identity says which build of a competitor ran.
type identity struct {
	competitor
	Version string
	Bytes   int64
}

func newReport(ctx context.Context, opts *options) (*report, error) {
	r := &report{
		Date: time.Now().UTC().Truncate(time.Second), Kernel: kernel(), CPUs: runtime.NumCPU(), CPU: cpuModel(),
		Runs: opts.runs, Warmup: opts.warmup, Seed: opts.seed, Seccomp: opts.seccomp,
	}
	for _, c := range opts.competitors {
		id, err := identify(ctx, c)
		if err != nil {
			return nil, err
		}
		r.Competitors = append(r.Competitors, id)
	}
	var err error
	if r.Load, err = loadAverage(); err != nil {
		return nil, err
	}
	r.Machine, err = machine.Measure()
	return r, err
}

func identify(ctx context.Context, c competitor) (identity, error) {
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	output, err := exec.CommandContext(ctx, c.Path, "--version").CombinedOutput()
	if err != nil {
		return identity{}, fmt.Errorf("%s --version: %w\n%s", c.Path, err, output)
	}
	info, err := os.Stat(c.Path)
	if err != nil {
		return identity{}, err
	}
	version, _, _ := strings.Cut(string(output), "\n")
	return identity{competitor: c, Version: version, Bytes: info.Size()}, nil
}

// loadAverage is the first number of proc_loadavg(5).
func loadAverage() (float64, error) {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), " ")
	return strconv.ParseFloat(first, 64)
}

func kernel() string {
	var name syscall.Utsname
	if syscall.Uname(&name) != nil {
		return "unknown"
	}
	var release []byte
	for _, c := range name.Release {
		if c == 0 {
			break
		}
		release = append(release, byte(c))
	}
	return string(release)
}

func cpuModel() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range bytes.Lines(text) {
		key, value, _ := strings.Cut(string(line), ":")
		if strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// ratio compares rt's samples of a series with a peer's.
func (r *report) ratio(view, series, peer string) (ratio, error) {
	i := slices.IndexFunc(r.Views, func(v viewResult) bool { return v.View == view })
	if i < 0 {
		return ratio{}, fmt.Errorf("view %q was not measured", view)
	}
	j := slices.IndexFunc(r.Views[i].Series, func(s seriesResult) bool { return s.Name == series })
	if j < 0 {
		return ratio{}, fmt.Errorf("case %q was not measured", series)
	}
	return r.Views[i].Series[j].ratio(peer, r.Seed)
}

func (s *seriesResult) ratio(peer string, seed uint64) (ratio, error) {
	ours, theirs := s.Samples[contender], s.Samples[peer]
	if len(ours) == 0 || len(ours) != len(theirs) {
		return ratio{}, fmt.Errorf("peer %q was not measured", peer)
	}
	return medianRatio(ours, theirs, seed), nil
}
