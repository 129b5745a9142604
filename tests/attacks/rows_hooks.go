package main

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
)

var hookAttacks = []attack{
	{
		name:     "hook-without-filter",
		about:    "a startContainer hook, which is a program of the image, calls what the seccomp filter forbids",
		kinds:    []string{"13.10"},
		defences: []defence.Name{defence.FilteredHooks},
		mount: func(t *try) string {
			b := t.script("true")
			b.filter("mkdir", "mkdirat")
			b.spec.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "mkdir /attacked; true"}}}}
			b.run()
			if fileExists(b.root("attacked")) {
				return "the hook made a directory, which the filter forbids"
			}
			return ""
		},
	},
}
