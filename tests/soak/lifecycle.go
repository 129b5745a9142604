package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/spec"
)

// lifecycle is a container's life, drawn from the seed and its number.
type lifecycle struct {
	*place
	w    *world
	k    int
	rng  *rand.Rand
	id   string
	spec *specs.Spec
	// drawn are the names of what was chosen, for reports.
	drawn []string
	// flags are those of create and run.
	flags []string
	// refused is a part of the message if the configuration is wrong. early says that create
	// refuses it, not start.
	refused string
	early   bool
	script  script
	cgroup  string

	// files is the bundle before the container.
	files   []string
	console *console
	// pid is the container's process, 0 if it is not known. reaped says that it was waited for.
	pid    int
	reaped bool
	status syscall.WaitStatus
	// killed says that rt was, by SIGKILL.
	killed bool
	// began is the number of processes that had ended before.
	began int
	log   strings.Builder
}

// lifecycle lives one. The error has what was drawn, and how to do it again.
func (w *world) lifecycle(ctx context.Context, k int, p *place) error {
	l := &lifecycle{place: p, w: w, k: k, rng: rand.New(rand.NewPCG(w.seed, uint64(k))), id: fmt.Sprintf("%s-%d", w.prefix, k), began: w.reaped.now()}
	manner := l.draw()
	err := l.write()
	if err == nil {
		err = manner.live(l, ctx)
	}
	if l.console != nil {
		l.console.close()
	}
	// What else is wrong is of interest only if this is not.
	if err == nil {
		err = l.checkOwn()
	}
	err = errors.Join(err, l.clear())
	if w.verbose {
		fmt.Printf("lifecycle %d: %s\n%s", k, strings.Join(l.drawn, ", "), l.log.String())
	}
	if err != nil {
		return fmt.Errorf("lifecycle %d (%s): %w\n%sagain: %s", k, strings.Join(l.drawn, ", "), err, l.log.String(), w.replay(k))
	}
	w.counts.add(l.drawn)
	return nil
}

// draw chooses everything. It asks nothing but the generator, and whether the machine has controllers.
func (l *lifecycle) draw() manner {
	l.plain()
	m := manners[l.weighted(len(manners), func(i int) int { return manners[i].weight })]
	l.drawn = append(l.drawn, m.name)
	l.act(scripts[l.rng.IntN(len(scripts))])
	if m.script != "" {
		l.act(scriptOf(m.script))
	}
	l.drawn = append(l.drawn, l.script.name)
	for _, f := range features {
		// The generator is asked in any case, so that a feature does not change the others' luck.
		if chosen := l.rng.Float64() < f.chance; chosen && (f.possible == nil || f.possible(l, m)) {
			f.apply(l)
			l.drawn = append(l.drawn, f.name)
		}
	}
	if m.wrong {
		fault := wrongs[l.rng.IntN(len(wrongs))]
		fault.apply(l)
		l.refused, l.early = fault.refused, fault.early
		l.drawn = append(l.drawn, "wrong: "+fault.name)
	}
	return m
}

// plain is the configuration before anything is drawn.
func (l *lifecycle) plain() {
	l.spec = spec.Default()
	l.spec.Process.Terminal = false
	l.spec.Process.Rlimits = nil
	l.spec.Root.Readonly = false
	l.cgroup = "/" + l.id
	l.act(scripts[0])
}

func (l *lifecycle) act(s script) {
	l.script = s
	l.spec.Process.Args = []string{"/bin/sh", "-c", strings.ReplaceAll(s.text, "ID", l.id)}
}

func (l *lifecycle) weighted(n int, weight func(i int) int) int {
	sum := 0
	for i := range n {
		sum += weight(i)
	}
	at := l.rng.IntN(sum)
	for i := range n {
		if at -= weight(i); at < 0 {
			return i
		}
	}
	return n - 1
}

func (l *lifecycle) chance(p float64) bool { return l.rng.Float64() < p }

// write writes the configuration, unless a wrong one is there already.
func (l *lifecycle) write() (err error) {
	if path := filepath.Join(l.bundle, "config.json"); !exists(path) {
		data, err := json.Marshal(l.spec)
		if err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
	}
	l.files, err = l.listing()
	return err
}

// clear removes the lifecycle's own files.
func (l *lifecycle) clear() error {
	err := os.Remove(filepath.Join(l.bundle, "config.json"))
	for _, name := range []string{l.pidFile(), l.logFile(), l.outFile(), l.errFile(), l.processFile()} {
		if removed := os.Remove(name); removed != nil && !errors.Is(removed, os.ErrNotExist) {
			err = errors.Join(err, removed)
		}
	}
	if l.killed {
		// An rt that is killed may leave the file that it writes before it has its name.
		_ = os.Remove(filepath.Join(l.dir, ".pid"))
	}
	return err
}

func (l *lifecycle) pidFile() string     { return filepath.Join(l.dir, "pid") }
func (l *lifecycle) logFile() string     { return filepath.Join(l.dir, "log") }
func (l *lifecycle) outFile() string     { return filepath.Join(l.dir, "stdout") }
func (l *lifecycle) errFile() string     { return filepath.Join(l.dir, "stderr") }
func (l *lifecycle) processFile() string { return filepath.Join(l.dir, "process.json") }

// reap waits, but not long, for the end of the container's process.
func (l *lifecycle) reap() bool {
	if l.pid > 0 && !l.reaped {
		l.status, l.reaped = l.w.reaped.await(l.pid, l.began)
		return l.reaped
	}
	return true
}

// counts say how often each thing was drawn.
type counts struct {
	mutex *sync.Mutex
	of    map[string]int
}

func newCounts() counts { return counts{new(sync.Mutex), map[string]int{}} }

func (c counts) add(names []string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for _, name := range names {
		c.of[name]++
	}
}

func (c counts) print(w io.Writer) {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(c.of)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, c.of[name]))
	}
	fmt.Fprintf(w, "drawn: %s\n", strings.Join(parts, ", "))
}
