// Guest boots whole Linux systems in QEMU and runs a job in each:
//
//	go run ./tests/guest [-dir DIR] [-timeout DURATION] [-run REGEXP] JOB...
//
// DIR has the system (tests/guest/image) and the disk with the jobs
// (tests/guest/payload). The jobs are those of the script tests/guest/job. Each
// has a system of its own, started from the same unchanged disk. As many run at
// once as there are processors.
//
// The console of each is printed as it comes. A job decides by its last line,
// "guest: PASS": a crash and a lack of time are failures. A machine that gives no sign
// of life is started again, once.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"
)

func main() {
	dir := flag.String("dir", "bin/guest", "the directory with the system and the disk with the jobs")
	timeout := flag.Duration("timeout", 40*time.Minute, "end a guest after this time")
	only := flag.String("run", "", "run only the tests that match this `expression`, which must not contain spaces")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, guest{*dir, *only, *timeout}, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		os.Exit(1)
	}
}

// run runs the jobs and prints one line for each at the end.
func run(ctx context.Context, g guest, jobs []string) error {
	if len(jobs) == 0 {
		return errors.New("no jobs: name those to run, see tests/guest/job")
	}
	errs := make([]error, len(jobs))
	took := make([]time.Duration, len(jobs))
	slots := make(chan struct{}, runtime.NumCPU())
	var wg sync.WaitGroup
	for i, job := range jobs {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			began := time.Now()
			errs[i] = g.runJob(ctx, job)
			took[i] = time.Since(began).Round(time.Second)
		})
	}
	wg.Wait()
	for i, job := range jobs {
		verdict := "passed"
		if errs[i] != nil {
			verdict = "FAILED: " + errs[i].Error()
		}
		fmt.Printf("guest %s: %s (%v)\n", job, verdict, took[i])
	}
	if err := errors.Join(errs...); err != nil {
		return errors.New("not all jobs passed")
	}
	return nil
}
