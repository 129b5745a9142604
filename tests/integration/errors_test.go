package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/spec"
)

// Every error names the field, its value, and the kernel's error; nothing is left behind.
func TestErrorsNameTheField(t *testing.T) {
	for name, c := range map[string]struct {
		change func(b *bundle)
		words  []string
	}{
		"missing bind source": {func(b *bundle) {
			b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/data", Type: "bind", Source: "/srv/no/data", Options: []string{"bind"}})
		}, []string{"mounts[7]", `"/data"`, `"/srv/no/data"`, "no such file or directory"}},
		"namespace path": {func(b *bundle) { b.spec.Linux.Namespaces[0].Path = "/no/ns" },
			[]string{"linux.namespaces[0]", "pid", "/no/ns", "no such file"}},
		"namespace of another type": {func(b *bundle) { b.spec.Linux.Namespaces[0].Path = "/proc/self/ns/net" },
			[]string{"linux.namespaces[0]", "/proc/self/ns/net", "network", "pid"}},
		"no namespace at all": {func(b *bundle) { b.spec.Linux.Namespaces[0].Path = "/etc/passwd" },
			[]string{"linux.namespaces[0]", "/etc/passwd", "not a namespace"}},
		"root file system": {func(b *bundle) { b.spec.Root.Path = "nowhere" },
			[]string{"root.path", "nowhere", "no such file"}},
		"file system type": {func(b *bundle) {
			b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/x", Type: "nosuchfs", Source: "x"})
		}, []string{"mounts[7]", "nosuchfs"}},
		"mount data": {func(b *bundle) {
			b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/x", Type: "tmpfs", Source: "x", Options: []string{"nosuchoption=1"}})
		}, []string{"mounts[7]", "nosuchoption"}},
		"working directory": {func(b *bundle) {
			b.spec.Process.Cwd = "/file"
			must(b.t, os.WriteFile(b.path("file"), nil, 0o644))
		}, []string{"process.cwd", "/file", "not a directory"}},
		"several at once": {func(b *bundle) {
			b.spec.Version = "2.0.0"
			b.spec.Process.Cwd = "relative"
			b.spec.Process.Args = nil
			b.spec.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NONE"}}
			b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: "pid"}, specs.LinuxNamespace{Type: "planet"})
		}, []string{"6 problems", "ociVersion", "process.cwd", "process.args", "process.rlimits[0].type", "linux.namespaces[6].type", "linux.namespaces[7].type"}},
		"sysctl": {func(b *bundle) { b.spec.Linux.Sysctl = map[string]string{"net.no.such": "1"} },
			[]string{"linux.sysctl", "net.no.such", "no such file"}},
		"cgroup limit": {func(b *bundle) {
			b.spec.Linux.Resources.Memory = &specs.LinuxMemory{Limit: ptr(int64(-2))}
		}, []string{"linux.resources.memory.limit"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t, "true")
			c.change(b)
			b.write()
			for _, command := range []string{"create", "run"} {
				pidFile := b.dir + "/pid"
				message := b.fails(c.words, command, "--pid-file", pidFile, b.id)
				if n := strings.Count(strings.TrimSpace(message), "\n"); n > 0 && name != "several at once" {
					t.Errorf("a message of %d lines: %s", n+1, message)
				}
				b.noTrace()
				if _, err := os.Stat(pidFile); err == nil {
					t.Error("a pid file is left")
				}
			}
		})
	}
}

// An unknown option may be a misspelt "ro". Either rt or the kernel refuses it, whatever
// is mounted.
func TestNoMountOptionIsDropped(t *testing.T) {
	for _, kind := range []string{"bind", "cgroup", "cgroup2", "tmpfs", "proc", "sysfs", "devpts", "mqueue", "ramfs", "overlay"} {
		for _, option := range []string{"readonly", "ro,nosuch", "nosuch"} {
			b := newBundle(t, "true")
			b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/x", Type: kind, Source: "/tmp", Options: []string{option}})
			b.write()
			b.fails([]string{"mounts[7]", strings.TrimPrefix(option, "ro,")}, "run", b.id)
		}
	}
}

func TestMalformedJSON(t *testing.T) {
	b := newBundle(t, "true")
	for text, words := range map[string][]string{
		"{\n  \"ociVersion\": \"1.0.2\",\n  oops\n}":                      {"config.json", "line 3, column 3"},
		"{\n\"process\": {\n\"args\": \"sh\"}}":                           {"config.json", "line 3", "process.args", "array"},
		"{\"ociVersion\": \"1.0.2\"":                                      {"config.json", "line 1", "unexpected end"},
		"{\"linux\": {\"resources\": {\"memory\": {\"limit\": \"1M\"}}}}": {"linux.resources.memory.limit", "number"},
	} {
		must(t, os.WriteFile(b.dir+"/config.json", []byte(text), 0o644))
		b.fails(words, "create", b.id)
		b.noTrace()
	}
	must(t, os.Remove(b.dir+"/config.json"))
	b.fails([]string{"config.json", "--bundle", "rt spec"}, "create", b.id)
}

func TestErrorsInTheLogFile(t *testing.T) {
	b := newBundle(t, "true")
	b.spec.Process.Args = []string{"/no/such"}
	b.write()
	log := b.dir + "/log.json"
	b.fails(nil, "--log", log, "--log-format", "json", "run", b.id)
	data, err := os.ReadFile(log)
	must(t, err)
	var last struct{ Level, Msg, Time string }
	entries := lines(string(data))
	must(t, json.Unmarshal([]byte(entries[len(entries)-1]), &last))
	if last.Level != "error" || !strings.Contains(last.Msg, "/no/such") || last.Time == "" {
		t.Errorf("%+v", last)
	}
}

func TestBadFlags(t *testing.T) {
	b := newBundle(t, "true")
	b.write()
	b.fails([]string{"--log-format", "xml"}, "--log-format", "xml", "list")
	b.fails([]string{"--rootless", "maybe"}, "--rootless", "maybe", "list")
	b.fails([]string{"no-such-flag"}, "create", "--no-such-flag", b.id)
	if r := b.rt("no-such-command"); r.code != 3 || !strings.Contains(r.stderr, "no-such-command") {
		t.Errorf("%v, want exit status 3, as runc's", r)
	}
	b.fails([]string{"--console-socket"}, "create", "--console-socket", "/no/socket", b.id)
	b.noTrace()
}

func TestSpecCommand(t *testing.T) {
	b := newBundle(t, "")
	dir := t.TempDir()
	b.ok("spec", "--bundle", dir)
	s, err := spec.Load(dir)
	must(t, err)
	if s.Process.Args[0] != "sh" || !s.Process.Terminal {
		t.Errorf("%+v", s.Process)
	}
	b.fails([]string{"exists"}, "spec", "--bundle", dir)
	rootless := t.TempDir()
	b.ok("spec", "--rootless", "--bundle", rootless)
	s, err = spec.Load(rootless)
	must(t, err)
	if spec.FindNamespace(s.Spec, specs.UserNamespace) == nil || len(s.Linux.UIDMappings) == 0 {
		t.Error("no user namespace")
	}
}

func TestFeatures(t *testing.T) {
	b := newBundle(t, "")
	var f struct {
		OCIVersionMin, OCIVersionMax string
		MountOptions                 []string
		Linux                        struct{ Namespaces, Capabilities []string }
	}
	must(t, json.Unmarshal([]byte(b.ok("features")), &f))
	if f.OCIVersionMax != specs.Version || len(f.Linux.Namespaces) != 8 || len(f.Linux.Capabilities) < 41 || len(f.MountOptions) < 40 {
		t.Errorf("%+v", f)
	}
}

// The scripts work in the shells that the machine has.
func TestCompletion(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	b.create()
	script := filepath.Join(b.dir, "completion")
	must(t, os.WriteFile(script, []byte(b.ok("completion", "bash")), 0o644))
	for _, c := range []struct {
		words []string
		want  string
	}{
		{[]string{"sta"}, "start state"},
		{[]string{"--root", b.root, "state", ""}, b.id},
		{[]string{"--root", b.root, "exec", "-t", b.id[:3]}, b.id},
		{[]string{"--root", "=", b.root, "state", ""}, b.id}, // as bash splits it
		{[]string{"kill", "--a"}, "--all"},
	} {
		cmd := exec.Command("bash", "-c", `. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); _rt; echo "${COMPREPLY[*]}"`, "bash", script)
		cmd.Args = append(append(cmd.Args, rtPath), c.words...)
		out, err := cmd.CombinedOutput()
		must(t, err)
		want(t, fmt.Sprint(c.words), string(out), c.want)
	}
	for _, shell := range []string{"zsh", "fish"} {
		if out := b.ok("completion", shell); !strings.Contains(out, completionFlag) {
			t.Errorf("%s: %s", shell, out)
		}
	}
}

const completionFlag = "--generate-shell-completion"

func TestExplain(t *testing.T) {
	b := newBundle(t, "true")
	b.write()
	text := b.ok("explain", b.dir)
	for _, w := range []string{"CLONE_NEWPID", "CALLS", "FIELD", "mounts[0]", `mount proc on "/proc"`, "process.args[0]"} {
		if !strings.Contains(text, w) {
			t.Errorf("no %q in\n%s", w, text)
		}
	}
	calls := b.ok("explain", "--calls", b.dir)
	for _, w := range []string{"mounts[0]: mount proc", "pivot_root", "execve"} {
		if !strings.Contains(calls, w) {
			t.Errorf("no %q in\n%s", w, calls)
		}
	}
	for _, line := range lines(text + "\n" + calls) {
		if len([]rune(line)) > 100 {
			t.Errorf("does not fit: %s", line)
		}
	}
	var plan struct {
		Clone string
		Steps []struct{ Call, Source, Purpose string }
	}
	must(t, json.Unmarshal([]byte(b.ok("explain", "--json", b.dir)), &plan))
	if len(plan.Steps) < 50 || plan.Clone == "" {
		t.Errorf("%d steps", len(plan.Steps))
	}
	b.noTrace()
	if _, err := os.Stat(b.root); err == nil {
		t.Error("explain made a state directory")
	}
}

// Command lines that callers of runc write work here, too.
func TestCallersOfRunc(t *testing.T) {
	b := newBundle(t, "true")
	b.write()
	b.ok("--criu", "/no/such/criu", "run", b.id)
	if help := b.ok("help", "run"); help != b.ok("run", "--help") || !strings.Contains(help, "--detach") {
		t.Errorf("help run: %s", help)
	}
	want(t, "help", b.ok("help"), strings.TrimSpace(b.ok("--help")))
	r := b.rt("--log-format", "json", "state", "nobody")
	var line struct{ Level, Msg string }
	if err := json.Unmarshal([]byte(r.stderr), &line); err != nil || line.Level != "error" || !strings.Contains(line.Msg, "does not exist") {
		t.Errorf("%v: %v", err, r)
	}
	b.spec.Process.Args = []string{"sleep", "1000"}
	b.create()
	if r := b.rt("update", "--kernel-memory", "1m", b.id); r.code != 0 || !strings.Contains(r.stderr, "ignored") {
		t.Error(r)
	}
	cmd := b.command("state", b.id)
	cmd.Dir, cmd.Args[2] = filepath.Dir(b.root), filepath.Base(b.root)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("a relative --root: %v: %s", err, out)
	}
}
