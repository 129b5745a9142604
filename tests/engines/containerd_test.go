package engines

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// release is a containerd: Debian's, or that of a directory.
type release string

// debian is what is installed.
const debian release = ""

// program is the path of one of the release's programs.
func (r release) program(t testing.TB, name string) string {
	t.Helper()
	if r == debian {
		return name
	}
	return filepath.Join(absolute(t, string(r)), name)
}

// path is where containerd finds shims: rt's, then its own.
func (r release) path(t testing.TB) string {
	t.Helper()
	path := absolute(t, *binaries)
	if r != debian {
		path += ":" + absolute(t, string(r))
	}
	return "PATH=" + path + ":" + os.Getenv("PATH")
}

// start runs containerd until it is stopped.
func (r release) start(t testing.TB, dir, socket, config string) (stop func()) {
	t.Helper()
	return daemon(t, filepath.Join(dir, "log"), []string{r.path(t)}, func() bool {
		return exec.Command(r.program(t, "ctr"), "-a", socket, "version").Run() == nil
	}, r.program(t, "containerd"), "-c", config)
}

// quiet keeps ctr from warnings, of cgroup v1, for one.
var quiet = []string{"CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS=true"}

// newContainerd starts a containerd of the test's own and loads the image.
func newContainerd(t testing.TB, r release) *engine {
	t.Helper()
	dir := t.TempDir()
	socket := filepath.Join(dir, "containerd.sock")
	config := filepath.Join(dir, "config.toml")
	must(t, os.WriteFile(config, fmt.Appendf(nil, `version = 2
root = %q
state = %q
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"]
[grpc]
address = %q
`, filepath.Join(dir, "root"), filepath.Join(dir, "state"), socket), 0o644))
	e := &engine{kind: "containerd", dir: dir, cgroup: name()}
	e.client = []string{r.program(t, "ctr"), "-a", socket, "-n", e.cgroup}
	e.env = quiet
	stop := e.serve(t, func(t testing.TB) func() { return r.start(t, dir, socket, config) })
	t.Cleanup(func() {
		stop()
		unmountBelow(t, dir)
		removeCgroups(e.cgroup)
	})
	e.load(t, image, []string{"sh"}, "image", "import")
	return e
}

func TestContainerd(t *testing.T) {
	for _, runtime := range []struct {
		title, name, binary string
		newest              bool
	}{
		{"containerd 1.6 with rt's shim", "io.containerd.rt.v2", "", false},
		{"containerd 1.6 with runc's shim and rt", "io.containerd.runc.v2", "rt", false},
		{"containerd 1.6 with runc", "io.containerd.runc.v2", "runc", false},
		{"containerd 2 with rt's shim", "io.containerd.rt.v2", "", true},
		{"containerd 2 with runc's shim and rt", "io.containerd.runc.v2", "rt", true},
		{"containerd 2 with runc", "io.containerd.runc.v2", "runc", true},
	} {
		control := runtime.binary == "runc"
		if control && !*compare {
			continue
		}
		t.Run(runtime.title, func(t *testing.T) {
			r := debian
			if runtime.newest {
				r = release(newest(t, *containerd))
			}
			e := newContainerd(t, r)
			e.title, e.runtime, e.control = runtime.title, runtime.name, control
			e.hasty = runtime.name == "io.containerd.runc.v2"
			args := []string{"--runtime", runtime.name}
			if runtime.binary == "rt" {
				args = append(args, "--runc-binary", binary(t, "rt"))
			}
			e.run(t, containerdScenarios(args))
			if runtime.binary != "rt" { // runc's own faults beside, those of its shim
				e.run(t, shimFaults(args))
			}
		})
	}
}

// ctrCleanup removes a container in any state.
func ctrCleanup(t testing.TB, e *engine, id string) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = e.command(ctx, "task", "rm", "-f", id).Run()
		_ = e.command(ctx, "container", "rm", id).Run()
	})
}

// ctrBox is a container that ctr runs.
type ctrBox struct {
	t  *testing.T
	e  *engine
	id string
}

func (b *ctrBox) exec(args ...string) (string, int) {
	b.t.Helper()
	return b.e.try(b.t, "", append([]string{"task", "exec", "--exec-id", name(), b.id}, args...)...)
}

func (b *ctrBox) status() string {
	for line := range strings.Lines(b.e.ok(b.t, "task", "ls")) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == b.id {
			return f[2]
		}
	}
	return ""
}

// containerdScenarios are what people do with ctr, whose run takes flags.
func containerdScenarios(flags []string) []scenario {
	runArgs := func(id string, more []string, args ...string) []string {
		line := append([]string{"run"}, flags...)
		line = append(line, more...)
		return append(append(line, image, id), args...)
	}
	run := func(t *testing.T, e *engine, more []string, args ...string) (string, int) {
		id := name()
		ctrCleanup(t, e, id)
		return e.try(t, "", runArgs(id, append([]string{"--rm"}, more...), args...)...)
	}
	ok := func(t *testing.T, e *engine, more []string, args ...string) string {
		t.Helper()
		out, code := run(t, e, more, args...)
		if code != 0 {
			t.Fatalf("exit status %d: %s", code, out)
		}
		return out
	}
	detached := func(t *testing.T, e *engine, more []string, args ...string) *ctrBox {
		t.Helper()
		id := name()
		ctrCleanup(t, e, id)
		e.ok(t, runArgs(id, append([]string{"-d"}, more...), args...)...)
		return &ctrBox{t, e, id}
	}
	return []scenario{
		{name: "output of a container", run: func(t *testing.T, e *engine) {
			contains(t, ok(t, e, nil, sh("echo out; echo err >&2"+e.pause())...), "out", "err")
		}},
		{name: "exit status", run: func(t *testing.T, e *engine) {
			if _, code := run(t, e, nil, sh("exit 42")...); code != 42 {
				t.Error(code)
			}
		}},
		{name: "input", run: func(t *testing.T, e *engine) {
			id := name()
			ctrCleanup(t, e, id)
			out, _ := e.try(t, "one\ntwo\n", runArgs(id, []string{"--rm"}, "cat")...)
			equal(t, out, "one\ntwo")
		}},
		{name: "much output", run: func(t *testing.T, e *engine) {
			id := name()
			ctrCleanup(t, e, id)
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			cmd := e.command(ctx, runArgs(id, []string{"--rm"}, sh("dd if=/dev/zero bs=1M count=100 2>/dev/null"+e.pause())...)...)
			out, err := cmd.Output()
			must(t, err)
			if len(out) != 100<<20 {
				t.Errorf("%d bytes", len(out))
			}
		}},
		{name: "terminal", run: func(t *testing.T, e *engine) {
			id := name()
			ctrCleanup(t, e, id)
			out, code := e.onTerminal(t, "echo typed-$((6*7))\nexit 7\n", runArgs(id, []string{"--rm", "-t"}, sh("tty; sleep 1; stty size; exec sh")...)...)
			contains(t, out, "/dev/pts/0", "33 111", "typed-42")
			if code != 7 {
				t.Errorf("exit status %d", code)
			}
		}},
		{name: "command that is not there", run: func(t *testing.T, e *engine) {
			out, code := run(t, e, nil, "/no/such")
			if code == 0 {
				t.Error("it succeeds")
			}
			contains(t, out, "no such file or directory")
		}},
		{name: "exec", run: func(t *testing.T, e *engine) {
			b := detached(t, e, nil, "sleep", "1000")
			out, code := b.exec("sh", "-c", "echo inside; exit 3")
			if out != "inside" || code != 3 {
				t.Errorf("%q, %d", out, code)
			}
		}},
		{name: "exec with input", run: func(t *testing.T, e *engine) {
			b := detached(t, e, nil, "sleep", "1000")
			out, _ := e.try(t, "text", "task", "exec", "--exec-id", "in", b.id, "cat")
			equal(t, out, "text")
			if !e.hasty { // more than a pipe holds, read late
				out, _ = e.try(t, strings.Repeat("x", 150_000), "task", "exec", "--exec-id", "much", b.id, "sh", "-c", "sleep 2; wc -c")
				equal(t, out, "150000")
			}
		}},
		{name: "exec on a terminal", run: func(t *testing.T, e *engine) {
			b := detached(t, e, nil, "sleep", "1000")
			out, code := e.onTerminal(t, "exit 4\n", "task", "exec", "-t", "--exec-id", "tty", b.id, "sh", "-c", "tty; exec sh")
			contains(t, out, "/dev/pts/")
			if code != 4 {
				t.Errorf("exit status %d", code)
			}
		}},
		{name: "exec as another user, elsewhere", run: func(t *testing.T, e *engine) {
			b := detached(t, e, nil, "sleep", "1000")
			equal(t, e.ok(t, "task", "exec", "--exec-id", "u", "--user", "1000:1000", "--cwd", "/tmp", b.id, "sh", "-c", "id -u; pwd"), "1000\n/tmp")
		}},
		{name: "exec of what is not there", run: func(t *testing.T, e *engine) {
			b := detached(t, e, nil, "sleep", "1000")
			out, code := b.exec("/no/such")
			if code == 0 {
				t.Error("it succeeds")
			}
			contains(t, out, "no such file or directory")
			equal(t, b.status(), "RUNNING")
		}},
		{name: "50 execs at once", run: func(t *testing.T, e *engine) {
			b := detached(t, e, nil, "sleep", "1000")
			together(t, 50, func(int) error {
				out, code := b.exec(sh("echo hello" + e.pause())...)
				if out != "hello" || code != 0 {
					return fmt.Errorf("%q, %d", out, code)
				}
				return nil
			})
		}},
		{name: "pause and resume", run: func(t *testing.T, e *engine) {
			b := detached(t, e, nil, "sleep", "1000")
			e.ok(t, "task", "pause", b.id)
			equal(t, b.status(), "PAUSED")
			e.ok(t, "task", "resume", b.id)
			equal(t, b.status(), "RUNNING")
		}},
		{name: "signals", run: func(t *testing.T, e *engine) {
			b := detached(t, e, nil, sh("trap 'exit 9' USR1; while :; do sleep 0.05; done")...)
			time.Sleep(time.Second) // until the trap is set
			e.ok(t, "task", "kill", "-s", "SIGUSR1", b.id)
			eventually(t, "it stops", func() bool { return b.status() == "STOPPED" })
			contains(t, e.ok(t, "task", "rm", b.id), "exit code 9")
		}},
		{name: "kill", run: func(t *testing.T, e *engine) {
			b := detached(t, e, nil, "sleep", "1000")
			e.ok(t, "task", "kill", "-s", "SIGKILL", b.id)
			eventually(t, "it stops", func() bool { return b.status() == "STOPPED" })
			contains(t, e.ok(t, "task", "rm", b.id), "exit code 137")
			b = detached(t, e, nil, "sleep", "1000")
			e.ok(t, "task", "pause", b.id)
			e.ok(t, "task", "kill", "-s", "SIGKILL", b.id)
			eventually(t, "a paused one stops", func() bool { return b.status() == "STOPPED" })
		}},
		{name: "remove while it runs", run: func(t *testing.T, e *engine) {
			b := detached(t, e, nil, "sleep", "1000")
			if out, code := e.try(t, "", "task", "rm", b.id); code == 0 {
				t.Errorf("it is removed without force: %s", out)
			}
			_, _ = e.try(t, "", "task", "rm", "-f", b.id) // ends with the container's status
			equal(t, b.status(), "")
		}},
		{name: "metrics", run: func(t *testing.T, e *engine) {
			b := detached(t, e, nil, "sleep", "1000")
			contains(t, e.ok(t, "task", "metrics", b.id), "memory.usage_in_bytes", "cpuacct.usage")
		}},
		{name: "list of processes", run: func(t *testing.T, e *engine) {
			b := detached(t, e, nil, sh("sleep 1000 & sleep 1000")...)
			eventually(t, "two processes", func() bool { return strings.Count(e.ok(t, "task", "ps", b.id), "\n") >= 2 })
		}},
		{name: "memory limit", run: func(t *testing.T, e *engine) {
			b := detached(t, e, []string{"--memory-limit", "33554432"}, "sleep", "1000")
			contains(t, e.ok(t, "task", "metrics", b.id), "33554432")
		}},
		{name: "container out of memory", run: func(t *testing.T, e *engine) {
			events := watch(t, e)
			if _, code := run(t, e, []string{"--memory-limit", "8388608"}, sh("a=x; while :; do a=$a$a; done")...); code != 137 && code != 2 {
				t.Errorf("exit status %d", code)
			}
			eventually(t, "an event", func() bool { return strings.Contains(events(), "/tasks/oom") })
			// With runc's shim the reason may arrive after the end.
			if before, _, _ := strings.Cut(events(), "/tasks/oom"); !e.hasty && strings.Contains(before, "/tasks/exit") {
				t.Error("the reason came after the end")
			}
		}},
		{name: "events", run: func(t *testing.T, e *engine) {
			events := watch(t, e)
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("the events:\n%s", events())
				}
			})
			inOrder := func(text string) bool {
				for _, topic := range []string{"/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"} {
					_, after, found := strings.Cut(text, topic)
					if !found {
						return false
					}
					text = after
				}
				return true
			}
			tries := 1
			if e.hasty { // runc's shim may end before it has published its last events
				tries = 5
			}
			for range tries {
				before := len(events())
				ok(t, e, nil, sh("true"+e.pause())...)
				for deadline := time.Now().Add(patience / time.Duration(tries)); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
					if inOrder(events()[before:]) {
						return
					}
				}
			}
			t.Error("not all events came, in order")
		}},
		{name: "read-only root file system", run: func(t *testing.T, e *engine) {
			out, code := run(t, e, []string{"--read-only"}, "touch", "/file")
			if code == 0 {
				t.Error("it can be written")
			}
			contains(t, out, "Read-only")
		}},
		{name: "bind mount", run: func(t *testing.T, e *engine) {
			dir := t.TempDir()
			ok(t, e, []string{"--mount", "type=bind,src=" + dir + ",dst=/mnt,options=rbind:rw"}, "touch", "/mnt/file")
			_, err := os.Stat(filepath.Join(dir, "file"))
			must(t, err)
		}},
		{name: "environment and directory", run: func(t *testing.T, e *engine) {
			equal(t, ok(t, e, []string{"--env", "A=b", "--cwd", "/tmp"}, sh("echo $A; pwd")...), "b\n/tmp")
		}},
		{name: "capabilities", run: func(t *testing.T, e *engine) {
			contains(t, ok(t, e, []string{"--cap-drop", "CAP_CHOWN"}, "grep", "CapEff", "/proc/self/status"), "00000000a80425fa")
		}},
		{name: "seccomp", run: func(t *testing.T, e *engine) {
			if out, code := run(t, e, []string{"--seccomp"}, "unshare", "-m", "true"); code == 0 {
				t.Errorf("unshare is allowed: %s", out)
			}
			ok(t, e, []string{"--seccomp"}, "true")
		}},
		{name: "network of the host", run: func(t *testing.T, e *engine) {
			own := ownNamespace(t, "net")
			equal(t, ok(t, e, []string{"--net-host"}, "readlink", "/proc/self/ns/net"), own)
		}},
		{name: "pids of the host", run: func(t *testing.T, e *engine) {
			b := detached(t, e, []string{"--with-ns", fmt.Sprintf("pid:/proc/%d/ns/pid", os.Getpid())}, sh("sleep 1001 & sleep 1001 & wait")...)
			eventually(t, "it runs", func() bool { return strings.Count(e.ok(t, "task", "ps", b.id), "\n") >= 3 })
			e.ok(t, "task", "kill", "-s", "SIGKILL", b.id)
			eventually(t, "it stops", func() bool { return b.status() == "STOPPED" })
			contains(t, e.ok(t, "task", "rm", b.id), "exit code 137")
		}},
		{name: "privileged", run: func(t *testing.T, e *engine) {
			ok(t, e, []string{"--privileged"}, "mount", "-t", "tmpfs", "tmpfs", "/tmp")
		}},
		{name: "logger of a file", run: func(t *testing.T, e *engine) {
			file := filepath.Join(t.TempDir(), "below", "log")
			detached(t, e, []string{"--log-uri", "file://" + file},
				sh("echo line; chmod 4777 /proc/self/fd/1; : > /proc/self/fd/1; echo error >&2"+e.pause())...)
			eventually(t, "the log", func() bool {
				data, _ := os.ReadFile(file)
				return strings.Contains(string(data), "line\n") && strings.Contains(string(data), "error\n")
			})
			// The file is on the host, whatever the container does to its output.
			info, err := os.Stat(file)
			must(t, err)
			if owner := info.Sys().(*syscall.Stat_t).Uid; info.Mode() != 0o644 || owner != 0 {
				t.Errorf("the log is %v and belongs to %d", info.Mode(), owner)
			}
		}},
		{name: "logger of a program", run: func(t *testing.T, e *engine) {
			dir := t.TempDir()
			logger := filepath.Join(dir, "logger")
			must(t, os.WriteFile(logger, []byte(`#!/bin/sh
exec 5>&-
echo "$CONTAINER_NAMESPACE $1 $2" > `+dir+`/about
cat <&3 > `+dir+`/out & cat <&4 > `+dir+`/err; wait
`), 0o755))
			detached(t, e, []string{"--log-uri", "binary://" + logger + "?key=value"}, sh("echo line; echo error >&2")...)
			for file, want := range map[string]string{"about": e.cgroup + " key value\n", "out": "line\n", "err": "error\n"} {
				eventually(t, file, func() bool {
					data, _ := os.ReadFile(filepath.Join(dir, file))
					return string(data) == want
				})
			}
		}},
		{name: "engine restarts while a container runs", run: func(t *testing.T, e *engine) {
			b := detached(t, e, nil, sh("while :; do echo alive; sleep 0.1; done")...)
			e.restart(t)
			equal(t, b.status(), "RUNNING")
			out, code := b.exec("echo", "again")
			if out != "again" || code != 0 {
				t.Errorf("%q, %d", out, code)
			}
			e.ok(t, "task", "kill", "-s", "SIGKILL", b.id)
			eventually(t, "it stops", func() bool { return b.status() == "STOPPED" })
			contains(t, e.ok(t, "task", "rm", b.id), "exit code 137")
		}},
		{name: "shim that is killed", run: func(t *testing.T, e *engine) {
			b := detached(t, e, nil, "sleep", "1000")
			pid := strings.Fields(e.ok(t, "task", "ps", b.id))[2]
			must(t, exec.Command("kill", "-9", parent(t, pid)).Run())
			eventually(t, "nothing is left", func() bool {
				_, err := os.Stat("/proc/" + pid)
				return os.IsNotExist(err) && b.status() == ""
			})
			// The id can be used again at once.
			e.ok(t, "container", "rm", b.id)
			e.ok(t, runArgs(b.id, []string{"-d"}, "sleep", "1000")...)
			equal(t, b.status(), "RUNNING")
		}},
		{name: "root file system that is busy", run: func(t *testing.T, e *engine) {
			b := detached(t, e, nil, "true")
			eventually(t, "it stops", func() bool { return b.status() == "STOPPED" })
			busy, err := os.Open(filepath.Join(e.dir, "state/io.containerd.runtime.v2.task", e.cgroup, b.id, "rootfs"))
			must(t, err)
			out, code := e.try(t, "", "task", "rm", b.id)
			busy.Close()
			if code == 0 {
				t.Errorf("it is removed: %s", out)
			}
			e.ok(t, "task", "rm", b.id)
			equal(t, b.status(), "")
		}},
		{name: "execs end before their container", run: func(t *testing.T, e *engine) {
			b := detached(t, e, nil, "sleep", "1000")
			for i := range 5 {
				e.ok(t, "task", "exec", "-d", "--exec-id", fmt.Sprint("exec", i), b.id, "sleep", "1000")
			}
			events := watch(t, e)
			e.ok(t, "task", "kill", "-s", "SIGKILL", b.id)
			var ends []string
			eventually(t, "all ends", func() bool {
				ends = nil
				for line := range strings.Lines(events()) {
					if strings.Contains(line, "/tasks/exit") && strings.Contains(line, b.id) {
						ends = append(ends, line)
					}
				}
				return len(ends) == 6
			})
			contains(t, ends[5], fmt.Sprintf("%q:%q", "id", b.id))
		}},
		{name: "containers of a group", run: func(t *testing.T, e *engine) {
			group := []string{"--label", "x=y", "--annotation", "io.containerd.runc.v2.group=" + name()}
			a, b := detached(t, e, group, "sleep", "1000"), detached(t, e, group, "sleep", "1000")
			shims := map[string]bool{}
			for _, box := range []*ctrBox{a, b} {
				pid := strings.Fields(e.ok(t, "task", "ps", box.id))[2]
				shims[parent(t, pid)] = true
				out, code := box.exec("echo", "here")
				if out != "here" || code != 0 {
					t.Errorf("%q, %d", out, code)
				}
			}
			if len(shims) != 1 {
				t.Errorf("%d shims for one group", len(shims))
			}
		}},
		{name: "100 containers at once", run: func(t *testing.T, e *engine) {
			together(t, 100, func(int) error {
				if out, code := run(t, e, nil, sh("echo hello"+e.pause())...); out != "hello" || code != 0 {
					return fmt.Errorf("%q, %d", out, code)
				}
				return nil
			})
			equal(t, e.ok(t, "task", "ls", "-q"), "")
		}},
	}
}

// together does something many times at once, 8 at a time because of small machines.
func together(t *testing.T, n int, do func(i int) error) {
	t.Helper()
	crowd(t, n, 8, do)
}

// crowd does something n times, so many at once as there are places.
func crowd(t *testing.T, n, size int, do func(i int) error) {
	t.Helper()
	var wg sync.WaitGroup
	places := make(chan struct{}, size)
	for i := range n {
		wg.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			if err := do(i); err != nil {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	wg.Wait()
}

// watch follows the engine's events.
func watch(t *testing.T, e *engine) func() string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	file := filepath.Join(t.TempDir(), "events")
	f, err := os.Create(file)
	must(t, err)
	defer f.Close()
	cmd := e.command(ctx, "events")
	cmd.Stdout = f
	must(t, cmd.Start())
	t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	read := func() string {
		data, _ := os.ReadFile(file)
		return string(data)
	}
	eventually(t, "it has subscribed", func() bool {
		e.ok(t, "namespaces", "label", e.cgroup, "watched="+name())
		return strings.Contains(read(), "/namespaces/update")
	})
	return read
}
