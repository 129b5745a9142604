package main

import (
	"fmt"
	"path/filepath"
	"strings"
)

// competitor is a way to run pods: a runtime handler of containerd.
type competitor struct {
	// name is that of the handler, title that of the tables.
	name, title string
	// shim is the program that containerd executes for it, below the directory of what was built, or
	// a name in PATH.
	shim string
	// kind is the type of the runtime: containerd's client gives it its options in the form that the
	// type has.
	kind string
	// sandbox is true if the shim itself holds the pod, without a pause container.
	sandbox bool
	// runtime is the program that the shim executes, if it does.
	runtime string
	// options are lines of the handler's table of options.
	options string
}

// reference is whom all others are compared with.
const reference = "runc"

const (
	rtShim   = "containerd-shim-rt-v2"
	runcShim = "containerd/containerd-shim-runc-v2"
	rtKind   = "io.containerd.rt.v2"
	runcKind = "io.containerd.runc.v2"
)

var competitors = []competitor{
	{name: "rt-pause", title: "rt (pause)", shim: rtShim, kind: rtKind},
	{name: "rt-sandbox", title: "rt (sandbox)", shim: rtShim, kind: rtKind, sandbox: true},
	{name: "rt-node", title: "rt (sandbox, node)", shim: rtShim, kind: rtKind, sandbox: true, options: `Grouping = "node"`},
	{name: "crun", title: "runc's shim with crun", shim: runcShim, kind: runcKind, runtime: "pods/crun"},
	{name: reference, title: "runc's shim with runc", shim: runcShim, kind: runcKind, runtime: "peers/runc"},
	{name: null, title: "containerd alone", shim: "pods/containerd-shim-null-v2", kind: "io.containerd.null.v2"},
}

// null is the competitor whose shim makes nothing.
const null = "containerd"

func competitorNames() []string {
	var names []string
	for _, c := range competitors {
		names = append(names, c.name)
	}
	return names
}

// below is a path in the directory of what was built, unless it is absolute.
func below(bin, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(bin, path)
}

// config is the handler's part of containerd's configuration.
func (c competitor) config(bin string) string {
	const table = `plugins."io.containerd.cri.v1.runtime".containerd.runtimes.`
	var b strings.Builder
	fmt.Fprintf(&b, "[%s%s]\nruntime_type = %q\nruntime_path = %q\n", table, c.name, c.kind, below(bin, c.shim))
	if c.sandbox {
		b.WriteString("sandboxer = \"shim\"\ndisable_pause_image_pull = true\n")
	}
	options := c.options
	if c.runtime != "" {
		options = fmt.Sprintf("BinaryName = %q\n%s", below(bin, c.runtime), options)
	}
	if options != "" {
		fmt.Fprintf(&b, "[%s%s.options]\n%s\n", table, c.name, options)
	}
	return b.String()
}
