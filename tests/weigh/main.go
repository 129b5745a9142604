// Command weigh measures what the code costs that rt has in place of a library, and what
// the library would cost: each variant is a program that starts, does the work once, and
// ends, as rt does. It prints a table; -write puts it into a document.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// topics are what rt writes itself, each with the places of the code and the variants,
// rt's first.
var topics = []struct {
	title, name string
	code        []string
	variants    []string
}{
	{"JSON reader", "json", []string{"internal/jsontext/decoder.go", "internal/jsontext/names.go", "internal/jsontext/elements.go"}, []string{"own", "std", "jsontext"}},
	{"rtnetlink", "netlink", []string{"libcontainer/internal/netdev/netlink.go"}, []string{"own", "vishvananda", "mdlayher"}},
	{"device filter", "devices", []string{"libcontainer/internal/cgroup/devicefilter.go"}, []string{"own", "library"}},
	{"forwarded signals", "signals", []string{"internal/signals/handler.go", "internal/signals/handler_amd64.s"}, []string{"own", "library"}},
}

var titles = map[string]string{
	"json/std": "encoding/json", "json/jsontext": "go-json-experiment/json/jsontext, tokens only",
	"netlink/vishvananda": "vishvananda/netlink", "netlink/mdlayher": "mdlayher/netlink",
	"devices/library": "opencontainers/cgroups/devices", "signals/library": "os/signal",
}

var (
	rounds = flag.Int("rounds", 300, "how often each program is run")
	write  = flag.String("write", "", "write the table to this `file`, between its marks")
	root   = flag.String("root", "../..", "`directory` of the repository")
)

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "weigh:", err)
		os.Exit(1)
	}
}

// result is what the runs of a variant took.
type result struct {
	size   int64
	wall   []time.Duration
	faults []int64
}

func run() error {
	dir, err := os.MkdirTemp("", "weigh-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	config := filepath.Join(*root, "tests/testdata/docker/config.json")
	var table strings.Builder
	table.WriteString("| What rt writes itself | Lines | In place of | Time of a process that does it once | Page faults | Program |\n|---|--:|---|--:|--:|--:|\n")
	for _, t := range topics {
		results := make([]result, len(t.variants))
		for i, v := range t.variants {
			program := filepath.Join(dir, t.name+"-"+v)
			build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "./variants/"+t.name+"/"+v)
			if t.name == "signals" && v == "library" {
				build.Args = slices.Insert(build.Args, 2, "-tags", "os_signal")
			}
			build.Stderr = os.Stderr
			if err := build.Run(); err != nil {
				return fmt.Errorf("%s/%s: %w", t.name, v, err)
			}
			info, err := os.Stat(program)
			if err != nil {
				return err
			}
			results[i].size = info.Size()
		}
		for range *rounds {
			for i, v := range t.variants {
				if err := results[i].measure(exec.Command(filepath.Join(dir, t.name+"-"+v), config)); err != nil {
					return fmt.Errorf("%s/%s: %w", t.name, v, err)
				}
			}
		}
		lines, err := count(t.code)
		if err != nil {
			return err
		}
		own := &results[0]
		for i, v := range t.variants[1:] {
			r := &results[i+1]
			fmt.Fprintf(&table, "| %s | %d | %s | %.2f of it | %+d | %+.1f MB |\n", t.title, lines, titles[t.name+"/"+v],
				float64(median(own.wall))/float64(median(r.wall)), median(own.faults)-median(r.faults), float64(own.size-r.size)/1e6)
		}
	}
	fmt.Print(table.String())
	if *write == "" {
		return nil
	}
	return replace(*write, table.String())
}

func (r *result) measure(cmd *exec.Cmd) error {
	began := time.Now()
	err := cmd.Run()
	r.wall = append(r.wall, time.Since(began))
	if err != nil {
		return err
	}
	r.faults = append(r.faults, cmd.ProcessState.SysUsage().(*syscall.Rusage).Minflt)
	return nil
}

func median[T int64 | time.Duration](list []T) T {
	return slices.Sorted(slices.Values(list))[len(list)/2]
}

// count counts the lines of files that are neither empty nor comments.
func count(files []string) (n int, err error) {
	for _, name := range files {
		data, err := os.ReadFile(filepath.Join(*root, name))
		if err != nil {
			return 0, err
		}
		for line := range bytes.Lines(data) {
			if line = bytes.TrimSpace(line); len(line) > 0 && !bytes.HasPrefix(line, []byte("//")) {
				n++
			}
		}
	}
	return n, nil
}

// The marks of the table in its document.
const (
	begin = "<!-- weighed: make weigh -->\n"
	end   = "<!-- end of weighed -->"
)

func replace(name, table string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(data), begin)
	_, after, found := strings.Cut(rest, end)
	if !ok || !found {
		return fmt.Errorf("%s has no marks for the table", name)
	}
	return os.WriteFile(name, []byte(before+begin+table+end+after), 0o644)
}
