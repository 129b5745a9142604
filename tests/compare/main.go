// Command compare runs small variations of a configuration with rt, runc and crun,
// and compares the exit status, what the container's process sees, and what is left
// afterwards:
//
//	compare -rt bin/rt [-reasons FILE] [-run REGEXP] [-v]
//
// Every difference needs a reason in the file of reasons; a difference without a reason,
// and a reason that is no longer needed, are failures. Peers are those that are installed.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

func main() {
	if filepath.Base(os.Args[0]) == probeName { // in a container
		probe()
		return
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

type peer struct{ name, path string }

func run() error {
	rt := flag.String("rt", "bin/rt", "`path` of rt")
	reasonsFile := flag.String("reasons", "tests/compare/reasons.txt", "`file` with the reasons of differences")
	only := flag.String("run", "", "only variations whose names match this `expression`")
	verbose := flag.Bool("v", false, "print what each runtime said and saw where they differ")
	flag.Parse()
	pattern, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("containers are made as root")
	}
	peers, err := findPeers(*rt)
	if err != nil {
		return err
	}
	reasons, err := readReasons(*reasonsFile)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "rt-compare-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	w, err := newWorld(dir)
	if err != nil {
		return err
	}
	defer w.close()
	var list []variation
	for _, v := range variations(w) {
		if pattern.MatchString(v.name) {
			list = append(list, v)
		}
	}
	began := time.Now()
	results := compareAll(w, peers, list)
	failed := 0
	found := 0
	for i, v := range list {
		for _, d := range results[i] {
			found++
			if reasons.explains(v.name, d) {
				continue
			}
			failed++
			fmt.Printf("%s: %s\n", v.name, d.text(*verbose))
		}
	}
	fmt.Printf("%d variations with %s in %v: %d differences, %d without a reason\n",
		len(list), names(peers), time.Since(began).Round(time.Second), found, failed)
	if unused := reasons.unused(); *only == "" && len(unused) > 0 {
		return fmt.Errorf("these reasons explain nothing any more; remove them:\n%s", strings.Join(unused, "\n"))
	}
	if failed > 0 {
		return fmt.Errorf("%d differences without a reason: mend them, or give the reason in %s", failed, *reasonsFile)
	}
	return nil
}

func names(peers []peer) string {
	var list []string
	for _, p := range peers {
		list = append(list, p.name)
	}
	return strings.Join(list, ", ")
}

// findPeers returns rt and the runtimes to compare it with.
func findPeers(rt string) ([]peer, error) {
	path, err := filepath.Abs(rt)
	if err != nil {
		return nil, err
	}
	peers := []peer{{"rt", path}}
	for _, name := range []string{"runc", "crun"} {
		path, err := exec.LookPath(name)
		if err != nil {
			return nil, fmt.Errorf("%s is not installed: use `make compare`", name)
		}
		peers = append(peers, peer{name, path})
	}
	return peers, nil
}

// difference is one point in which a peer's result differs from rt's.
type difference struct {
	peer, aspect string
	ours, theirs string
	said         [2]string
}

func (d difference) text(verbose bool) string {
	s := fmt.Sprintf("%s: %s: rt %q, %s %q", d.peer, d.aspect, d.ours, d.peer, d.theirs)
	if verbose {
		s += fmt.Sprintf("\n\trt said: %s\n\t%s said: %s", d.said[0], d.peer, d.said[1])
	}
	return s
}

// compareAll runs the variations, some at a time, each with one runtime after another.
func compareAll(w *world, peers []peer, list []variation) [][]difference {
	results := make([][]difference, len(list))
	next := make(chan int)
	var wg sync.WaitGroup
	for n := range runtime.NumCPU() {
		wg.Go(func() {
			for i := range next {
				results[i] = compareOne(w, peers, &list[i], n)
			}
		})
	}
	for i := range list {
		next <- i
	}
	close(next)
	wg.Wait()
	return results
}

func compareOne(w *world, peers []peer, v *variation, worker int) []difference {
	var all []outcome
	for _, p := range peers {
		all = append(all, w.try(p, v, worker))
	}
	var list []difference
	for i := 1; i < len(all); i++ {
		if v.skips(peers[i].name) {
			continue
		}
		list = append(list, differences(peers[i].name, all[0], all[i])...)
	}
	return list
}

// differences compares two outcomes. If only one runtime made a container, what it saw is
// no further difference.
func differences(peer string, ours, theirs outcome) []difference {
	var list []difference
	add := func(aspect, a, b string) {
		if a != b {
			list = append(list, difference{peer, aspect, a, b, [2]string{ours.said, theirs.said}})
		}
	}
	add("status", ours.status(), theirs.status())
	add("left behind", ours.left, theirs.left)
	if ours.status() != theirs.status() {
		return list
	}
	keys := map[string]bool{}
	for key := range ours.seen {
		keys[key] = true
	}
	for key := range theirs.seen {
		keys[key] = true
	}
	var sorted []string
	for key := range keys {
		sorted = append(sorted, key)
	}
	slices.Sort(sorted)
	for _, key := range sorted {
		add(key, ours.seen[key], theirs.seen[key])
	}
	return list
}
