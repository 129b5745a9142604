package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/cgroups"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

func TestLifecycle(t *testing.T) {
	b := newBundle(t, "echo started > /dev/shm/mark; exec sleep 1000")
	b.spec.Annotations = map[string]string{"org.example.key": "value"}
	pidFile := b.dir + "/pid"
	b.create("--pid-file", pidFile)

	s := b.state()
	if s.Status != specs.StateCreated || s.ID != b.id || s.Bundle != b.dir || s.Version != specs.Version || s.Annotations["org.example.key"] != "value" {
		t.Errorf("state: %+v", s)
	}
	pid, err := os.ReadFile(pidFile)
	must(t, err)
	want(t, "pid file", string(pid), strconv.Itoa(s.Pid))
	root := fmt.Sprintf("/proc/%d/root", s.Pid)
	if _, err := os.Stat(root + "/dev/shm/mark"); err == nil {
		t.Error("the process ran before start")
	}

	b.fails([]string{b.id, "already exists"}, "create", b.id)
	b.ok("start", b.id)
	b.waitFor(specs.StateRunning)
	eventually(t, "the process runs", func() bool { _, err := os.Stat(root + "/dev/shm/mark"); return err == nil })
	b.fails([]string{b.id, "running"}, "start", b.id)
	b.fails([]string{b.id, "running"}, "delete", b.id)

	b.ok("kill", b.id, "KILL")
	b.waitFor(specs.StateStopped)
	b.fails([]string{b.id, "stopped"}, "start", b.id)
	b.fails([]string{b.id, "not running"}, "kill", b.id, "KILL")
	b.ok("delete", b.id)
	b.noTrace()
	b.fails([]string{b.id, "does not exist"}, "state", b.id)
}

func TestDeleteACreatedContainer(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	b.create()
	b.ok("delete", b.id)
	b.noTrace()
}

func TestForceDeleteARunningContainer(t *testing.T) {
	b := newBundle(t, "sleep 1000 & sleep 1000")
	b.create()
	b.ok("start", b.id)
	b.ok("delete", "--force", b.id)
	b.noTrace()
	b.ok("delete", "--force", b.id)
	b.fails([]string{"does not exist"}, "delete", b.id)
}

func TestSharedPidNamespaceIsEndedWhole(t *testing.T) {
	b := newBundle(t, "sleep 1000 & exec sleep 1000")
	b.spec.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.MountNamespace}, {Type: specs.UTSNamespace}}
	b.create()
	b.ok("start", b.id)
	eventually(t, "both run", func() bool { return len(b.processes()) == 2 })
	b.ok("kill", b.id, "KILL")
	eventually(t, "all have ended", func() bool { return len(b.processes()) == 0 })
	b.ok("delete", b.id)
	b.noTrace()
}

func TestUnknownAndBadIDs(t *testing.T) {
	b := newBundle(t, "true")
	b.write()
	for _, command := range []string{"start", "state", "kill", "delete"} {
		b.fails([]string{"nobody", "does not exist"}, command, "nobody")
	}
	for _, id := range []string{"", ".", "..", "a/b", "sp ace", "ünï", strings.Repeat("x", 256)} {
		b.fails([]string{"invalid container ID"}, "create", id)
		b.fails([]string{"invalid container ID"}, "state", id)
	}
	b.fails([]string{"exactly one"}, "create")
	b.fails([]string{"exactly one"}, "start", "a", "b")
	b.noTrace()
}

func TestSignals(t *testing.T) {
	for _, name := range []string{"TERM", "SIGTERM", "15", "sigterm", "USR1", "SIGRTMIN+1"} {
		b := newBundle(t, `for s in TERM USR1 35; do trap "echo got $s; exit 9" $s; done; echo ready; while :; do sleep 0.05; done`)
		b.write()
		out, err := os.Create(b.dir + "/out")
		must(t, err)
		defer out.Close()
		cmd := b.command("run", b.id)
		cmd.Stdout = out
		must(t, cmd.Start())
		eventually(t, "ready", func() bool { return strings.Contains(content(t, out), "ready") })
		b.ok("kill", b.id, name)
		_ = cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 9 {
			t.Errorf("%s: exit status %d: %s", name, code, content(t, out))
		}
	}
	b := newBundle(t, "sleep 1000")
	b.create()
	b.fails([]string{"NOSUCH", "not a signal"}, "kill", b.id, "NOSUCH")
	b.fails([]string{"65"}, "kill", b.id, "65")
}

func TestRunForwardsSignals(t *testing.T) {
	b := newBundle(t, `trap "exit 5" TERM; echo ready; while :; do sleep 0.05; done`)
	b.write()
	out, err := os.Create(b.dir + "/out")
	must(t, err)
	defer out.Close()
	cmd := b.command("run", b.id)
	cmd.Stdout = out
	must(t, cmd.Start())
	eventually(t, "ready", func() bool { return strings.Contains(content(t, out), "ready") })
	must(t, cmd.Process.Signal(unix.SIGTERM))
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 5 {
		t.Errorf("exit status %d", code)
	}
	b.noTrace()
}

// A signal that arrives while rt makes the container ends rt before it has made anything,
// or reaches the container's process.
func TestSignalsAtAnyMoment(t *testing.T) {
	b := newBundle(t, `trap "exit 5" TERM; while :; do sleep 0.05; done`)
	for i, n := range b.spec.Linux.Namespaces { // whose first process is immune until it traps
		if n.Type == specs.PIDNamespace {
			b.spec.Linux.Namespaces = slices.Delete(b.spec.Linux.Namespaces, i, i+1)
			break
		}
	}
	b.write()
	for n := range often(100) {
		signalAfter(t, n, b.command("run", b.id))
		b.noTrace()
	}
	// The keeper replaces exec, whose process is not a first one.
	in := running(t)
	for n := range often(100) {
		signalAfter(t, n, in.command("exec", in.id, "sh", "-c", b.spec.Process.Args[2]))
	}
}

// signalAfter ends a command some time after its start, later for a greater n: by itself,
// or by what its script does.
func signalAfter(t *testing.T, n int, cmd *exec.Cmd) {
	t.Helper()
	must(t, cmd.Start())
	time.Sleep(time.Duration(n%25) * time.Duration(slowness) * 500 * time.Microsecond)
	must(t, cmd.Process.Signal(unix.SIGTERM))
	late := time.AfterFunc(patience(20*time.Second), func() {
		t.Error("the signal is lost")
		_ = cmd.Process.Kill()
	})
	defer late.Stop()
	_ = cmd.Wait()
	ws := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if code := ws.ExitStatus(); !ws.Signaled() && code != 5 && code != 128+15 {
		t.Errorf("exit status %d", code)
	}
}

func TestRunReturnsTheSignal(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	b.write()
	cmd := b.command("run", b.id)
	must(t, cmd.Start())
	// "running" is visible a moment before the program is executed.
	eventually(t, "runs", func() bool { return strings.Contains(strings.Join(b.processes(), ""), "sleep\x001000") })
	b.ok("kill", b.id, "KILL")
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 128+9 {
		t.Errorf("exit status %d", code)
	}
	b.noTrace()
}

func TestRunDetachAndKeep(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	b.run("--detach")
	if s := b.state().Status; s != specs.StateRunning {
		t.Errorf("status %s", s)
	}
	b.ok("delete", "-f", b.id)

	b = newBundle(t, "exit 0")
	b.run("--keep")
	if s := b.state().Status; s != specs.StateStopped {
		t.Errorf("status %s", s)
	}
	b.ok("delete", b.id)
}

func TestBundleByItsName(t *testing.T) {
	b := newBundle(t, "echo $(hostname)")
	b.write()
	cmd := b.command("run", filepath.Base(b.dir))
	cmd.Dir = filepath.Dir(b.dir)
	out, err := cmd.CombinedOutput()
	want(t, fmt.Sprint("output, ", err), string(out), "rt")
}

func TestStartReportsAFailedExecve(t *testing.T) {
	b := newBundle(t, "")
	must(t, os.WriteFile(b.path("plain"), []byte("text"), 0o644))
	must(t, os.WriteFile(b.path("garbage"), []byte("garbage"), 0o755))
	must(t, os.WriteFile(b.path("script"), []byte("#!/no/such/interpreter\n"), 0o755))
	for program, words := range map[string][]string{
		"/garbage": {"process.args[0]", "exec format error"},
		"/script":  {"process.args[0]", "no such file"},
		"/bin":     {"process.args[0]", "permission denied"},
	} {
		b.spec.Process.Args = []string{program}
		b.create()
		b.fails(words, "start", b.id)
		if s := b.state().Status; s != specs.StateStopped {
			t.Errorf("%s: status %s", program, s)
		}
		b.ok("delete", b.id)
		b.fails(words, "run", b.id)
		b.noTrace()
	}
}

// Engines expect create to report a missing program.
func TestCreateReportsAMissingProgram(t *testing.T) {
	b := newBundle(t, "")
	must(t, os.WriteFile(b.path("plain"), []byte("text"), 0o644))
	for program, words := range map[string][]string{
		"/no/such":     {"process.args[0]", `"/no/such"`, "no such file"},
		"no-such-name": {"process.args[0]", "no-such-name", "executable file not found in $PATH"},
		"/plain":       {"process.args[0]", "permission denied"},
	} {
		b.spec.Process.Args = []string{program}
		b.write()
		for _, command := range []string{"create", "run"} {
			b.fails(words, command, b.id)
			b.noTrace()
		}
	}
}

func TestConfigurationChangedAfterCreate(t *testing.T) {
	b := newBundle(t, "echo before > /dev/shm/x; sleep 1000")
	b.create()
	pid := b.state().Pid
	b.spec.Process.Args = []string{"/no/such"}
	b.write()
	b.ok("start", b.id)
	mark := fmt.Sprintf("/proc/%d/root/dev/shm/x", pid)
	eventually(t, "the old process runs", func() bool { _, err := os.Stat(mark); return err == nil })
}

func TestList(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	b.create()
	first := b.id
	b.ok("create", first+"-2")
	b.ok("start", first)
	table := b.ok("list")
	for _, w := range []string{"ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER", "running", "created", b.dir, "root"} {
		if !strings.Contains(table, w) {
			t.Errorf("no %q in\n%s", w, table)
		}
	}
	want(t, "list -q", b.ok("list", "-q"), first+"\n"+first+"-2")
	var states []specs.State
	must(t, json.Unmarshal([]byte(b.ok("list", "--format", "json")), &states))
	if len(states) != 2 || states[0].ID != first || states[0].Status != specs.StateRunning || states[1].Status != specs.StateCreated {
		t.Errorf("%+v", states)
	}
	b.fails([]string{"--format", "xml"}, "list", "--format", "xml")
	want(t, "empty list", b.ok("--root", t.TempDir(), "list", "-f", "json"), "[]")
}

// The waiting process is the small program, and not another rt.
func TestWaitingProcessIsSmall(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	b.create()
	pid := b.state().Pid
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	must(t, err)
	if strings.Contains(exe, filepath.Base(rtPath)+" ") || exe == rtPath || !strings.Contains(exe, "rt-init") {
		t.Errorf("/proc/PID/exe is %s", exe)
	}
	if private := privateKiB(t, pid); private > 128 {
		t.Errorf("private memory: %d KiB", private)
	}
}

// privateKiB is the memory that only this process uses.
func privateKiB(t *testing.T, pid int) int {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	must(t, err)
	private := 0
	for line := range strings.SplitSeq(string(data), "\n") {
		if f := strings.Fields(line); len(f) > 1 && strings.HasPrefix(line, "Private_") {
			kib, err := strconv.Atoi(f[1])
			must(t, err)
			private += kib
		}
	}
	return private
}

func TestTwoAtOnceOnOneContainer(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	b.write()
	for range 5 {
		var created, started int
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				c := b.command("create", b.id).Run()
				s := b.command("start", b.id).Run()
				mu.Lock()
				defer mu.Unlock()
				if c == nil {
					created++
				}
				if s == nil {
					started++
				}
			})
		}
		wg.Wait()
		if created != 1 || started != 1 {
			t.Errorf("created %d times, started %d times", created, started)
		}
		for range 4 {
			wg.Go(func() { _ = b.command("delete", "--force", b.id).Run() })
		}
		wg.Wait()
		b.noTrace()
	}
}

func TestCreateAndDeleteRace(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	b.write()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range often(100) {
				_ = b.command("create", b.id).Run()
			}
		})
		wg.Go(func() {
			for range often(200) {
				_ = b.command("delete", "--force", b.id).Run()
				_ = b.command("state", b.id).Run()
			}
		})
	}
	wg.Wait()
	b.ok("delete", "--force", b.id)
	b.noTrace()
}

// A container whose creator has made only its directory has no cgroup: no command on it
// may touch rt's own.
func TestContainerWithoutAState(t *testing.T) {
	b := newBundle(t, "true")
	b.write()
	must(t, os.MkdirAll(filepath.Join(b.root, b.id), 0o700))
	// A cgroup for rt and a neighbour, inside an empty one, so that nobody else is in
	// danger.
	dir := "/sys/fs/cgroup/devices"
	if cgroups.IsCgroup2UnifiedMode() {
		dir = "/sys/fs/cgroup"
	}
	above := filepath.Join(dir, fmt.Sprintf("rt-neighbours-%d", os.Getpid()))
	dir = filepath.Join(above, "rt")
	must(t, os.MkdirAll(dir, 0o755))
	here := []string{"-c", "echo 0 > " + dir + `/cgroup.procs && exec "$@"`, "sh"}
	neighbour := exec.Command("sh", append(here, "sleep", "1000")...)
	must(t, neighbour.Start())
	ended := make(chan error, 1)
	go func() { ended <- neighbour.Wait() }()
	t.Cleanup(func() {
		_ = neighbour.Process.Kill()
		<-ended
		must(t, syscall.Rmdir(dir))
		must(t, syscall.Rmdir(above))
	})
	eventually(t, "the neighbour is there", func() bool {
		pids, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		return err == nil && strings.TrimSpace(string(pids)) == fmt.Sprint(neighbour.Process.Pid)
	})
	for _, args := range [][]string{
		{"kill", "--all", b.id}, {"kill", "--all", b.id, "KILL"}, {"kill", b.id}, {"pause", b.id}, {"resume", b.id}, {"ps", b.id},
		{"events", "--stats", b.id}, {"update", "--pids-limit", "7", b.id}, {"start", b.id}, {"exec", b.id, "true"},
	} {
		want := 1
		if args[0] == "exec" {
			want = 255
		}
		cmd := exec.Command("sh", append(here, append([]string{rtPath, "--root", b.root}, args...)...)...)
		if out, err := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != want || !strings.Contains(string(out), "does not exist") {
			t.Errorf("rt %v: %v: %s", args, err, out)
		}
	}
	select {
	case <-ended:
		t.Error("the neighbour was killed")
		ended <- nil
	default:
	}
	b.fails([]string{"does not exist"}, "state", b.id)
	want(t, "list", b.ok("list", "-q"), "")
	b.fails([]string{"already exists"}, "create", b.id)
	b.ok("delete", b.id)
	b.noTrace()
}

// A container whose state cannot be read hides no other, and can be deleted by force.
func TestUnreadableState(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	b.create()
	dir := filepath.Join(b.root, "unreadable")
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "state.json"), []byte("{"), 0o600))
	r := b.rt("list", "-q")
	if r.code != 0 || strings.TrimSpace(r.stdout) != b.id || !strings.Contains(r.stderr, "unreadable") {
		t.Error(r)
	}
	b.fails([]string{"unreadable", "state.json"}, "delete", "unreadable")
	if r := b.rt("delete", "--force", "unreadable"); r.code != 0 || !strings.Contains(r.stderr, "may be left") {
		t.Error(r)
	}
	b.ok("delete", "--force", b.id)
	b.noTrace()
}

// delete decides what it may do when no other rt works on the container.
func TestDeleteAndStartRace(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	b.write()
	for range often(20) {
		b.ok("create", b.id)
		dir, err := os.Open(filepath.Join(b.root, b.id))
		must(t, err)
		must(t, unix.Flock(int(dir.Fd()), unix.LOCK_EX))
		started, deleted := make(chan result), make(chan result)
		go func() { started <- b.rt("start", b.id) }()
		time.Sleep(20 * time.Millisecond)
		go func() { deleted <- b.rt("delete", b.id) }()
		time.Sleep(20 * time.Millisecond) // both wait now
		dir.Close()
		start, del := <-started, <-deleted
		if start.code == 0 && (del.code != 1 || b.state().Status != specs.StateRunning) || start.code != 0 && del.code != 0 {
			t.Fatalf("start: %v\ndelete: %v", start, del)
		}
		b.ok("delete", "--force", b.id)
	}
	b.noTrace()
}

// A container that keeps making processes is killed as a whole, even if no pid namespace
// ends with its first process.
func TestKillAllOfABusyContainer(t *testing.T) {
	for _, flags := range [][]string{{"--all"}, nil} {
		b := newBundle(t, "for i in 1 2 3 4 5 6; do /next & done; exec sleep 1000")
		b.spec.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.MountNamespace}, {Type: specs.UTSNamespace}}
		must(t, os.WriteFile(b.path("next"), []byte("#!/bin/sh\n/next &\n"), 0o755))
		b.create()
		b.ok("start", b.id)
		time.Sleep(50 * time.Millisecond)
		b.ok(append(append([]string{"kill"}, flags...), b.id, "KILL")...)
		eventually(t, "all have ended", func() bool { return len(b.processes()) == 0 })
		b.waitFor(specs.StateStopped)
		b.ok("kill", "--all", b.id)
		b.ok("delete", b.id)
		b.noTrace()
	}
}

const leaderless = "leaderless"

func init() {
	if filepath.Base(os.Args[0]) == leaderless {
		runtime.LockOSThread() // the main function runs on the first thread
	}
}

// loseLeader ends the first thread of the process, which lives on.
func loseLeader() {
	go func() {
		time.Sleep(time.Hour)
		os.Exit(0)
	}()
	time.Sleep(10 * time.Millisecond) // another thread sleeps then
	_, _, _ = syscall.RawSyscall(syscall.SYS_EXIT, 0, 0, 0)
}

// A process whose first thread has ended is in lists of processes, but not of threads, and
// cgroup.kill skips it.
func TestKillAProcessWithoutALeader(t *testing.T) {
	b := newBundle(t, leaderless+" & exec sleep 1000")
	b.addSelf(leaderless)
	b.spec.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.MountNamespace}, {Type: specs.UTSNamespace}}
	pids := func() (list []int) {
		must(t, json.Unmarshal([]byte(b.ok("ps", "--format", "json", b.id)), &list))
		return list
	}
	noLeader := func(pid int) bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err == nil && strings.Contains(string(stat), "("+leaderless+") Z")
	}
	for _, end := range [][]string{{"kill", "--all", b.id, "KILL"}, {"delete", "--force", b.id}} {
		b.create()
		b.ok("start", b.id)
		eventually(t, "one process has lost its leader", func() bool { return len(pids()) == 2 && slices.ContainsFunc(pids(), noLeader) })
		left := slices.DeleteFunc(pids(), func(pid int) bool { return !noLeader(pid) })
		b.ok(end...)
		eventually(t, "it has ended", func() bool { return !noLeader(left[0]) || syscall.Kill(left[0], 0) == syscall.ESRCH })
		b.ok("delete", "--force", b.id)
	}
	b.noTrace()
}

// A container runs as long as any thread of its first process does.
func TestFirstProcessWithoutALeader(t *testing.T) {
	b := newBundle(t, "exec "+leaderless)
	b.addSelf(leaderless)
	b.write()
	for _, end := range [][]string{{"kill", b.id, "KILL"}, {"delete", "--force", b.id}} {
		b.ok("run", "--detach", b.id)
		pid := b.state().Pid
		eventually(t, "it has lost its leader", func() bool {
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			return err == nil && strings.Contains(string(stat), "("+leaderless+") Z")
		})
		want(t, "status", string(b.state().Status), "running")
		b.fails([]string{"running"}, "delete", b.id)
		b.ok(end...)
		if end[0] == "kill" {
			b.waitFor(specs.StateStopped)
			b.ok("delete", b.id)
		}
		b.noTrace()
	}
}

// The program of an rt exec that was killed may still be in the cgroup, outside the container's pid
// namespace, when the container is deleted. It ends soon, and then the cgroup has to go.
func TestDeleteWaitsForAProcessThatEnds(t *testing.T) {
	if systemd {
		t.Skip("systemd removes a scope when it is empty")
	}
	b := newBundle(t, "sleep 1000")
	b.placeCgroup("")
	b.create()
	script := "echo 0 > /sys/fs/cgroup" + b.cgroup + "/cgroup.procs"
	if !cgroups.IsCgroup2UnifiedMode() {
		script = "for d in /sys/fs/cgroup/*" + b.cgroup + "; do echo 0 > $d/cgroup.procs; done"
	}
	other := exec.Command("sh", "-c", script+"; echo there; exec sleep 0.1")
	out, err := other.StdoutPipe()
	must(t, err)
	must(t, other.Start())
	_, err = out.Read(make([]byte, 10))
	must(t, err)
	ended := make(chan error, 1)
	go func() { ended <- other.Wait() }()
	if r := b.rt("delete", "--force", b.id); r.code != 0 || r.stderr != "" {
		t.Error(r)
	}
	must(t, <-ended)
	b.noTrace()
}

// delete does not kill other processes in the same cgroup.
func TestDeleteSparesOthers(t *testing.T) {
	if systemd {
		t.Skip("a scope has one container")
	}
	a, other := newBundle(t, "true"), newBundle(t, "sleep 1000")
	other.placeCgroup("")
	a.spec.Linux.CgroupsPath = other.cgroup
	a.create()
	a.ok("start", a.id)
	a.waitFor(specs.StateStopped)
	other.create()
	other.ok("start", other.id)
	if r := a.rt("delete", a.id); r.code != 0 || !strings.Contains(r.stderr, "does not remove it") {
		t.Error(r)
	}
	want(t, "the other one", string(other.state().Status), "running")
	a.fails([]string{"already has processes"}, "run", a.id)
	other.ok("delete", "--force", other.id)
	other.noTrace()

	// Nor when the creation of one fails after both have found the cgroup empty.
	a.spec.Process.Args = []string{"/no/such/program"}
	a.write()
	for range often(10) {
		var wg sync.WaitGroup
		var created result
		wg.Go(func() { created = other.rt("create", other.id) })
		wg.Go(func() { a.rt("run", a.id) })
		wg.Wait()
		if created.code == 0 {
			want(t, "the other one", string(other.state().Status), "created")
		}
		other.ok("delete", "--force", other.id)
	}
	a.noTrace()
}

func TestKillAPausedContainer(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	b.create()
	b.ok("start", b.id)
	b.ok("pause", b.id)
	b.ok("kill", b.id, "KILL")
	b.waitFor(specs.StateStopped)
	b.ok("delete", b.id)
	b.noTrace()
}

// rt does not remove a pid file that it has not written.
func TestForeignPidFile(t *testing.T) {
	b := newBundle(t, "true")
	b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/x", Type: "bind", Source: "/no/such", Options: []string{"bind"}})
	b.write()
	file := filepath.Join(b.dir, "pid")
	must(t, os.WriteFile(file, []byte("4242"), 0o644))
	b.fails([]string{"/no/such"}, "create", "--pid-file", file, b.id)
	text, err := os.ReadFile(file)
	must(t, err)
	want(t, "pid file", string(text), "4242")
	b.noTrace()
}

// Every step of a command may fail for lack of descriptors.
func TestFewDescriptors(t *testing.T) {
	prlimit, err := exec.LookPath("prlimit")
	must(t, err)
	b := newBundle(t, "sleep 1000")
	b.spec.Process.Rlimits = nil
	b.write()
	// with gives a command so few descriptors that it fails, up to the first number with
	// which it works.
	with := func(failed func(), args ...string) {
		const enough = 64
		for n := 3; ; n++ {
			cmd := b.command(args...)
			cmd.Args = append([]string{prlimit, fmt.Sprintf("--nofile=%d:%d", n, n)}, cmd.Args...)
			cmd.Path = prlimit
			said, err := os.Create(filepath.Join(b.dir, "said")) // a pipe would stay with the container
			must(t, err)
			cmd.Stdout, cmd.Stderr = said, said
			_ = cmd.Run()
			said.Close()
			out, err := os.ReadFile(said.Name())
			must(t, err)
			switch code := cmd.ProcessState.ExitCode(); {
			case code == 0:
				return
			case code == 1 && strings.HasPrefix(string(out), "rt: ") && n < enough:
			case code == 2 && strings.HasPrefix(string(out), "runtime: "):
				// The Go runtime has no descriptor left, and ends rt.
				b.rt("delete", "--force", b.id)
			default:
				t.Fatalf("%q with %d descriptors: exit status %d: %s", args, n, code, out)
			}
			failed()
		}
	}
	with(b.noTrace, "create", b.id)
	with(func() { want(t, "status", string(b.state().Status), "created") }, "delete", "--force", b.id)
	b.noTrace()
}

// rt may be killed at any moment: what it leaves can be deleted, and what it left
// unfinished does not continue.
func TestKilledAtAnyMoment(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	b.write()
	var complete int
	// As long as a creation takes, and a little longer, in so many steps.
	began := time.Now()
	b.ok("create", b.id)
	whole := max(time.Since(began)*3/2, 10*time.Millisecond)
	b.ok("delete", "--force", b.id)
	for delay := time.Duration(0); delay < whole; delay += whole / time.Duration(often(100)) {
		for _, command := range []string{"create", "run"} {
			cmd := b.command(command, b.id)
			must(t, cmd.Start())
			time.Sleep(delay)
			_ = cmd.Process.Signal(syscall.SIGKILL)
			_ = cmd.Wait()
			if cmd.ProcessState.Success() {
				complete++
			}
			checkOrphans(t, b)
			b.ok("delete", "--force", b.id)
			b.noTrace()
		}
		if t.Failed() {
			t.Fatalf("after %v", delay)
		}
	}
	if complete == 0 {
		t.Log("no create was complete before it was killed")
	}
}

// checkOrphans waits until no process is left that is not in the state.
func checkOrphans(t *testing.T, b *bundle) {
	t.Helper()
	var r result
	var left []string
	defer func() {
		if t.Failed() {
			t.Logf("state: %s%s, processes: %q", r.stdout, r.stderr, left)
			for _, process := range left {
				dir, _, _ := strings.Cut(process, " ")
				for _, name := range []string{"stat", "syscall", "stack", "cgroup"} {
					text, _ := os.ReadFile(filepath.Join(dir, name))
					t.Logf("%s/%s: %s", dir, name, text)
				}
			}
		}
	}()
	eventually(t, "no process outlives its runtime unnoticed", func() bool {
		r, left = b.rt("state", b.id), b.processes()
		if len(left) == 0 {
			return true
		}
		var s specs.State
		if r.code == 0 {
			must(t, json.Unmarshal([]byte(r.stdout), &s))
		}
		return s.Status == specs.StateCreated || s.Status == specs.StateRunning
	})
}

func TestContainerInAContainer(t *testing.T) {
	b := newBundle(t, `rt --root /run/rt run -b /inner inner && rt --root /run/rt list -q | wc -l`)
	copyFile(t, rtPath, b.path("bin/rt"))
	inner := newBundle(t, "echo inside, pid $$ on $(hostname)")
	inner.spec.Hostname = "inner"
	inner.write()
	must(t, os.Rename(inner.dir+"/rootfs", b.dir+"/rootfs/inner-rootfs"))
	must(t, os.MkdirAll(b.path("inner"), 0o755))
	must(t, os.Rename(b.path("inner-rootfs"), b.path("inner/rootfs")))
	copyFile(t, inner.dir+"/config.json", b.path("inner/config.json"))
	privileged(b)
	out := lines(b.run())
	want(t, "output of the inner container", out[0], "inside, pid 1 on inner")
	want(t, "containers left", out[1], "0")
}

// privileged lets a container make containers of its own.
func privileged(b *bundle) {
	b.spec.Root.Readonly = false
	all := spec.Capabilities
	b.spec.Process.Capabilities = &specs.LinuxCapabilities{Bounding: all, Effective: all, Permitted: all}
	b.spec.Process.NoNewPrivileges = false
	b.spec.Linux.MaskedPaths, b.spec.Linux.ReadonlyPaths = nil, nil
	b.spec.Linux.Resources = &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}}}
	for i, m := range b.spec.Mounts {
		if m.Type == "sysfs" || m.Type == "cgroup" {
			b.spec.Mounts[i].Options = []string{"nosuid", "noexec", "nodev", "rw"}
		}
	}
}

func TestSubreaperCollectsOrphans(t *testing.T) {
	b := newBundle(t, `(setsid sleep 0.2 &) ; exit 0`)
	b.spec.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.MountNamespace}, {Type: specs.UTSNamespace}}
	b.run()
	b.noTrace()
}

func TestVersion(t *testing.T) {
	out, err := exec.Command(rtPath, "--version").Output()
	must(t, err)
	for _, w := range []string{"rt version ", "commit: ", "spec: " + specs.Version, "go: go1."} {
		if !strings.Contains(string(out), w) {
			t.Errorf("no %q in\n%s", w, out)
		}
	}
}
