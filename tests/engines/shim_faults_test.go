package engines

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// shimFaults are what a node does to containerd and to its shims. What is left is looked
// for after each, and the id is used again.
func shimFaults(flags []string) []scenario {
	atEveryStep := func(name string, do func(b *faultyBox)) scenario {
		return scenario{name: name + " at every step", run: func(t *testing.T, e *engine) {
			for _, s := range faultSteps {
				t.Run(s.name, func(t *testing.T) {
					b := newFaultyBox(t, e, flags, s)
					do(b)
					b.finish()
				})
			}
		}}
	}
	return []scenario{
		{name: "client killed while a hook hangs", run: func(t *testing.T, e *engine) {
			for _, s := range faultSteps {
				if s.hangs {
					t.Run(s.name, func(t *testing.T) {
						b := newFaultyBox(t, e, flags, s)
						signal(t, b.client.Process.Pid, unix.SIGKILL)
						time.Sleep(200 * time.Millisecond) // containerd notices
						b.release()
						b.finish()
					})
				}
			}
		}},
		atEveryStep("containerd killed", func(b *faultyBox) {
			signal(b.t, daemonPid(b.t, b.e), unix.SIGKILL)
			b.restart()
		}),
		atEveryStep("containerd restarted", func(b *faultyBox) { b.restart() }),
		atEveryStep("containerd stopped for a while", func(b *faultyBox) {
			pid := daemonPid(b.t, b.e)
			signal(b.t, pid, unix.SIGSTOP)
			defer signal(b.t, pid, unix.SIGCONT)
			b.release()
			if b.step.status == "RUNNING" { // what is frozen would not end
				signal(b.t, b.pid, unix.SIGKILL) // nobody hears of it yet
				b.gone = true
			}
			time.Sleep(500 * time.Millisecond)
		}),
		atEveryStep("shim killed", func(b *faultyBox) {
			if pid := b.shim(); pid != 0 {
				signal(b.t, pid, unix.SIGKILL)
				b.killed = true
			}
			b.release()
		}),
		{name: "reader that hangs", run: func(t *testing.T, e *engine) {
			b := newFaultyBox(t, e, flags, beforeCreate)
			client := b.talk()
			signal(t, client.Process.Pid, unix.SIGSTOP)
			defer signal(t, client.Process.Pid, unix.SIGCONT)
			time.Sleep(200 * time.Millisecond) // until the fifo is full
			out, code := b.exec("echo", "inside")
			if out != "inside" || code != 0 {
				t.Errorf("%q, %d", out, code)
			}
			b.finish()
		}},
		{name: "reader that vanishes", run: func(t *testing.T, e *engine) {
			b := newFaultyBox(t, e, flags, beforeCreate)
			signal(t, b.talk().Process.Pid, unix.SIGKILL)
			time.Sleep(200 * time.Millisecond)
			b.finish()
		}},
		{name: "reader that comes late", run: func(t *testing.T, e *engine) {
			b := newFaultyBox(t, e, flags, beforeCreate)
			b.run(sh("sleep 0.5; echo early; sleep 1; echo late; sleep 0.5")...) // ctr is gone by then
			time.Sleep(time.Second)
			out, code := e.try(t, "", "task", "attach", b.id)
			if code != 0 {
				t.Errorf("exit status %d", code)
			}
			contains(t, out, "late")
			if !e.hasty { // runc's shim reads what nobody else does
				contains(t, out, "early")
			}
			b.finish()
		}},
		{name: "log on a full disk", run: func(t *testing.T, e *engine) {
			b := newFaultyBox(t, e, flags, beforeCreate)
			small := t.TempDir()
			must(t, unix.Mount("tmpfs", small, "tmpfs", 0, "size=65536"))
			t.Cleanup(func() { _ = unix.Unmount(small, unix.MNT_DETACH) })
			b.flags = append(slices.Clone(flags), "--log-uri", "file://"+small+"/log")
			b.run(sh("dd if=/dev/zero bs=64k count=16; sleep 1000")...)
			eventually(t, "the disk is full", func() bool {
				info, err := os.Stat(small + "/log")
				return err == nil && info.Size() == 65536
			})
			out, code := b.exec("echo", "inside")
			if out != "inside" || code != 0 {
				t.Errorf("%q, %d", out, code)
			}
			b.flags = flags
			b.finish()
		}},
		{name: "frozen container beside another", run: func(t *testing.T, e *engine) {
			b, other := newGroup(t, e, flags)
			b.run("sleep", "1000")
			e.ok(t, "task", "pause", b.id)
			other.run("sleep", "1000")
			out, code := other.exec("echo", "inside")
			if out != "inside" || code != 0 {
				t.Errorf("%q, %d", out, code)
			}
			e.ok(t, "task", "metrics", b.id)
			contains(t, e.ok(t, "task", "ps", b.id), strconv.Itoa(b.pid))
			if out, code := b.exec("true"); code == 0 {
				t.Errorf("a process starts in a frozen container: %s", out)
			}
			b.shares = true
			b.finish()
			other.finish()
			b.shares = false
			b.nothingLeft()
		}},
		{name: "throttled container beside another", run: func(t *testing.T, e *engine) {
			b, other := newGroup(t, e, flags)
			b.flags = append(slices.Clone(b.flags), "--cpu-quota", "1000", "--cpu-period", "1000000")
			b.run(sh("while :; do :; done")...)
			for i := range 4 {
				ctx, cancel := context.WithCancel(t.Context())
				exec := e.command(ctx, "task", "exec", "--exec-id", fmt.Sprint("exec", i), b.id, "true")
				must(t, exec.Start())
				defer func() { cancel(); _ = exec.Wait() }()
			}
			began := time.Now()
			other.run("sleep", "1000")
			for range 5 {
				out, code := other.exec("echo", "inside")
				if out != "inside" || code != 0 {
					t.Errorf("%q, %d", out, code)
				}
			}
			if took := time.Since(began); took > patience/6 {
				t.Errorf("the other container takes %v", took)
			}
			b.flags = other.flags
			b.shares = true
			b.finish()
			other.finish()
			b.shares = false
			b.nothingLeft()
		}},
	}
}

// beforeCreate is no fault: the scenario makes the container.
var beforeCreate = faultStep{reach: func(*faultyBox) {}}

// newGroup is two containers of one shim.
func newGroup(t *testing.T, e *engine, flags []string) (b, other *faultyBox) {
	t.Helper()
	flags = append(slices.Clone(flags), "--annotation", "io.containerd.runc.v2.group="+name())
	return newFaultyBox(t, e, flags, beforeCreate), newFaultyBox(t, e, flags, beforeCreate)
}

// talk runs a container in the foreground that writes without end, and returns its client,
// whose output nobody reads.
func (b *faultyBox) talk() *exec.Cmd {
	b.t.Helper()
	cmd := b.e.command(context.Background(), append(append(append([]string{"run"}, b.flags...), image, b.id), "yes")...)
	r, w, err := os.Pipe()
	must(b.t, err)
	cmd.Stdout = w
	must(b.t, cmd.Start())
	w.Close()
	b.client = cmd
	b.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		r.Close()
	})
	eventually(b.t, "it runs", func() bool { return b.status() == "RUNNING" })
	b.learn()
	return cmd
}

// faultStep is a step of a container's life at which something goes wrong.
type faultStep struct {
	name  string
	reach func(b *faultyBox)
	// status is the task's afterwards, if it must have one.
	status string
	// hangs is true if a hook hangs.
	hangs bool
	// ended is true if the container's process has, with exit status 7.
	ended bool
}

var faultSteps = []faultStep{
	{name: "before create", reach: func(b *faultyBox) { b.e.ok(b.t, "container", "create", image, b.id) }},
	{name: "creating", hangs: true, reach: func(b *faultyBox) { b.hang("createRuntime") }},
	{name: "starting", hangs: true, reach: func(b *faultyBox) { b.hang("startContainer") }},
	{name: "started", status: "RUNNING", reach: func(b *faultyBox) { b.run("sleep", "1000") }},
	{name: "exec running", status: "RUNNING", reach: func(b *faultyBox) {
		b.run("sleep", "1000")
		b.e.ok(b.t, "task", "exec", "-d", "--exec-id", "exec", b.id, "sleep", "1000")
	}},
	{name: "paused", status: "PAUSED", reach: func(b *faultyBox) {
		b.run("sleep", "1000")
		b.e.ok(b.t, "task", "pause", b.id)
	}},
	{name: "ended", status: "STOPPED", ended: true, reach: func(b *faultyBox) {
		b.run(sh("exit 7")...)
		eventually(b.t, "it stops", func() bool { return b.status() == "STOPPED" })
		b.pid = 0
	}},
	{name: "deleting", hangs: true, ended: true, reach: func(b *faultyBox) { b.hangAtDelete() }},
}

// faultyBox is a container to which something happens.
type faultyBox struct {
	*ctrBox
	flags []string
	// dir is of the test's own.
	dir  string
	step faultStep
	// pid is the container's process, 0 if it has none.
	pid int
	// release lets a hook end that hangs, for which the client waits.
	release func()
	client  *exec.Cmd
	events  func() string
	// killed is true if the shim was, restarted if containerd was, gone if the
	// container's process was killed.
	killed, restarted, gone bool
	// shares is true as long as another container has the same shim.
	shares bool
	// address is the socket of the shim, once there was one.
	address string
}

// newFaultyBox brings a container to a step.
func newFaultyBox(t *testing.T, e *engine, flags []string, s faultStep) *faultyBox {
	t.Helper()
	b := &faultyBox{ctrBox: &ctrBox{t, e, name()}, flags: flags, step: s, dir: t.TempDir(), release: func() {}}
	t.Cleanup(b.sweep)
	ctrCleanup(t, e, b.id)
	b.events = watch(t, e)
	s.reach(b)
	return b
}

// sweep ends and removes what a faulty shim has left.
func (b *faultyBox) sweep() {
	if !b.t.Failed() {
		return
	}
	if pid := b.shim(); pid != 0 {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	for _, dir := range b.cgroups() {
		data, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		for line := range strings.FieldsSeq(string(data)) {
			pid, _ := strconv.Atoi(line)
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
	for _, path := range append(b.states(), b.address) {
		_ = os.RemoveAll(path)
	}
}

// cgroups are the container's that are there.
func (b *faultyBox) cgroups() (dirs []string) {
	for _, pattern := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
		found, _ := filepath.Glob(filepath.Join(pattern, b.e.cgroup, b.id))
		dirs = append(dirs, found...)
	}
	return dirs
}

// states are where runtimes keep the container's state.
func (b *faultyBox) states() []string {
	return []string{"/run/containerd/rt/" + b.e.cgroup + "/" + b.id, "/run/containerd/runc/" + b.e.cgroup + "/" + b.id}
}

// run runs the container.
func (b *faultyBox) run(args ...string) {
	b.t.Helper()
	b.e.ok(b.t, append(append(append([]string{"run", "-d"}, b.flags...), image, b.id), args...)...)
	b.learn()
}

// learn looks at a container that runs.
func (b *faultyBox) learn() {
	b.t.Helper()
	b.address = b.socket()
	for line := range strings.Lines(b.e.ok(b.t, "task", "ls")) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == b.id {
			b.pid, _ = strconv.Atoi(f[1])
		}
	}
}

// hang runs the container with a hook of a kind that hangs until it is released.
func (b *faultyBox) hang(kind string) {
	b.t.Helper()
	b.await(append(append([]string{"run", "-d"}, b.flags...), "--config", b.hooked(kind, "exec sleep 1000"), b.id)...)
}

// hangAtDelete runs a container that ends, and removes it: a hook hangs then.
func (b *faultyBox) hangAtDelete() {
	b.t.Helper()
	b.e.ok(b.t, append(append([]string{"run", "-d"}, b.flags...), "--config", b.hooked("poststop", "exit 7"), b.id)...)
	eventually(b.t, "it stops", func() bool { return b.status() == "STOPPED" })
	b.await("task", "rm", b.id)
}

// hooked makes a configuration with a hook that hangs, and returns its file.
func (b *faultyBox) hooked(kind, script string) string {
	b.t.Helper()
	rootfs := filepath.Join(b.dir, "rootfs")
	for _, dir := range []string{"bin", "proc", "dev", "sys", "tmp", "shared"} {
		must(b.t, os.MkdirAll(filepath.Join(rootfs, dir), 0o755))
	}
	must(b.t, copyFile("/bin/busybox", filepath.Join(rootfs, "bin/busybox")))
	must(b.t, os.Symlink("busybox", filepath.Join(rootfs, "bin/sleep")))
	shared := b.shared()
	if kind == "startContainer" {
		shared = "/shared" // it runs in the container
	}
	hook := fmt.Sprintf("echo > %s/hangs; while [ ! -e %s/go ]; do /bin/busybox sleep 0.05; done", shared, shared)
	data, err := json.Marshal(map[string]any{
		"ociVersion": "1.0.2",
		"process": map[string]any{
			"args": []string{"/bin/busybox", "sh", "-c", script}, "cwd": "/", "user": map[string]any{}, "env": []string{"PATH=/bin"},
		},
		"root":   map[string]any{"path": rootfs},
		"mounts": []any{map[string]any{"destination": "/proc", "type": "proc", "source": "proc"}},
		"hooks":  map[string]any{kind: []any{map[string]any{"path": "/bin/busybox", "args": []string{"sh", "-c", hook}}}},
		"linux": map[string]any{
			"cgroupsPath": "/" + b.e.cgroup + "/" + b.id,
			"namespaces":  []any{map[string]any{"type": "pid"}, map[string]any{"type": "mount"}},
		},
	})
	must(b.t, err)
	config := filepath.Join(b.dir, "config.json")
	must(b.t, os.WriteFile(config, data, 0o644))
	return config
}

// shared is a directory inside and outside of a container with a hook.
func (b *faultyBox) shared() string { return filepath.Join(b.dir, "rootfs/shared") }

// await starts a command of the client, and returns when the hook hangs.
func (b *faultyBox) await(args ...string) {
	b.t.Helper()
	cmd := b.e.command(b.t.Context(), args...)
	ended := make(chan struct{})
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	must(b.t, cmd.Start())
	b.client = cmd
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	b.release = func() { must(b.t, os.WriteFile(filepath.Join(b.shared(), "go"), nil, 0o644)) }
	b.t.Cleanup(func() {
		_ = os.WriteFile(filepath.Join(b.shared(), "go"), nil, 0o644)
		select {
		case <-ended:
		case <-time.After(patience / 2):
			b.t.Error("the client does not end")
		}
		if b.t.Failed() {
			b.t.Logf("the client: %s", out.String())
		}
	})
	eventually(b.t, "the hook", func() bool {
		_, err := os.Stat(filepath.Join(b.shared(), "hangs"))
		return err == nil
	})
	b.address = b.socket()
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o755)
}

func (b *faultyBox) bundle() string {
	return filepath.Join(b.e.dir, "state/io.containerd.runtime.v2.task", b.e.cgroup, b.id)
}

// socket is where the shim serves.
func (b *faultyBox) socket() string {
	data, err := os.ReadFile(filepath.Join(b.bundle(), "address"))
	if err != nil {
		data, err = os.ReadFile(filepath.Join(b.bundle(), "bootstrap.json"))
		must(b.t, err)
		var params struct{ Address string }
		must(b.t, json.Unmarshal(data, &params))
		data = []byte(params.Address)
	}
	return strings.TrimPrefix(string(data), "unix://")
}

// shim is the pid of the container's shim, 0 if it has none.
func (b *faultyBox) shim() int {
	for pid, line := range commandLines() {
		args := strings.Split(line, "\x00")
		if i := slices.Index(args, "-id"); i > 0 && args[i+1] == b.id && strings.Contains(args[0], "containerd-shim") {
			return pid
		}
	}
	return 0
}

// commandLines are those of all processes.
func commandLines() map[int]string {
	lines := map[int]string{}
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		if data, err := os.ReadFile(file); err == nil {
			pid, _ := strconv.Atoi(strings.Split(file, "/")[2])
			lines[pid] = string(data)
		}
	}
	return lines
}

// restart restarts containerd. What happened before is not told again.
func (b *faultyBox) restart() {
	b.t.Helper()
	b.restarted = true
	b.e.restart(b.t)
	b.release()
	b.events = watch(b.t, b.e)
}

// finish looks at the container after the fault, removes it and looks for what is left.
func (b *faultyBox) finish() {
	b.t.Helper()
	known := b.checkStatus()
	if b.status() != "" {
		b.remove()
	}
	if b.step.status != "" && known {
		b.checkEvents()
	}
	b.e.ok(b.t, "container", "rm", b.id)
	b.nothingLeft()
	out, code := b.e.try(b.t, "", append(append(append([]string{"run", "--rm"}, b.flags...), image, b.id), sh("echo again"+b.e.pause())...)...)
	if out != "again" || code != 0 {
		b.t.Errorf("the id used again: %q, %d", out, code)
	}
	b.nothingLeft()
}

// remove ends and removes the task, which a removal that hung may have done.
func (b *faultyBox) remove() {
	b.t.Helper()
	_, _ = b.e.try(b.t, "", "task", "kill", "-s", "SIGKILL", b.id)
	status := ""
	eventually(b.t, "it stops", func() bool {
		status = b.status()
		return status == "STOPPED" || status == ""
	})
	out, code := b.e.try(b.t, "", "task", "rm", b.id)
	if b.step.name == "deleting" && strings.Contains(out, "not found") {
		return
	}
	want := 137
	if b.step.ended {
		want = 7
	}
	if code != want && code != 0 || !strings.Contains(out, fmt.Sprintf("exit code %d", want)) {
		b.t.Errorf("the removal of what is %q: exit status %d: %s", status, code, out)
	}
}

// checkStatus waits for the status that the fault leads to, and tells whether there can
// be a task.
func (b *faultyBox) checkStatus() bool {
	b.t.Helper()
	switch {
	case b.killed:
		eventually(b.t, "containerd forgets the task", func() bool { return b.status() == "" })
	case b.gone:
		eventually(b.t, "it stops", func() bool { return b.status() == "STOPPED" })
	case b.restarted && b.step.status == "STOPPED" && b.e.client[0] != "ctr":
		// As it starts, containerd 2 removes tasks without a process.
		equal(b.t, b.status(), "")
		return false
	case b.step.status != "":
		equal(b.t, b.status(), b.step.status)
	}
	return true
}

// checkEvents waits for all news of the container's life, in order and once.
func (b *faultyBox) checkEvents() {
	b.t.Helper()
	want := []string{"/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"}
	if b.restarted {
		want = want[2:]
		if b.step.status == "STOPPED" {
			want = want[1:]
		}
	}
	var got []string
	for end := time.Now().Add(patience / 4); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		got = nil
		for line := range strings.Lines(b.events()) {
			for field := range strings.FieldsSeq(line) {
				if slices.Contains(want, field) && strings.Contains(line, fmt.Sprintf("%q", b.id)) && !strings.Contains(line, `"id":"exec"`) {
					got = append(got, field)
				}
			}
		}
		if b.killed { // containerd tells the end of what has ended once more
			got = slices.Compact(got)
		}
		if slices.Equal(got, want) {
			return
		}
	}
	b.t.Errorf("news: %q, not %q:\n%s", got, want, b.events())
}

// nothingLeft waits until nothing of the container is there.
func (b *faultyBox) nothingLeft() {
	b.t.Helper()
	var left []string
	limit := patience / 4
	if b.e.control {
		limit = patience / 12 // runc's shim leaves something after most faults
	}
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if left = b.left(); len(left) == 0 {
			return
		}
	}
	b.t.Errorf("left:\n%s", strings.Join(left, "\n"))
}

func (b *faultyBox) left() (left []string) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	must(b.t, err)
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, b.id) {
			left = append(left, "mount "+line)
		}
	}
	shim := b.shim()
	for pid, line := range commandLines() {
		if b.client != nil && pid == b.client.Process.Pid || b.shares && pid == shim {
			continue
		}
		if strings.Contains(line, b.id) || strings.Contains(line, b.dir) {
			left = append(left, fmt.Sprintf("process %d %q", pid, line))
		}
	}
	if b.pid != 0 && runs(b.pid) {
		left = append(left, fmt.Sprintf("the container's process %d", b.pid))
	}
	paths := append(append(b.states(), b.bundle()), b.cgroups()...)
	if b.address != "" && !b.shares {
		paths = append(paths, b.address)
	}
	for _, path := range paths {
		if _, err := os.Lstat(path); err == nil {
			left = append(left, path)
		}
	}
	return left
}

// runs tells whether a process has not ended. Process 1 may take its time to reap it.
func runs(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(data), ") ")
	return err == nil && !strings.HasPrefix(rest, "Z")
}

// daemonPid is the pid of the engine's containerd: who listens at its socket.
func daemonPid(t testing.TB, e *engine) int {
	t.Helper()
	conn, err := net.Dial("unix", e.client[2])
	must(t, err)
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	must(t, err)
	var cred *unix.Ucred
	var credErr error
	must(t, raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}))
	must(t, credErr)
	return int(cred.Pid)
}

func signal(t testing.TB, pid int, sig syscall.Signal) {
	t.Helper()
	if err := unix.Kill(pid, sig); err != nil {
		t.Errorf("kill(%d, %v): %v", pid, sig, err)
	}
}

// TestExecsBesidePauseAndUpdate executes 200 programs in a pod's container that is paused,
// resumed and updated all the time.
func TestExecsBesidePauseAndUpdate(t *testing.T) {
	t.Run("containerd 1.6", func(t *testing.T) { execsBesidePauseAndUpdate(t, debian) })
	t.Run("containerd 2", func(t *testing.T) { execsBesidePauseAndUpdate(t, release(newest(t, *containerd))) })
}

func execsBesidePauseAndUpdate(t *testing.T, r release) {
	e := newCRI(t, r, documented(t, "toml", r.criPlugin()))
	e.cgroup = "k8s.io"
	k := newKubelet(t, e)
	box := k.runPod(t, podOptions{})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	repeat := func(do func(i int)) {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					do(i)
				}
			}
		})
	}
	var paused, updated int
	repeat(func(int) {
		for _, verb := range []string{"pause", "resume"} {
			if out, code := e.try(t, "", "task", verb, box.id); code != 0 {
				t.Errorf("%s: %s", verb, out)
			}
		}
		paused++
		time.Sleep(100 * time.Millisecond)
	})
	repeat(func(i int) {
		if out, code := k.try(t, "", "update", "--cpu-share", strconv.Itoa(1000+i), box.id); code != 0 {
			t.Errorf("update: %s", out)
		}
		updated++
	})
	crowd(t, 200, 40, func(i int) error {
		for {
			out, code := e.try(t, "", "task", "exec", "--exec-id", name(), box.id, "sh", "-c", "echo inside; exit 7")
			if strings.Contains(out, "paused container") {
				continue // refused, as it has to be
			}
			if out != "inside" || code != 7 {
				return fmt.Errorf("%q, %d", out, code)
			}
			return nil
		}
	})
	close(stop)
	wg.Wait()
	t.Logf("paused %d times, updated %d times", paused, updated)
	equal(t, k.ok(t, "exec", box.id, "echo", "inside"), "inside")
	box.remove(t)
}
