// Soak makes thousands of containers with random features, in the ways in which engines, people and
// programs do, harms some of them, and looks whether anything is left.
//
//	tests/view hybrid bin/soak -rt PATH [-lifecycles 20000] [-seed 1] [-only K]
//
// A lifecycle is drawn from the seed and its number alone: `-seed N -only K` does the same again.
// Some are of the command line, the others of libcontainer in this process, which must hold as much
// at the end as near the beginning.
//
// Soak runs in a mount namespace of its own with an empty /run and /tmp, so that every
// file that appears there is rt's. After each lifecycle there must be no state, cgroup or process of
// it, and its bundle must be as before. After each batch nothing else runs, and then mounts,
// processes, cgroups, files and descriptors must be those of the beginning.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type options struct {
	rt, tests  string
	lifecycles int
	seed       uint64
	only       int
	workers    int
	batch      int
	atMost     time.Duration
	verbose    bool
	inside     bool
}

func main() {
	var o options
	flag.StringVar(&o.rt, "rt", "bin/rt", "`path` of rt")
	flag.StringVar(&o.tests, "tests", "tests", "`directory` of the tests")
	flag.IntVar(&o.lifecycles, "lifecycles", 20000, "`number` of lifecycles")
	flag.Uint64Var(&o.seed, "seed", 1, "`seed` of everything that is random")
	flag.IntVar(&o.only, "only", -1, "only lifecycle `K`")
	flag.IntVar(&o.workers, "workers", 2, "`number` of lifecycles at once")
	flag.IntVar(&o.batch, "batch", 200, "`number` of lifecycles after which everything is checked")
	flag.DurationVar(&o.atMost, "at-most", 0, "begin no batch after this `time`; 0: no limit")
	flag.BoolVar(&o.verbose, "v", false, "print every lifecycle and command")
	flag.BoolVar(&o.inside, "inside", false, "for soak itself")
	flag.Parse()
	if !o.inside {
		code, err := outer()
		if err != nil {
			fmt.Fprintln(os.Stderr, "soak:", err)
			code = 1
		}
		os.Exit(code)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// progress is after how many lifecycles soak says how far it is.
const progress = 2000

func run(ctx context.Context, o options) (err error) {
	if o.rt, err = filepath.Abs(o.rt); err != nil {
		return err
	}
	w, err := newWorld(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	if o.only >= 0 {
		// What is opened once is open after the first time.
		if err := w.lifecycle(ctx, o.only, w.places[0]); err != nil {
			return err
		}
		if w.before, err = w.look(); err != nil {
			return err
		}
		if err := w.batch(ctx, o.only, o.only+1); err != nil {
			return err
		}
		fmt.Println("soak: lifecycle", o.only, "leaves nothing")
		return nil
	}
	began, done := time.Now(), 0
	for done < o.lifecycles && (o.atMost == 0 || time.Since(began) < o.atMost) {
		next := min(done+o.batch, o.lifecycles)
		if err := w.batch(ctx, done, next); err != nil {
			return fmt.Errorf("lifecycles %d to %d: %w", done, next-1, err)
		}
		done = next
		if err := w.flat(done, o.lifecycles); err != nil {
			return err
		}
		if done%progress == 0 && done < o.lifecycles {
			fmt.Fprintf(os.Stderr, "soak: %d of %d lifecycles in %v\n", done, o.lifecycles, time.Since(began).Round(time.Second))
		}
	}
	fmt.Printf("soak: seed %d, %d lifecycles in %v: no leak, no unexplained failure\n", o.seed, done, time.Since(began).Round(time.Second))
	w.counts.print(os.Stdout)
	fmt.Printf("this process, a user of the library: %v after %d lifecycles, %v at the end\n", w.first, w.firstAt, w.last)
	return nil
}

// batch runs lifecycles, several at once, and checks everything when they have ended.
func (w *world) batch(ctx context.Context, from, to int) error {
	var next atomic.Int64
	next.Store(int64(from))
	failed := make([]error, w.workers)
	var workers sync.WaitGroup
	for i := range w.workers {
		workers.Go(func() {
			for k := int(next.Add(1)) - 1; k < to && failed[i] == nil; k = int(next.Add(1)) - 1 {
				if failed[i] = context.Cause(ctx); failed[i] == nil {
					failed[i] = w.lifecycle(ctx, k, w.places[i])
				}
			}
		})
	}
	workers.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	return w.check()
}

// replay is the command that does a lifecycle again.
func (w *world) replay(k int) string {
	return fmt.Sprintf("tests/view %s bin/soak -rt %s -seed %d -only %d -v", w.view, w.rt, w.seed, k)
}
