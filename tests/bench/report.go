package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/rtcontainers/rt/tests/bench/bars"
	"github.com/rtcontainers/rt/tests/bench/machine"
	"github.com/rtcontainers/rt/tests/bench/stats"
)

// versionTimeout is for `RUNTIME --version`.
const versionTimeout = 10 * time.Second

// report is a comparison's result.
type report struct {
	Date time.Time
	machine.Host
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
		Date: time.Now().UTC().Truncate(time.Second),
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
	r.Host, err = machine.MeasureHost()
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

// ratio compares rt's samples of a series with a peer's.
func (r *report) ratio(view, series, peer string) (stats.Ratio, error) {
	i := slices.IndexFunc(r.Views, func(v viewResult) bool { return v.View == view })
	if i < 0 {
		return stats.Ratio{}, fmt.Errorf("view %q was not measured", view)
	}
	j := slices.IndexFunc(r.Views[i].Series, func(s seriesResult) bool { return s.Name == series })
	if j < 0 {
		return stats.Ratio{}, fmt.Errorf("case %q was not measured", series)
	}
	return r.Views[i].Series[j].ratio(peer, r.Seed)
}

func (r *report) barRatio(b bars.Bar) (stats.Ratio, error) { return r.ratio(b.Of, b.Series, b.Peer) }

func (s *seriesResult) ratio(peer string, seed uint64) (stats.Ratio, error) {
	ours, theirs := s.Samples[contender], s.Samples[peer]
	if len(ours) == 0 || len(ours) != len(theirs) {
		return stats.Ratio{}, fmt.Errorf("peer %q was not measured", peer)
	}
	return stats.MedianRatio(ours, theirs, seed), nil
}
