package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		line    string
		command string
		values  string // the expected ones, name=value
		lists   string
		args    []string
	}{
		{line: "run id", command: "run", values: "root=" + defaultRoot() + " log-format=text detach=false", args: []string{"id"}},
		{line: "--root /r --log-format=json --systemd-cgroup create -b /b --pid-file=/p --preserve-fds 2 id", command: "create",
			values: "root=/r log-format=json systemd-cgroup=true bundle=/b pid-file=/p preserve-fds=2", args: []string{"id"}},
		{line: "kill --all id KILL", command: "kill", values: "all=true", args: []string{"id", "KILL"}},
		{line: "kill id KILL --all", command: "kill", values: "all=true", args: []string{"id", "KILL"}},
		{line: "kill -- id -9", command: "kill", args: []string{"id", "-9"}},
		{line: "delete -f a b", command: "delete", values: "force=true", args: []string{"a", "b"}},
		{line: "delete --force=false a", command: "delete", values: "force=false", args: []string{"a"}},
		{line: "list -f=json -q", command: "list", values: "format=json quiet=true"},
		{line: "run -bundle /b id", command: "run", values: "bundle=/b", args: []string{"id"}},
		{line: "run --debug id", command: "run", values: "debug=true", args: []string{"id"}},
		{line: "update -r - id", command: "update", values: "resources=-", args: []string{"id"}},
		{line: "exec -e A=1,2 --env=B= -u 1:2 -t id sh -c echo --help -- -x", command: "exec", values: "user=1:2 tty=true help=false",
			lists: "env=A=1,2 env=B=", args: []string{"id", "sh", "-c", "echo", "--help", "--", "-x"}},
		{line: "--rootless true spec", command: "spec", values: "rootless=false"},
		{line: "spec --rootless", command: "spec", values: "rootless=true"},
		{line: "exec -e A=x, -c CAP_KILL id id", command: "exec", lists: "env=A=x, cap=CAP_KILL", args: []string{"id", "id"}},
		{line: "exec id -- sh", command: "exec", args: []string{"id", "sh"}},
		{line: "ps id -- -ef", command: "ps", args: []string{"id", "-ef"}},
		{line: "exec id echo --generate-shell-completion", command: "exec", args: []string{"id", "echo", "--generate-shell-completion"}},
		{line: "run --help"},
		{line: "state -h id"},
		{line: "--version"},
		{line: "-h run"},
		{line: ""},
	} {
		in, err := understand(c.line)
		if err != nil {
			t.Errorf("%s: %v", c.line, err)
			continue
		}
		if in == nil {
			if c.command != "" {
				t.Errorf("%s: is no command", c.line)
			}
			continue
		}
		if in.Name != c.command || len(in.args)+len(c.args) > 0 && !reflect.DeepEqual(in.args, c.args) {
			t.Errorf("%s: command %q, arguments %q", c.line, in.Name, in.args)
		}
		for value := range strings.FieldsSeq(c.values) {
			if name, want, _ := strings.Cut(value, "="); fmt.Sprint(in.Value(name)) != want {
				t.Errorf("%s: --%s is %v", c.line, name, in.Value(name))
			}
		}
		var lists []string
		for _, name := range []string{"env", "cap"} {
			for _, value := range in.StringSlice(name) {
				lists = append(lists, name+"="+value)
			}
		}
		if strings.Join(lists, " ") != c.lists {
			t.Errorf("%s: lists %q", c.line, lists)
		}
	}
}

// understand returns the input of a command; nil if none is executed.
func understand(line string) (in *input, err error) {
	argv := strings.Fields(line)
	root := commandLine(argv, io.Discard, func(given *input, _ func(*input) error) error {
		in = given
		return nil
	})
	return in, root.Run(context.Background(), append([]string{"rt"}, argv...))
}

func TestUsageErrors(t *testing.T) {
	for line, want := range map[string]string{
		"no-such id":                    `"no-such" is not a command; see ` + "`rt --help`",
		"no-such --help":                `"no-such" is not a command`,
		"help no-such":                  `"no-such" is not a command`,
		"run -b":                        "run: -b needs a value",
		"--no-such run id":              "there is no flag --no-such; see `rt --help`",
		"run --no-such id":              "run: there is no flag --no-such; see `rt run --help`",
		"run --version":                 "there is no flag --version",
		"create --bundle":               "create: --bundle needs a value",
		"create --preserve-fds x id":    `--preserve-fds: "x" is not a number`,
		"delete --force=perhaps id":     `--force: "perhaps" is not one of true, false`,
		"run -dx id":                    "there is no flag -dx",
		"run --=x id":                   "there is no flag",
		"run id --pid-file":             "--pid-file needs a value",
		"completion tcsh":               `needs one of bash, zsh, fish, not ["tcsh"]`,
		"--log-format xml completion x": "--log-format",
	} {
		err := execute(strings.Fields(line))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// The help of every command shows all of its flags.
func TestHelp(t *testing.T) {
	for _, name := range append(commandNames(), "") {
		var out bytes.Buffer
		argv := strings.Fields(name + " --help")
		if err := executeTo(&out, argv); err != nil {
			t.Fatal(err)
		}
		root := commandLine(argv, &out, nil)
		flags := root.Flags
		if name != "" {
			flags = append(flags, root.Command(name).Flags...)
		}
		for _, f := range flags {
			if !strings.Contains(out.String(), "--"+f.Names()[0]) {
				t.Errorf("%q: no --%s: %s", name, f.Names()[0], out.String())
			}
		}
		if !strings.Contains(out.String(), "GLOBAL OPTIONS") || name != "" && !strings.Contains(out.String(), "rt "+name) {
			t.Errorf("%q: %s", name, out.String())
		}
	}
}

func TestComplete(t *testing.T) {
	t.Setenv(completing, "1")
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "box"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		words []string
		want  string // a candidate, or nothing
	}{
		{nil, "state"},
		{[]string{"st"}, "state"},
		{[]string{"--"}, "--systemd-cgroup"},
		{[]string{"--root", ""}, ""},
		{[]string{"--root", root, "state", ""}, "box"},
		{[]string{"--root=" + root, "exec", "-t", "-e", "A=1", ""}, "box"},
		{[]string{"--root", root, "state", "box", ""}, ""},
		{[]string{"run", "--bundle", ""}, ""},
		{[]string{"kill", "-"}, "--all"},
		{[]string{"state", "--root", root, ""}, "box"},
		{[]string{"completion", ""}, "fish"},
		{[]string{"no-such", ""}, ""},
	} {
		var b bytes.Buffer
		if err := executeTo(&b, append(c.words, completionFlag)); err != nil {
			t.Errorf("%q: %v", c.words, err)
		}
		if lines := strings.Fields(b.String()); c.want == "" && len(lines) > 0 || c.want != "" && !strings.Contains(fmt.Sprint(lines), c.want) {
			t.Errorf("%q: %q", c.words, lines)
		}
	}
}
