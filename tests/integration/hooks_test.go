package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// recorder is a hook that writes its name, namespaces and standard input to a
// file of the host, or prints it in the container.
func recorder(file, name string) specs.Hook {
	return specs.Hook{
		Path: "/bin/sh", Args: []string{"sh", "-c", fmt.Sprintf(`{ echo %s; readlink /proc/self/ns/mnt; readlink /proc/self/ns/net; cat; } >> %s`, name, file)},
		Env: []string{"PATH=/bin:/usr/bin"},
	}
}

// record is what a recorder wrote.
type record struct {
	name, mount, network string
	state                specs.State
}

func records(t *testing.T, file string) []record {
	t.Helper()
	data, err := os.ReadFile(file)
	must(t, err)
	l := lines(string(data))
	var list []record
	for i := 0; i+3 < len(l); i += 4 {
		r := record{name: l[i], mount: l[i+1], network: l[i+2]}
		must(t, json.Unmarshal([]byte(l[i+3]), &r.state))
		list = append(list, r)
	}
	return list
}

func names(list []record) string {
	var s []string
	for _, r := range list {
		s = append(s, r.name)
	}
	return strings.Join(s, " ")
}

func TestHooksInOrder(t *testing.T) {
	for _, oneStep := range []bool{false, true} {
		b := newBundle(t, "sleep 0.2")
		b.spec.Root.Readonly = false
		b.spec.Annotations = map[string]string{"key": "value"}
		file := filepath.Join(b.dir, "record")
		inside := b.path("record")
		b.spec.Hooks = &specs.Hooks{
			Prestart: []specs.Hook{recorder(file, "prestart")}, CreateRuntime: []specs.Hook{recorder(file, "createRuntime"), recorder(file, "createRuntime2")},
			CreateContainer: []specs.Hook{recorder(file, "createContainer")}, StartContainer: []specs.Hook{recorder("/record", "startContainer")},
			Poststart: []specs.Hook{recorder(file, "poststart")}, Poststop: []specs.Hook{recorder(file, "poststop")},
		}
		if oneStep {
			b.run()
		} else {
			b.create()
			want(t, "after create", names(records(t, file)), "prestart createRuntime createRuntime2 createContainer")
			b.ok("start", b.id)
			want(t, "after start", names(records(t, file)), "prestart createRuntime createRuntime2 createContainer poststart")
			b.waitFor(specs.StateStopped)
			b.ok("delete", b.id)
		}
		list := records(t, file)
		want(t, "order", names(list), "prestart createRuntime createRuntime2 createContainer poststart poststop")
		own, _ := os.Readlink("/proc/self/ns/mnt")
		for _, r := range append(list, records(t, inside)...) {
			inContainer := r.name == "createContainer" || r.name == "startContainer"
			if (r.mount != own) != inContainer {
				t.Errorf("%s runs in %s, the host's is %s", r.name, r.mount, own)
			}
			checkHookState(t, b, r, inContainer)
		}
	}
}

func checkHookState(t *testing.T, b *bundle, r record, inContainer bool) {
	t.Helper()
	status := map[string]specs.ContainerState{"poststart": specs.StateRunning, "poststop": specs.StateStopped}[r.name]
	if status == "" {
		status = specs.StateCreated
	}
	if r.state.Status != status || r.state.ID != b.id || r.state.Bundle != b.dir || r.state.Annotations["key"] != "value" {
		t.Errorf("%s: state %+v", r.name, r.state)
	}
	switch {
	case r.name == "poststop" && r.state.Pid != 0, inContainer && r.state.Pid != 1, r.name == "prestart" && r.state.Pid < 2:
		t.Errorf("%s: pid %d", r.name, r.state.Pid)
	}
}

func TestFailingHooks(t *testing.T) {
	for name, set := range map[string]func(h *specs.Hooks, list []specs.Hook){
		"hooks.prestart":        func(h *specs.Hooks, l []specs.Hook) { h.Prestart = l },
		"hooks.createRuntime":   func(h *specs.Hooks, l []specs.Hook) { h.CreateRuntime = l },
		"hooks.createContainer": func(h *specs.Hooks, l []specs.Hook) { h.CreateContainer = l },
		"hooks.startContainer":  func(h *specs.Hooks, l []specs.Hook) { h.StartContainer = l },
		"hooks.poststart":       func(h *specs.Hooks, l []specs.Hook) { h.Poststart = l },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t, "sleep 1000")
			file := filepath.Join(b.dir, "record")
			b.spec.Hooks = &specs.Hooks{Poststop: []specs.Hook{recorder(file, "poststop")}}
			set(b.spec.Hooks, []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "echo told why; exit 5"}}})
			b.write()
			words := []string{name + "[0]", "exit status 5"}
			b.fails(words, "run", b.id)
			b.noTrace()
			want(t, "poststop hooks", names(records(t, file)), "poststop")

			must(t, os.Remove(file))
			if name == "hooks.startContainer" || name == "hooks.poststart" {
				b.ok("create", b.id)
				b.fails(words, "start", b.id)
			} else {
				b.fails(append(words, "told why"), "create", b.id)
			}
			b.noTrace()
			want(t, "poststop hooks", names(records(t, file)), "poststop")
		})
	}
}

func TestLateHooks(t *testing.T) {
	for name, set := range map[string]func(h *specs.Hooks, list []specs.Hook){
		"hooks.createRuntime":   func(h *specs.Hooks, l []specs.Hook) { h.CreateRuntime = l },
		"hooks.createContainer": func(h *specs.Hooks, l []specs.Hook) { h.CreateContainer = l },
		"hooks.startContainer":  func(h *specs.Hooks, l []specs.Hook) { h.StartContainer = l },
	} {
		b := newBundle(t, "true")
		b.spec.Hooks = &specs.Hooks{}
		set(b.spec.Hooks, []specs.Hook{{Path: "/bin/sleep", Args: []string{"sleep", "100"}, Timeout: ptr(1)}})
		b.write()
		began := time.Now()
		b.fails([]string{name + "[0]", "timeout of 1 s"}, "run", b.id)
		if d := time.Since(began); d > patience(20*time.Second) {
			t.Errorf("%s: %v", name, d)
		}
		b.noTrace()
	}
}

func TestFailingPoststopHookIsAWarning(t *testing.T) {
	b := newBundle(t, "true")
	file := filepath.Join(b.dir, "record")
	b.spec.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: "/bin/false"}, recorder(file, "second")}}
	b.write()
	r := b.rt("run", b.id)
	if r.code != 0 || !strings.Contains(r.stderr, "hooks.poststop[0]") {
		t.Error(r)
	}
	want(t, "hooks", names(records(t, file)), "second")
}

func TestHookWithoutAProgram(t *testing.T) {
	b := newBundle(t, "true")
	b.spec.Hooks = &specs.Hooks{CreateContainer: []specs.Hook{{Path: "/no/such/hook"}}}
	b.write()
	b.fails([]string{"hooks.createContainer[0]", "/no/such/hook", "no such file"}, "run", b.id)
}

// Hooks find the container's mounts at root.path in its mount namespace, and may complete
// them, as those of NVIDIA's toolkit do.
func TestHooksSeeTheMounts(t *testing.T) {
	// complete mounts something on a directory below the current one.
	const complete = `test -d proc/1; test -c dev/null; touch made-$0; mount -t tmpfs none $0; echo $0 > $0/file`
	hook := func(args ...string) []specs.Hook {
		return []specs.Hook{{Path: "/bin/sh", Args: append([]string{"sh", "-ec"}, args...), Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}}}
	}
	for name, change := range map[string]func(b *bundle){
		"default": func(*bundle) {},
		"rshared": func(b *bundle) { b.spec.Linux.RootfsPropagation = "rshared" },
		"user namespace": func(b *bundle) {
			b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
			mapped(b)
		},
		"symlink": func(b *bundle) {
			must(t, os.Symlink("rootfs", filepath.Join(b.dir, "link")))
			b.spec.Root.Path = "link"
		},
	} {
		for _, flags := range [][]string{nil, {"--no-pivot"}} {
			t.Run(fmt.Sprint(name, flags), func(t *testing.T) {
				b := newBundle(t, "cat mnt1/file mnt2/file; touch /new 2>/dev/null || echo read-only; ls masked")
				b.spec.Root.Readonly = true
				b.spec.Linux.MaskedPaths = append(b.spec.Linux.MaskedPaths, "/masked")
				change(b)
				for _, dir := range []string{"mnt1", "mnt2", "masked", "."} {
					must(t, os.MkdirAll(b.path(dir), 0o755))
					must(t, os.Chmod(b.path(dir), 0o777)) // for the root of the user namespace
				}
				b.spec.Hooks = &specs.Hooks{
					CreateRuntime:   hook(`pid=$(sed 's/.*"pid":\([0-9]*\).*/\1/'); cd /; nsenter -t $pid -m sh -ec "cd $0; $1" mnt1`, b.path("."), complete),
					CreateContainer: hook(`test "$(pwd -P)" = $1; touch masked/file; `+complete, "mnt2", b.path(".")),
				}
				want(t, "in the container", b.run(flags...), "mnt1\nmnt2\nread-only")
			})
		}
	}
}

// The root of the container's user namespace cannot reach the bundle.
func TestHooksOfAClosedBundle(t *testing.T) {
	for _, name := range []string{"", "rshared"} {
		b := newBundle(t, "echo runs")
		b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		mapped(b)
		must(t, os.Chmod(b.dir, 0o700))
		b.spec.Linux.RootfsPropagation = name
		b.spec.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/true"}}, CreateContainer: []specs.Hook{{Path: "/bin/true"}}}
		want(t, "output", b.run(), "runs")
	}
}

// A start that waits for a hook without a timeout does not block delete.
func TestForceDeleteWhileAHookRuns(t *testing.T) {
	b := newBundle(t, "true")
	b.spec.Root.Readonly = false
	b.spec.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "touch /begun; sleep 1000"}, Env: []string{"PATH=/bin"}}}}
	b.create()
	started := make(chan result, 1)
	go func() { started <- b.rt("start", b.id) }()
	eventually(t, "the hook runs", func() bool {
		_, err := os.Stat(b.path("begun"))
		return err == nil
	})
	b.ok("delete", "--force", b.id)
	if r := <-started; r.code != 1 {
		t.Errorf("start: %v", r)
	}
	b.noTrace()
}

// Hooks run in the bundle's directory, and may call rt.
func TestHooksThatCallRT(t *testing.T) {
	hook := func(script string) []specs.Hook {
		return []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", script}, Env: []string{"PATH=/usr/bin:/bin"}, Timeout: ptr(int(patience(20*time.Second) / time.Second))}}
	}
	b := newBundle(t, "sleep 1000")
	call := func(args string) string { return rtPath + " --root " + b.root + " " + args }
	b.spec.Hooks = &specs.Hooks{
		// A container that is being created cannot be paused, and pause does not wait for
		// it.
		CreateRuntime: hook("pwd > cwd; " + call("pause "+b.id) + " 2> paused; " + call("state "+b.id) + " > created"),
		Poststart:     hook("pwd >> cwd; " + call("update --pids-limit 100 "+b.id) + " && " + call("pause "+b.id) + " && " + call("resume "+b.id)),
		Poststop:      hook("pwd >> cwd; " + call("state "+b.id) + "; test $? = 1 && touch gone"),
	}
	if !has("pids") {
		b.spec.Hooks.Poststart = hook("pwd >> cwd; " + call("pause "+b.id) + " && " + call("resume "+b.id))
	}
	read := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(b.dir, name))
		must(t, err)
		return string(text)
	}
	b.create()
	if s := read("paused"); !strings.Contains(s, "cannot pause a container that is creating") {
		t.Errorf("pause in createRuntime: %s", s)
	}
	if s := read("created"); !strings.Contains(s, `"creating"`) {
		t.Errorf("state in createRuntime: %s", s)
	}
	b.ok("start", b.id)
	b.waitFor(specs.StateRunning)
	b.ok("delete", "--force", b.id)
	want(t, "working directories", read("cwd"), b.dir+"\n"+b.dir+"\n"+b.dir)
	read("gone")

	b.spec.Process.Args = []string{"true"}
	b.spec.Hooks.Poststart, b.spec.Hooks.Poststop = nil, nil
	b.run()
	if s := read("paused"); !strings.Contains(s, "cannot pause a container that is creating") {
		t.Errorf("pause in createRuntime of run: %s", s)
	}

	// A failing one ends the container, if it has not deleted it itself.
	b.spec.Process.Args = []string{"sleep", "1000"}
	b.spec.Hooks = &specs.Hooks{Poststart: hook(call("delete --force "+b.id) + "; exit 1")}
	b.write()
	b.fails([]string{"hooks.poststart"}, "run", b.id)
	b.ok("create", b.id)
	b.fails([]string{"hooks.poststart"}, "start", b.id)
	b.noTrace()
}
