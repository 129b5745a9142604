// Package kubernetes runs Kubernetes itself on rt: etcd, the API server, the controllers, the
// scheduler and one node with the kubelet and containerd, all in namespaces of their own. What
// people do with pods is done with kubectl, with rt's shim and, for comparison, with runc.
package kubernetes

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var (
	binaries   = flag.String("binaries", "", "`directory` of rt's shim")
	kubernetes = flag.String("kubernetes", "", "`directory` of the programs of Kubernetes, etcd and the network plugins")
	containerd = flag.String("containerd", "", "`directory` of the programs of containerd")
	crictlPath = flag.String("crictl", "", "`path` of the CRI's client")
	runcPath   = flag.String("runc", "", "`path` of runc")
	documents  = flag.String("documents", "", "`directory` of the documents with the configuration")
	logs       = flag.String("logs", "", "`directory` that keeps the logs of all daemons")
	wanted     = flag.String("columns", "runc,rt,rt-sandbox", "run the scenarios with these handlers")
	least      = flag.Int("least", 30, "fail if fewer scenarios than this `number` passed in a column")
	markdown   = flag.String("markdown", "", "write the table of results to `file`")
)

// handler is a column of the table: a handler of containerd's configuration.
type handler struct {
	name, title string
	// shim is the program whose child a container's process is.
	shim string
	// pause is true if each pod has a pause container.
	pause bool
}

// runc comes first: its errors are what rt's are compared with.
var handlers = []handler{
	{name: "runc", title: "runc", shim: "containerd-shim-runc-v2", pause: true},
	{name: "rt", title: "rt", shim: "containerd-shim-rt-v2", pause: true},
	{name: "rt-sandbox", title: "rt without a pause container", shim: "containerd-shim-rt-v2"},
}

func (h handler) isRt() bool { return h.name != "runc" }

func TestMain(m *testing.M) {
	flag.Parse()
	paths := []*string{binaries, kubernetes, containerd, crictlPath, runcPath, documents}
	for _, path := range append(paths, logs, markdown) {
		if *path != "" {
			*path, _ = filepath.Abs(*path)
		}
	}
	if os.Geteuid() != 0 || slices.ContainsFunc(paths, func(p *string) bool { return *p == "" }) {
		fmt.Fprintln(os.Stderr, "kubernetes: run by root, with the paths of the programs: make kubernetes-test")
		os.Exit(2)
	}
	switch os.Getenv(stageVariable) {
	case "":
		os.Exit(supervise())
	case stageInit:
		os.Exit(beInit())
	}
	code := m.Run()
	if code != 0 && results.onlyKnown {
		fmt.Println("kubernetes: what failed above is in known-failures.txt, or failed without rt")
		code = 0
	}
	if *markdown != "" {
		if err := results.write(*markdown); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestKubernetes starts one cluster, and runs all scenarios with one handler after the other.
func TestKubernetes(t *testing.T) {
	c := startCluster(t)
	errorLines := map[string][]string{}
	for _, h := range handlers {
		if !slices.Contains(strings.Split(*wanted, ","), h.name) {
			continue
		}
		t.Run(h.name, func(t *testing.T) {
			errorLines[h.name] = c.runAll(t, h)
		})
	}
	for _, h := range handlers {
		if lines, ran := errorLines[h.name]; ran && h.isRt() && errorLines["runc"] != nil {
			t.Run(h.name+" "+sameErrors, func(t *testing.T) {
				defer results.record(t, sameErrors, h)
				compareErrors(t, lines, errorLines["runc"])
			})
		}
	}
	t.Run("table", results.check)
}
