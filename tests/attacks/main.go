// Command attacks mounts attacks on the boundaries of containers, and shows whether they
// are refused.
//
// Every attack runs against rt, against a build of rt without the defence that should stop
// it (build tag "weakened", RT_WEAKENED), and, where installed, against runc and crun. It
// decides by what the attacker has gained at the end: a changed file of the host, a secret
// that was read, a capability; never by an error message alone. rt must refuse all
// attacks, and all must succeed in the weakened build: an attack that cannot succeed
// proves nothing.
//
//	attacks -rt bin/rt -weakened bin/rt-weakened [-run REGEXP] [-v] [-markdown FILE]
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"

	"golang.org/x/sys/unix"
)

func main() {
	switch role := filepath.Base(os.Args[0]); {
	case role == attackerName: // in a container
		if err := inside(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "attacker:", err)
			os.Exit(1)
		}
		return
	case len(os.Args) > 1 && os.Args[1] == superviseCommand:
		supervise(os.Args[2])
		return
	case len(os.Args) > 1 && os.Args[1] == tryCommand:
		tryOne(os.Args[2])
		return
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "attacks:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	rt, weakened, view string
	pattern            *regexp.Regexp
	full, verbose      bool
	open               bool
	markdown           string
	jobs               int
}

func readOptions() (o options, err error) {
	flag.StringVar(&o.rt, "rt", "bin/rt", "`path` of rt")
	flag.StringVar(&o.weakened, "weakened", "", "`path` of rt with the build tag weakened; empty: leave that column out")
	flag.StringVar(&o.view, "view", "tests/view", "`path` of the script that arranges a view of the cgroups")
	pattern := flag.String("run", "", "only the attacks whose names match `regexp`")
	flag.BoolVar(&o.full, "full", false, "try races 1,000 times each")
	flag.BoolVar(&o.verbose, "v", false, "show what each try did")
	flag.StringVar(&o.markdown, "markdown", "", "replace the table in `file`")
	flag.IntVar(&o.jobs, "jobs", 2, "`number` of attacks at a time; races run alone")
	flag.BoolVar(&o.open, "open", false, "try the attacks that are known to succeed, and no others")
	peers := flag.Bool("peers", true, "attack runc and crun, too, where they are installed")
	flag.Parse()
	if os.Geteuid() != 0 {
		return o, fmt.Errorf("attacks need root")
	}
	if o.pattern, err = regexp.Compile(*pattern); err != nil {
		return o, err
	}
	if !*peers {
		peerNames = nil
	}
	return o, nil
}

// peerNames are the other runtimes that are attacked.
var peerNames = []string{"runc", "crun"}

func run() error {
	o, err := readOptions()
	if err != nil {
		return err
	}
	columns, err := findRuntimes(o)
	if err != nil {
		return err
	}
	scratch, err := makeScratch()
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	if err := tryBaselines(o, scratch, columns); err != nil {
		return err
	}
	var rows []*row
	list := attacks
	if o.open {
		list = openAttacks
	}
	for i := range list {
		a := &list[i]
		switch {
		case !o.pattern.MatchString(a.name):
		case a.needs != "" && !fileExists(a.needs):
			fmt.Fprintf(os.Stderr, "%s: left out, this host has no %s\n", a.name, a.needs)
		case a.view == "v1" && !hasV1():
			fmt.Fprintf(os.Stderr, "%s: left out, this host has no cgroup v1\n", a.name)
		default:
			rows = append(rows, &row{attack: a})
		}
	}
	printHead(os.Stdout, columns)
	// Races need the machine for themselves.
	perform(o, scratch, columns, rows, false)
	perform(o, scratch, columns, rows, true)
	wrong := 0
	for _, r := range rows {
		for _, p := range r.problems(columns) {
			fmt.Fprintf(os.Stderr, "%s: %s\n", r.attack.name, p)
			wrong++
		}
	}
	if o.markdown != "" {
		if err := replaceTable(o.markdown, markdown(columns, rows)); err != nil {
			return err
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d problems in %d attacks", wrong, len(rows))
	}
	fmt.Printf("%d attacks, all refused by rt\n", len(rows))
	return nil
}

// hasV1 tells whether the host has hierarchies of cgroup v1.
func hasV1() bool {
	var st unix.Statfs_t
	return unix.Statfs("/sys/fs/cgroup", &st) == nil && st.Type != unix.CGROUP2_SUPER_MAGIC
}

// tryBaselines lets every runtime run a container without an attack. A peer that cannot is
// left out in that view.
func tryBaselines(o options, scratch string, columns []column) error {
	for i := range baselines {
		b := &baselines[i]
		for j := range columns {
			c := &columns[j]
			cell := b.perform(o, scratch, *c)
			switch {
			case cell.Broken == "" && cell.Left == "":
			case c.ours():
				return fmt.Errorf("%s: %s: %s%s", b.name, c.name, cell.Broken, cell.Left)
			default:
				fmt.Fprintf(os.Stderr, "%s: left out with cgroup %s: %s\n", c.name, b.view, cell.Broken)
				c.without = append(c.without, b.view)
			}
		}
	}
	return nil
}

// perform runs the rows that are races, or those that are not.
func perform(o options, scratch string, columns []column, rows []*row, races bool) {
	jobs := o.jobs
	if races {
		jobs = 1
	}
	limit := make(chan struct{}, max(1, jobs))
	var all sync.WaitGroup
	var printing sync.Mutex
	for _, r := range rows {
		if r.attack.race != races {
			continue
		}
		limit <- struct{}{}
		all.Go(func() {
			defer func() { <-limit }()
			for _, c := range columns {
				r.cells = append(r.cells, r.attack.perform(o, scratch, c))
			}
			printing.Lock()
			defer printing.Unlock()
			r.print(os.Stdout, o.verbose)
		})
	}
	all.Wait()
}

// column is a runtime of the table.
type column struct {
	name, path string
	weakened   bool
	// without are the views in which it cannot run a container on this host.
	without []string
}

// ours tells whether it is rt or its weakened build.
func (r column) ours() bool { return r.name == "rt" || r.weakened }

func findRuntimes(o options) ([]column, error) {
	list := []column{{name: "rt", path: o.rt}}
	if o.weakened != "" {
		list = append(list, column{name: "weakened rt", path: o.weakened, weakened: true})
	}
	for _, name := range peerNames {
		if path, err := exec.LookPath(name); err == nil {
			list = append(list, column{name: name, path: path})
		}
	}
	for i := range list {
		path, err := filepath.Abs(list[i].path)
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(path); err != nil {
			return nil, err
		}
		list[i].path = path
	}
	return list, nil
}
