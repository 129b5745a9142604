package engines

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The command lines of Docker and Podman are similar.

// box makes the arguments for running a container with its own name; the test's end
// removes it.
func (e *engine) box(t *testing.T, command string, more []string, args ...string) (id string, line []string) {
	t.Helper()
	id = name()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = e.command(ctx, e.remove(id)...).Run()
	})
	line = []string{command, "--name", id, "--network", "none"}
	if e.kind != "podman" {
		line = append(line, "--runtime", e.runtime)
	} else if !e.rootless {
		line = append(line, "--cgroup-parent", "/"+e.cgroup)
	}
	return id, append(append(append(line, more...), image), args...)
}

// remove is the command that kills and removes a container at once.
func (e *engine) remove(id string) []string {
	if e.kind == "podman" {
		return []string{"rm", "-f", "-t", "0", id} // otherwise it is patient
	}
	return []string{"rm", "-f", id}
}

// runIn runs a container to its end.
func (e *engine) runIn(t *testing.T, more []string, args ...string) (string, int) {
	t.Helper()
	_, line := e.box(t, "run", append([]string{"--rm"}, more...), args...)
	return e.try(t, "", line...)
}

func (e *engine) okIn(t *testing.T, more []string, args ...string) string {
	t.Helper()
	out, code := e.runIn(t, more, args...)
	if code != 0 {
		t.Fatalf("%q %q: exit status %d: %s", more, args, code, out)
	}
	return out
}

// detached starts a container in the background.
func (e *engine) detached(t *testing.T, more []string, args ...string) string {
	t.Helper()
	id, line := e.box(t, "run", append([]string{"-d"}, more...), args...)
	e.ok(t, line...)
	return id
}

func (e *engine) inspect(t *testing.T, id, field string) string {
	t.Helper()
	return e.ok(t, "inspect", "-f", "{{"+field+"}}", id)
}

// limitFile is a file of a container's cgroup, v1 or v2.
func (e *engine) limitFile(t *testing.T, id, v1, v2 string) string {
	t.Helper()
	pid := e.inspect(t, id, ".State.Pid")
	data, err := os.ReadFile("/proc/" + pid + "/cgroup")
	must(t, err)
	controller, file, _ := strings.Cut(v1, "/")
	for line := range strings.Lines(string(data)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		path := ""
		if hasWord(f[1], controller) {
			path = filepath.Join("/sys/fs/cgroup", controller, f[2], file)
		} else if f[1] == "" {
			path = filepath.Join("/sys/fs/cgroup", f[2], v2)
		}
		if data, err := os.ReadFile(path); err == nil {
			return strings.TrimSpace(string(data))
		}
	}
	t.Fatalf("no %s and no %s in %s", v1, v2, data)
	return ""
}

func hasWord(list, word string) bool {
	for w := range strings.SplitSeq(list, ",") {
		if w == word {
			return true
		}
	}
	return false
}

// openDir is a directory that other users can look into.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	must(t, os.Chmod(filepath.Dir(dir), 0o755))
	return dir
}

// endInTheEnd kills a process when the test ends, if it still runs.
func endInTheEnd(t *testing.T, pid string) {
	t.Helper()
	number, err := strconv.Atoi(pid)
	must(t, err)
	fd, err := unix.PidfdOpen(number, 0)
	must(t, err)
	t.Cleanup(func() {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		unix.Close(fd)
	})
}

func sh(script string) []string { return []string{"sh", "-c", script} }

var cliScenarios = []scenario{
	{name: "output of a container", run: func(t *testing.T, e *engine) {
		out := e.okIn(t, nil, sh("echo out; echo err >&2")...)
		contains(t, out, "out", "err")
	}},
	{name: "exit status", run: func(t *testing.T, e *engine) {
		if _, code := e.runIn(t, nil, sh("exit 42")...); code != 42 {
			t.Error(code)
		}
	}},
	{name: "input", run: func(t *testing.T, e *engine) {
		_, line := e.box(t, "run", []string{"--rm", "-i"}, "cat")
		out, _ := e.try(t, "one\ntwo\n", line...)
		equal(t, out, "one\ntwo")
	}},
	{name: "much output", run: func(t *testing.T, e *engine) {
		_, line := e.box(t, "run", []string{"--rm", "--log-driver", "none"}, sh("dd if=/dev/zero bs=1M count=100 2>/dev/null")...)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		out, err := e.command(ctx, line...).Output()
		must(t, err)
		if len(out) != 100<<20 {
			t.Errorf("%d bytes", len(out))
		}
	}},
	{name: "terminal", run: func(t *testing.T, e *engine) {
		_, line := e.box(t, "run", []string{"--rm", "-i", "-t"}, sh("tty; sleep 1; stty size; exec sh")...)
		out, code := e.onTerminal(t, "echo typed-$((6*7))\nexit 7\n", line...)
		contains(t, out, "/dev/pts/0", "33 111", "typed-42")
		if code != 7 {
			t.Errorf("exit status %d", code)
		}
	}},
	{name: "attach", run: func(t *testing.T, e *engine) {
		id := e.detached(t, []string{"-i", "-t"}, "sh")
		out, code := e.onTerminal(t, "echo typed-$((6*7))\nexit 7\n", "attach", id)
		contains(t, out, "typed-42")
		if e.kind == "docker" && code != 7 { // Podman 4.3 does not pass it on
			t.Errorf("exit status %d", code)
		}
	}},
	{name: "command that is not there", run: func(t *testing.T, e *engine) {
		out, code := e.runIn(t, nil, "no-such-command")
		if code != 127 {
			t.Errorf("exit status %d: %s", code, out)
		}
		contains(t, out, "no-such-command")
	}},
	{name: "command that is no program", run: func(t *testing.T, e *engine) {
		out, code := e.runIn(t, nil, "/etc/not-executable")
		if code != 126 {
			t.Errorf("exit status %d: %s", code, out)
		}
		contains(t, strings.ToLower(out), "permission denied")
	}},
	{name: "logs", run: func(t *testing.T, e *engine) {
		id := e.detached(t, nil, sh("echo one; echo two >&2")...)
		e.ok(t, "wait", id)
		eventually(t, "both lines", func() bool {
			out := e.ok(t, "logs", id)
			return strings.Contains(out, "one") && strings.Contains(out, "two")
		})
	}},
	{name: "exec", run: func(t *testing.T, e *engine) {
		id := e.detached(t, nil, "sleep", "1000")
		equal(t, e.exits(t, 3, "exec", id, "sh", "-c", "echo inside; exit 3"), "inside")
	}},
	{name: "exec with input", run: func(t *testing.T, e *engine) {
		id := e.detached(t, nil, "sleep", "1000")
		out, _ := e.try(t, "text", "exec", "-i", id, "cat")
		equal(t, out, "text")
	}},
	{name: "exec on a terminal", run: func(t *testing.T, e *engine) {
		id := e.detached(t, nil, "sleep", "1000")
		out, code := e.onTerminal(t, "exit 4\n", "exec", "-i", "-t", id, "sh", "-c", "tty; exec sh")
		contains(t, out, "/dev/pts/")
		if code != 4 {
			t.Errorf("exit status %d", code)
		}
	}},
	{name: "exec as another user, elsewhere", run: func(t *testing.T, e *engine) {
		id := e.detached(t, nil, "sleep", "1000")
		equal(t, e.ok(t, "exec", "-u", "user", "-w", "/tmp", "-e", "A=b", id, "sh", "-c", "id -u; pwd; echo $A"), "1000\n/tmp\nb")
	}},
	{name: "exec in the background", run: func(t *testing.T, e *engine) {
		id := e.detached(t, nil, "sleep", "1000")
		e.ok(t, "exec", "-d", id, "touch", "/tmp/file")
		eventually(t, "a file", func() bool {
			_, code := e.try(t, "", "exec", id, "test", "-e", "/tmp/file")
			return code == 0
		})
	}},
	{name: "exec of what is not there", run: func(t *testing.T, e *engine) {
		id := e.detached(t, nil, "sleep", "1000")
		out, code := e.try(t, "", "exec", id, "no-such-command")
		if code != 126 && code != 127 {
			t.Errorf("exit status %d: %s", code, out)
		}
		equal(t, e.inspect(t, id, ".State.Running"), "true")
	}},
	{name: "privileged exec", run: func(t *testing.T, e *engine) {
		id := e.detached(t, nil, "sleep", "1000")
		contains(t, e.ok(t, "exec", "--privileged", id, "grep", "CapEff", "/proc/self/status"), "0000")
		if out := e.ok(t, "exec", "--privileged", id, "grep", "CapBnd", "/proc/self/status"); strings.Contains(out, "a80425fb") {
			t.Errorf("no more capabilities: %s", out)
		}
	}},
	{name: "20 execs at once", run: func(t *testing.T, e *engine) {
		id := e.detached(t, nil, "sleep", "1000")
		together(t, 20, func(int) error {
			if out, code := e.try(t, "", "exec", id, "echo", "hello"); out != "hello" || code != 0 {
				return fmt.Errorf("%q, %d", out, code)
			}
			return nil
		})
	}},
	{name: "stats", root: true, run: func(t *testing.T, e *engine) {
		id := e.detached(t, []string{"--memory", "64m"}, "sleep", "1000")
		contains(t, e.ok(t, "stats", "--no-stream", id), id, "B / 6") // 64MiB or 67.11MB
	}},
	{name: "top", run: func(t *testing.T, e *engine) {
		id := e.detached(t, nil, "sleep", "1000")
		contains(t, e.ok(t, "top", id), "sleep 1000")
	}},
	{name: "pause and unpause", root: true, run: func(t *testing.T, e *engine) {
		id := e.detached(t, nil, "sleep", "1000")
		e.ok(t, "pause", id)
		equal(t, e.inspect(t, id, ".State.Status"), "paused")
		e.ok(t, "unpause", id)
		equal(t, e.inspect(t, id, ".State.Status"), "running")
	}},
	{name: "kill with a signal", run: func(t *testing.T, e *engine) {
		id := e.detached(t, nil, sh("trap 'exit 9' USR1; touch /tmp/ready; while :; do sleep 0.05; done")...)
		eventually(t, "the trap", func() bool {
			_, code := e.try(t, "", "exec", id, "test", "-e", "/tmp/ready")
			return code == 0
		})
		e.ok(t, "kill", "-s", "USR1", id)
		equal(t, e.ok(t, "wait", id), "9")
	}},
	{name: "stop", run: func(t *testing.T, e *engine) {
		id := e.detached(t, nil, sh("trap 'exit 5' TERM; touch /tmp/ready; while :; do sleep 0.05; done")...)
		eventually(t, "the trap", func() bool {
			_, code := e.try(t, "", "exec", id, "test", "-e", "/tmp/ready")
			return code == 0
		})
		e.ok(t, "stop", id)
		equal(t, e.inspect(t, id, ".State.ExitCode"), "5")
	}},
	{name: "stop of what does not listen", run: func(t *testing.T, e *engine) {
		id := e.detached(t, nil, "sleep", "1000")
		e.ok(t, "stop", "-t", "1", id)
		equal(t, e.inspect(t, id, ".State.ExitCode"), "137")
	}},
	{name: "start again", run: func(t *testing.T, e *engine) {
		id := e.detached(t, nil, sh("echo once >> /tmp/log; sleep 1000")...)
		e.ok(t, "restart", "-t", "0", id)
		eventually(t, "two lines", func() bool {
			out, _ := e.try(t, "", "exec", id, "wc", "-l", "/tmp/log")
			return strings.HasPrefix(out, "2")
		})
	}},
	{name: "create, then start", run: func(t *testing.T, e *engine) {
		id, line := e.box(t, "create", nil, "echo", "hello")
		e.ok(t, line...)
		equal(t, e.ok(t, "start", "-a", id), "hello")
	}},
	{name: "restart policy", run: func(t *testing.T, e *engine) {
		id := e.detached(t, []string{"--restart", "on-failure:2"}, sh("echo again; exit 1")...)
		eventually(t, "three runs", func() bool { return strings.Count(e.ok(t, "logs", id), "again") == 3 })
	}},
	{name: "removal by force", run: func(t *testing.T, e *engine) {
		id := e.detached(t, nil, "sleep", "1000")
		pid := e.inspect(t, id, ".State.Pid")
		e.ok(t, e.remove(id)...)
		if _, err := os.Stat("/proc/" + pid); err == nil {
			t.Error("its process lives")
		}
	}},
	{name: "init", run: func(t *testing.T, e *engine) {
		out := e.okIn(t, []string{"--init"}, sh("cat /proc/1/comm; echo $$")...)
		if strings.HasPrefix(out, "sh") || strings.HasSuffix(out, "\n1") {
			t.Errorf("the shell is the first process: %q", out)
		}
	}},
	{name: "health check", run: func(t *testing.T, e *engine) {
		id := e.detached(t, []string{"--health-cmd", "test -e /tmp/well", "--health-interval", "1s", "--health-retries", "1"},
			sh("sleep 1; touch /tmp/well; sleep 1000")...)
		if e.kind == "podman" { // its timers are systemd's
			eventually(t, "health", func() bool {
				_, code := e.try(t, "", "healthcheck", "run", id)
				return code == 0
			})
			return
		}
		eventually(t, "health", func() bool { return e.inspect(t, id, ".State.Health.Status") == "healthy" })
	}},
	{name: "memory limit", root: true, run: func(t *testing.T, e *engine) {
		id := e.detached(t, []string{"--memory", "32m"}, "sleep", "1000")
		equal(t, e.limitFile(t, id, "memory/memory.limit_in_bytes", "memory.max"), "33554432")
	}},
	{name: "limit of processes", root: true, run: func(t *testing.T, e *engine) {
		id := e.detached(t, []string{"--pids-limit", "33"}, "sleep", "1000")
		equal(t, e.limitFile(t, id, "pids/pids.max", "pids.max"), "33")
	}},
	{name: "limit of processors", root: true, run: func(t *testing.T, e *engine) {
		id := e.detached(t, []string{"--cpus", "0.5", "--cpu-shares", "512"}, "sleep", "1000")
		contains(t, e.limitFile(t, id, "cpu/cpu.cfs_quota_us", "cpu.max"), "50000")
	}},
	{name: "update", root: true, run: func(t *testing.T, e *engine) {
		id := e.detached(t, []string{"--memory", "32m", "--memory-swap", "64m"}, "sleep", "1000")
		if e.kind == "podman" { // 4.3 knows fewer flags
			e.ok(t, "update", "--memory", "48m", "--memory-swap", "96m", id)
		} else {
			e.ok(t, "update", "--memory", "48m", "--memory-swap", "96m", "--cpu-shares", "512", id)
			equal(t, e.limitFile(t, id, "cpu/cpu.shares", "cpu.weight"), "512")
		}
		equal(t, e.limitFile(t, id, "memory/memory.limit_in_bytes", "memory.max"), "50331648")
	}},
	// Podman 4.3 does not notice on cgroup v1.
	{name: "container out of memory", only: []string{"docker"}, run: func(t *testing.T, e *engine) {
		// Docker does not notice when runc's shim reports the end first.
		eventually(t, "a container that Docker knows to be killed for lack of memory", func() bool {
			id, line := e.box(t, "run", []string{"--memory", "8m"}, sh("a=x; while :; do a=$a$a; done")...)
			e.exits(t, 137, line...)
			return e.inspect(t, id, ".State.OOMKilled") == "true"
		})
	}},
	{name: "capabilities", run: func(t *testing.T, e *engine) {
		out := e.okIn(t, []string{"--cap-drop", "ALL", "--cap-add", "CHOWN"}, "grep", "CapEff", "/proc/self/status")
		contains(t, out, "0000000000000001")
	}},
	{name: "privileged", run: func(t *testing.T, e *engine) {
		e.okIn(t, []string{"--privileged"}, "mount", "-t", "tmpfs", "tmpfs", "/tmp")
	}},
	{name: "seccomp", run: func(t *testing.T, e *engine) {
		if out, code := e.runIn(t, nil, "unshare", "-m", "true"); code == 0 {
			t.Errorf("unshare is allowed: %s", out)
		}
		equal(t, e.okIn(t, nil, "grep", "Seccomp:", "/proc/self/status"), "Seccomp:\t2")
		equal(t, e.okIn(t, []string{"--security-opt", "seccomp=unconfined"}, "grep", "Seccomp:", "/proc/self/status"), "Seccomp:\t0")
	}},
	{name: "no new privileges", run: func(t *testing.T, e *engine) {
		equal(t, e.okIn(t, []string{"--security-opt", "no-new-privileges"}, "grep", "NoNewPrivs", "/proc/self/status"), "NoNewPrivs:\t1")
	}},
	{name: "read-only root file system", run: func(t *testing.T, e *engine) {
		out := e.okIn(t, []string{"--read-only", "--tmpfs", "/tmp"}, sh("touch /tmp/file && ! touch /file")...)
		contains(t, out, "Read-only")
	}},
	{name: "volumes", run: func(t *testing.T, e *engine) {
		dir := openDir(t)
		must(t, os.Chmod(dir, 0o777))
		e.okIn(t, []string{"-v", dir + ":/rw", "-v", dir + ":/ro:ro"}, sh("touch /rw/file; ! touch /ro/other 2>/dev/null")...)
		_, err := os.Stat(filepath.Join(dir, "file"))
		must(t, err)
	}},
	{name: "device", run: func(t *testing.T, e *engine) {
		e.okIn(t, []string{"--device", "/dev/zero:/dev/xyz:r"}, sh("dd if=/dev/xyz of=/dev/null bs=1 count=1 && ! dd if=/dev/null of=/dev/xyz bs=1 count=1 conv=notrunc 2>/dev/null < /dev/null || true")...)
		out := e.okIn(t, []string{"--device", "/dev/zero:/dev/xyz"}, "stat", "-c", "%F", "/dev/xyz")
		equal(t, out, "character special file")
	}},
	{name: "ulimit", run: func(t *testing.T, e *engine) {
		equal(t, e.okIn(t, []string{"--ulimit", "nofile=123:234", "--ulimit", "nproc=1000:1000"}, sh("ulimit -Sn; ulimit -Hn")...), "123\n234")
	}},
	{name: "hostname", run: func(t *testing.T, e *engine) {
		equal(t, e.okIn(t, []string{"--hostname", "somewhere"}, "hostname"), "somewhere")
	}},
	{name: "sysctl", run: func(t *testing.T, e *engine) {
		equal(t, e.okIn(t, []string{"--sysctl", "kernel.msgmax=12345"}, "cat", "/proc/sys/kernel/msgmax"), "12345")
	}},
	{name: "namespaces of the host", run: func(t *testing.T, e *engine) {
		own := ownNamespace(t, "pid")
		equal(t, e.okIn(t, []string{"--pid", "host"}, "readlink", "/proc/self/ns/pid"), own)
	}},
	{name: "namespaces of another container", run: func(t *testing.T, e *engine) {
		id := e.detached(t, []string{"--ipc", "shareable"}, "sleep", "1000")
		theirs := e.ok(t, "exec", id, "sh", "-c", "readlink /proc/self/ns/ipc; readlink /proc/self/ns/pid")
		out := e.okIn(t, []string{"--ipc", "container:" + id, "--pid", "container:" + id}, sh("readlink /proc/self/ns/ipc; readlink /proc/self/ns/pid")...)
		equal(t, out, theirs)
	}},
	{name: "kill in the host's pid namespace", run: func(t *testing.T, e *engine) {
		id := e.detached(t, []string{"--pid", "host"}, sh("sleep 1001 & sleep 1001 & wait")...)
		pid := e.inspect(t, id, ".State.Pid")
		ends := []string{pid}
		eventually(t, "its children run", func() bool {
			data, err := os.ReadFile("/proc/" + pid + "/task/" + pid + "/children")
			must(t, err)
			ends = append(ends[:1], strings.Fields(string(data))...)
			return len(ends) == 3
		})
		for _, child := range ends[1:] {
			endInTheEnd(t, child)
		}
		if e.rootless { // without a cgroup nobody finds the others
			ends = ends[:1]
		}
		e.ok(t, e.remove(id)...)
		eventually(t, "its processes end", func() bool {
			return !slices.ContainsFunc(ends, func(pid string) bool { _, err := os.Stat("/proc/" + pid); return err == nil })
		})
	}},
	{name: "shared memory", run: func(t *testing.T, e *engine) {
		contains(t, e.okIn(t, []string{"--shm-size", "2m"}, "grep", "/dev/shm", "/proc/mounts"), "size=2048k")
	}},
	{name: "copy", run: func(t *testing.T, e *engine) {
		id := e.detached(t, nil, "sleep", "1000")
		file := filepath.Join(openDir(t), "file")
		must(t, os.WriteFile(file, []byte("text"), 0o644))
		e.ok(t, "cp", file, id+":/tmp/file")
		equal(t, e.ok(t, "exec", id, "cat", "/tmp/file"), "text")
	}},
	{name: "commit", run: func(t *testing.T, e *engine) {
		id := e.detached(t, nil, sh("touch /made; sleep 1000")...)
		time.Sleep(500 * time.Millisecond)
		made := name()
		e.ok(t, "commit", id, made)
		t.Cleanup(func() { _ = e.command(context.Background(), "rmi", "-f", made).Run() })
		contains(t, e.ok(t, "diff", id), "A /made")
	}},
	{name: "build", run: func(t *testing.T, e *engine) {
		dir, built := openDir(t), name()
		must(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM "+image+"\nRUN echo built > /built && id -u\nCMD [\"cat\", \"/built\"]\n"), 0o644))
		e.ok(t, "build", "--network", "none", "-t", built, dir)
		t.Cleanup(func() { _ = e.command(context.Background(), "rmi", "-f", built).Run() })
	}},
	{name: "user-namespace mapping", root: true, only: []string{"podman"}, run: func(t *testing.T, e *engine) {
		out := e.okIn(t, []string{"--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"}, "cat", "/proc/self/uid_map")
		contains(t, strings.Join(strings.Fields(out), " "), "0 100000 65536")
	}},
	{name: "groups of the caller", root: true, only: []string{"podman"}, run: func(t *testing.T, e *engine) {
		caller := *e
		caller.client = append([]string{"setpriv", "--groups", "4242"}, e.client...)
		equal(t, caller.okIn(t, []string{"--group-add", "keep-groups"}, "id", "-G"), "0 4242")
	}},
	{name: "volume with mapped ids", root: true, only: []string{"podman"}, run: func(t *testing.T, e *engine) {
		dir := openDir(t)
		must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
		mapped := []string{"--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536", "-v"}
		equal(t, e.okIn(t, append(mapped, dir+":/volume"), "stat", "-c", "%u %g", "/volume/file"), "65534 65534")
		equal(t, e.okIn(t, append(mapped, dir+":/volume:idmap"), "stat", "-c", "%u %g", "/volume/file"), "0 0")
		equal(t, e.okIn(t, append(mapped, dir+":/volume:idmap=uids=0-100005-1;gids=0-100006-1"), "stat", "-c", "%u %g", "/volume/file"), "5 6")
	}},
	{name: "no cgroup", only: []string{"podman"}, run: func(t *testing.T, e *engine) {
		id := name()
		t.Cleanup(func() { _, _ = e.try(t, "", e.remove(id)...) })
		own := e.ok(t, "run", "--rm", "--name", id, "--network", "none", "--cgroups", "disabled", "--cgroupns", "host", image, "cat", "/proc/self/cgroup")
		data, err := os.ReadFile("/proc/self/cgroup")
		must(t, err)
		equal(t, own, strings.TrimSpace(string(data)))
	}},
	{name: "terminal in joined namespaces", run: func(t *testing.T, e *engine) {
		id := e.detached(t, []string{"--ipc", "shareable"}, "sleep", "1000")
		for _, more := range [][]string{{"--pid", "container:" + id}, {"--ipc", "container:" + id}, {"--pid", "host"}} {
			_, line := e.box(t, "run", append([]string{"--rm", "-i", "-t"}, more...), sh("tty; sleep 1; exec sh")...)
			out, code := e.onTerminal(t, "echo typed-$((6*7))\nexit 7\n", line...)
			contains(t, out, "/dev/pts/0", "typed-42")
			if code != 7 {
				t.Errorf("%v: exit status %d, not 7: %s", more, code, out)
			}
		}
	}},
	{name: "pod", only: []string{"podman"}, run: func(t *testing.T, e *engine) {
		pod := name()
		infra := "localhost/infra:latest"
		e.ok(t, "tag", image, infra)
		args := []string{"pod", "create", "--name", pod, "--network", "none", "--infra-image", infra, "--infra-command", "/bin/sleep 1000"}
		if !e.rootless {
			args = append(args, "--cgroup-parent", "/"+e.cgroup)
		}
		e.ok(t, args...)
		t.Cleanup(func() { _ = e.command(context.Background(), "pod", "rm", "-f", "-t", "0", pod).Run() })
		first := e.ok(t, "run", "--rm", "--pod", pod, image, "readlink", "/proc/self/ns/ipc")
		second := e.ok(t, "run", "--rm", "--pod", pod, image, "readlink", "/proc/self/ns/ipc")
		equal(t, first, second)
	}},
	{name: "hooks", only: []string{"podman"}, run: func(t *testing.T, e *engine) {
		dir := openDir(t)
		must(t, os.Chmod(dir, 0o777))
		hook := filepath.Join(dir, "hook")
		must(t, os.WriteFile(hook, []byte("#!/bin/sh\ncat > "+dir+"/state\n"), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, "hook.json"), fmt.Appendf(nil,
			`{"version": "1.0.0", "hook": {"path": %q}, "when": {"always": true}, "stages": ["poststop"]}`, hook), 0o644))
		_, line := e.box(t, "run", []string{"--rm"}, "true")
		e.ok(t, append([]string{"--hooks-dir", dir}, line...)...)
		eventually(t, "the hook's input", func() bool {
			data, _ := os.ReadFile(filepath.Join(dir, "state"))
			return strings.Contains(string(data), `"stopped"`)
		})
	}},
	{name: "engine tells of its runtime", run: func(t *testing.T, e *engine) {
		contains(t, e.ok(t, "info"), e.runtime)
	}},
	{name: "engine restarts while a container runs", only: []string{"docker"}, run: func(t *testing.T, e *engine) {
		id := e.detached(t, nil, sh("while :; do echo alive; sleep 0.1; done")...)
		pid := e.inspect(t, id, ".State.Pid")
		e.restart(t)
		equal(t, e.inspect(t, id, ".State.Pid"), pid)
		equal(t, e.ok(t, "exec", id, "echo", "again"), "again")
		before := strings.Count(e.ok(t, "logs", id), "alive")
		eventually(t, "more output", func() bool { return strings.Count(e.ok(t, "logs", id), "alive") > before })
	}},
	{name: "100 containers at once", run: func(t *testing.T, e *engine) {
		dir := openDir(t)
		must(t, os.Chmod(dir, 0o777))
		together(t, 100, func(i int) error {
			log := filepath.Join(dir, fmt.Sprint(i))
			var more []string
			if e.kind == "podman" {
				more = []string{"--log-opt", "path=" + log}
			}
			if out, code := e.runIn(t, more, sh("echo hello"+e.pause())...); out != "hello" || code != 0 {
				logged, _ := os.ReadFile(log)
				return fmt.Errorf("%q, %d; the container's log: %q", out, code, logged)
			}
			return nil
		})
		equal(t, e.ok(t, "ps", "-a", "-q"), "")
	}},
}
