// Profile shows where the time of run, exec and a pod's start goes, from rt's own trace
// (rt --trace).
//
//	profile -rt PATH [-runs 100] [-document docs/performance.md] [-picture docs/profile.svg]
//
// It runs rt, crun and runc in turn, in a random order, each with a bundle of its own. The
// table has the median of each phase of rt; the picture is the run of rt whose time is the
// median. A pod is made as the containerd shim makes one: by the library, in this process.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/rtcontainers/rt/tests/bench/machine"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "profile:", err)
		os.Exit(1)
	}
}

func run() error {
	rt := flag.String("rt", "", "`path` of rt")
	runs := flag.Int("runs", 100, "measured `rounds`")
	document := flag.String("document", "", "write the tables to `file`")
	picture := flag.String("picture", "", "write the picture to `file`")
	flag.Parse()
	p := profiler{runs: *runs}
	for _, name := range []string{*rt, "crun", "runc"} {
		path, err := exec.LookPath(name)
		if err != nil {
			return err
		}
		if path, err = filepath.Abs(path); err != nil {
			return err
		}
		p.runtimes = append(p.runtimes, path)
	}
	kind, err := machine.Measure()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "rt-profile-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p.dir = dir
	profiles, err := p.all()
	if err != nil {
		return err
	}
	text := tables(profiles, kind.String(), *runs)
	fmt.Print(text)
	if *picture != "" {
		if err := os.WriteFile(*picture, []byte(draw(profiles)), 0o644); err != nil {
			return err
		}
	}
	if *document != "" {
		return insert(*document, text)
	}
	return nil
}
