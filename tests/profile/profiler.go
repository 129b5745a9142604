package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/spec"
)

// profiler runs commands and keeps their traces.
type profiler struct {
	dir  string
	runs int
	// runtimes are the paths of rt, crun and runc.
	runtimes []string
}

// profile is what was measured of one thing.
type profile struct {
	name string
	// runs are the traces of rt, each with what was measured around it.
	runs [][]span
	// totals are the times of each runtime, by its name.
	totals map[string][]time.Duration
}

// warmup are rounds before the measured ones.
const warmup = 3

func (p *profiler) all() ([]*profile, error) {
	if err := p.bundles(); err != nil {
		return nil, err
	}
	run, err := p.commands("rt run", func(runtime, bundle string) []string {
		return []string{"run", "--bundle", bundle, id(runtime)}
	})
	if err != nil {
		return nil, err
	}
	exec, err := p.exec()
	if err != nil {
		return nil, err
	}
	pod, err := p.pods()
	return []*profile{run, exec, pod}, err
}

func id(runtime string) string {
	return fmt.Sprintf("rt-profile-%d-%s", os.Getpid(), filepath.Base(runtime))
}

// bundles makes a bundle for each runtime, with rt's default configuration and busybox.
func (p *profiler) bundles() error {
	for _, r := range p.runtimes {
		bin := filepath.Join(p.bundle(r), "rootfs", "bin")
		if err := os.MkdirAll(bin, 0o755); err != nil {
			return err
		}
		data, err := os.ReadFile("/bin/busybox")
		if err != nil {
			return fmt.Errorf("a static busybox is needed: %w", err)
		}
		for _, name := range []string{"true", "sleep"} {
			if err := os.WriteFile(filepath.Join(bin, name), data, 0o755); err != nil {
				return err
			}
		}
		if err := writeConfiguration(p.bundle(r), configuration("/bin/true")); err != nil {
			return err
		}
	}
	return nil
}

func (p *profiler) bundle(runtime string) string { return filepath.Join(p.dir, filepath.Base(runtime)) }

// configuration is one that all runtimes accept.
func configuration(args ...string) *specs.Spec {
	s := spec.Default()
	s.Version = "1.0.2"
	s.Process.Terminal, s.Process.Args = false, args
	s.Linux.Resources = nil // crun cannot load a filter of devices on each machine
	return s
}

func writeConfiguration(bundle string, s *specs.Spec) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(bundle, "config.json"), data, 0o644)
}

func (p *profiler) traceFile() string { return filepath.Join(p.dir, "trace.json") }

// commands measures a command of all runtimes.
func (p *profiler) commands(name string, args func(runtime, bundle string) []string) (*profile, error) {
	result := &profile{name: name, totals: map[string][]time.Duration{}}
	for round := range warmup + p.runs {
		for _, i := range rand.Perm(len(p.runtimes)) {
			runtime := p.runtimes[i]
			argv := args(runtime, p.bundle(runtime))
			if i == 0 {
				argv = append([]string{"--trace", p.traceFile()}, argv...)
			}
			began := monotonic()
			if err := p.call(runtime, argv...); err != nil {
				return nil, err
			}
			ended := monotonic()
			if round < warmup {
				continue
			}
			who := filepath.Base(runtime)
			result.totals[who] = append(result.totals[who], ended-began)
			if i == 0 {
				spans, err := readTrace(p.traceFile())
				if err != nil {
					return nil, err
				}
				result.runs = append(result.runs, around(spans, began, ended))
			}
		}
	}
	return result, nil
}

// around adds what rt cannot see: how the kernel starts it, and what follows its trace.
func around(spans []span, began, ended time.Duration) []span {
	first := slices.MinFunc(spans, func(a, b span) int { return cmp.Compare(a.begin, b.begin) }).begin
	last := slices.MaxFunc(spans, func(a, b span) int { return cmp.Compare(a.end, b.end) }).end
	spans = slices.DeleteFunc(spans, func(s span) bool { return strings.HasPrefix(s.name, "rt ") })
	return append(spans,
		span{"rt", "the kernel starts rt (clone, execve)", "", began, first},
		span{"rt", "wait for the process, clean up, end", "", last, ended})
}

// call runs a command of a runtime.
func (p *profiler) call(runtime string, args ...string) error {
	cmd := exec.Command(runtime, append([]string{"--root", filepath.Join(p.dir, "state-"+filepath.Base(runtime))}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if slices.Contains(args, "--detach") || args[0] == "create" {
		cmd.Stderr = nil // the container keeps it open
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", cmd, err, stderr.String())
	}
	return nil
}

// exec measures exec in a container that sleeps.
func (p *profiler) exec() (*profile, error) {
	for _, r := range p.runtimes {
		if err := writeConfiguration(p.bundle(r), configuration("/bin/sleep", "1000")); err != nil {
			return nil, err
		}
		if err := p.call(r, "run", "--detach", "--bundle", p.bundle(r), id(r)); err != nil {
			return nil, err
		}
		defer func() { _ = p.call(r, "delete", "--force", id(r)) }()
	}
	return p.commands("rt exec", func(runtime, _ string) []string { return []string{"exec", id(runtime), "/bin/true"} })
}
