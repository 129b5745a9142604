package main

import (
	"context"
	"io"
	"math/rand/v2"
	"reflect"
	"testing"
)

// byCLI reads a command line with urfave/cli: nil when it has something to say
// about it.
func byCLI(argv []string) *input {
	var got *input
	root := app()
	root.Writer, root.ErrWriter = io.Discard, io.Discard
	root.Commands = nil
	for _, c := range commands() {
		c.run = func(in *input) error { got = in; return nil }
		root.Commands = append(root.Commands, c.cli())
	}
	if root.Run(context.Background(), append([]string{"rt"}, argv...)) != nil {
		return nil
	}
	return got
}

// withDefaults fills what a plain map leaves out.
func withDefaults(in *input) map[string]string {
	values := map[string]string{}
	for _, c := range commands() {
		if c.name != in.command {
			continue
		}
		for _, f := range append(globalFlags(), c.flags...) {
			values[f.name] = in.values[f.name]
			if v := values[f.name]; f.kind == boolFlag && v != "true" {
				values[f.name] = "false"
			} else if f.kind == intFlag && v == "" {
				values[f.name] = "0"
			}
		}
	}
	return values
}

func compare(t *testing.T, argv []string) (parsed bool) {
	t.Helper()
	_, in, ok := parse(argv)
	if !ok {
		return false
	}
	want := byCLI(argv)
	if want == nil {
		t.Errorf("%q: urfave/cli refuses it", argv)
		return true
	}
	for name, list := range want.lists {
		if len(list)+len(in.lists[name]) > 0 && !reflect.DeepEqual(list, in.lists[name]) {
			t.Errorf("%q: --%s: got %q, want %q", argv, name, in.lists[name], list)
		}
	}
	if in.command != want.command || len(in.args)+len(want.args) > 0 && !reflect.DeepEqual(in.args, want.args) ||
		!reflect.DeepEqual(withDefaults(in), withDefaults(want)) {
		t.Errorf("%q: got %+v, want %+v", argv, in, want)
	}
	return true
}

func TestParseAgreesWithCLI(t *testing.T) {
	for _, c := range []struct {
		argv []string
		ok   bool
	}{
		{[]string{"run", "id"}, true},
		{[]string{"--root", "/r", "--log-format=json", "--systemd-cgroup", "create", "-b", "/b", "--pid-file=/p", "--preserve-fds", "2", "id"}, true},
		{[]string{"kill", "--all", "id", "KILL"}, true},
		{[]string{"delete", "-f", "a", "b"}, true},
		{[]string{"list", "-f=json", "-q"}, true},
		{[]string{"spec", "--rootless"}, true},
		{[]string{"state", "id"}, true},
		{[]string{"exec", "-e", "A=1,2", "--env=B=", "-u", "1:2", "-t", "id", "sh", "-c", "echo --help", "--", "-x"}, true},
		{[]string{}, false},
		{[]string{"--help"}, false},
		{[]string{"--version"}, false},
		{[]string{"run", "--help"}, false},
		{[]string{"run", "--no-such", "id"}, false},
		{[]string{"kill", "id", "--all"}, false},
		{[]string{"create", "--preserve-fds", "x", "id"}, false},
		{[]string{"create", "--bundle"}, false},
		{[]string{"no-such", "id"}, false},
		{[]string{"run", "--", "id"}, false},
	} {
		if ok := compare(t, c.argv); ok != c.ok {
			t.Errorf("%q: parsed %v, want %v", c.argv, ok, c.ok)
		}
	}
}

// Any command line that parse takes means the same to urfave/cli.
func TestParseAgreesWithCLIOnRandomLines(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	words := []string{"id", "x", "7", "--", "-", "=", "json", "text", "auto"}
	for _, c := range commands() {
		words = append(words, c.name, c.name)
		for _, f := range append(globalFlags(), c.flags...) {
			if f.name != "log" { // would make files
				words = append(words, "--"+f.name, "--"+f.name+"=1", "-"+f.alias)
			}
		}
	}
	taken := 0
	for range 20000 {
		argv := make([]string, 1+rng.IntN(6))
		for i := range argv {
			argv[i] = words[rng.IntN(len(words))]
		}
		_, in, ok := parse(argv)
		if !ok || in.String("log-format") != "text" && in.String("log-format") != "json" || in.String("rootless") != "auto" && in.String("rootless") != "true" {
			continue
		}
		taken++
		compare(t, argv)
		if t.Failed() {
			return
		}
	}
	if taken < 100 {
		t.Errorf("only %d lines were taken", taken)
	}
}
