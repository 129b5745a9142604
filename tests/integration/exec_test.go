package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/cgroups"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// running is a bundle whose container runs.
func running(t *testing.T, change ...func(b *bundle)) *bundle {
	t.Helper()
	b := newBundle(t, "exec sleep 1000")
	for _, c := range change {
		c(b)
	}
	b.create()
	b.ok("start", b.id)
	return b
}

func TestExecJoinsTheContainer(t *testing.T) {
	for name, change := range map[string]func(b *bundle){
		"plain": func(*bundle) {},
		"user and time namespace": func(b *bundle) {
			b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace}, specs.LinuxNamespace{Type: specs.TimeNamespace})
			mapped(b)
		},
		"shared pids": func(b *bundle) {
			b.spec.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.MountNamespace}, {Type: specs.UTSNamespace}, {Type: specs.IPCNamespace}}
		},
		"no pivot": func(*bundle) {},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t, "exec sleep 1000")
			change(b)
			if name == "no pivot" {
				b.create("--no-pivot")
			} else {
				b.create()
			}
			b.ok("start", b.id)
			pid := b.state().Pid
			links := lines(b.ok("exec", b.id, "sh", "-c", namespaceLinks))
			for i, n := range namespaceFiles {
				theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, n))
				must(t, err)
				want(t, n+" namespace", links[i], theirs)
			}
			want(t, "root and user", b.ok("exec", b.id, "sh", "-c", "ls -d /bin/busybox; id -u; pwd"), "/bin/busybox\n0\n/")
			own, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
			must(t, err)
			for _, line := range lines(b.ok("exec", b.id, "cat", "/proc/self/cgroup")) {
				if name == "plain" && !strings.HasSuffix(line, ":/") {
					t.Errorf("another cgroup than the container's: %s of %s", line, own)
				}
			}
		})
	}
}

func TestExecInACreatedContainer(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	b.create()
	want(t, "output", b.ok("exec", b.id, "hostname"), "rt")
	if s := b.state().Status; s != specs.StateCreated {
		t.Errorf("status %s", s)
	}
}

func TestExecOptions(t *testing.T) {
	b := running(t, func(b *bundle) { b.spec.Process.NoNewPrivileges = false })
	want(t, "environment and directory", b.ok("exec", "-e", "A=1,2", "--env", "B=x y", "--cwd", "/proc", b.id, "sh", "-c", "echo $A $B $PWD $TERM"), "1,2 x y /proc xterm")
	want(t, "user", b.ok("exec", "-u", "1000:1001", "-g", "5", "-g", "6", b.id, "sh", "-c", "id -u; id -g; id -G"), "1000\n1001\n1001 5 6")
	want(t, "no new privileges", b.ok("exec", "--no-new-privs", b.id, "sh", "-c", "grep NoNew /proc/self/status | cut -f2"), "1")
	want(t, "capability", b.ok("exec", "-c", "CAP_CHOWN", b.id, "sh", "-c", "grep CapEff /proc/self/status | cut -f2"), "0000000020000421")
	file := filepath.Join(b.dir, "process.json")
	p := *b.spec.Process
	p.Args = []string{"sh", "-c", "echo from a file; exit 3"}
	data, err := json.Marshal(p)
	must(t, err)
	must(t, os.WriteFile(file, data, 0o644))
	if r := b.rt("exec", "--process", file, b.id); r.code != 3 || r.stdout != "from a file\n" {
		t.Error(r)
	}
	pidFile := filepath.Join(b.dir, "pid")
	b.ok("exec", "--detach", "--pid-file", pidFile, b.id, "sleep", "1000")
	pid, err := os.ReadFile(pidFile)
	must(t, err)
	if _, err := os.Stat("/proc/" + string(pid)); err != nil {
		t.Error(err)
	}
}

func TestExecStatus(t *testing.T) {
	b := running(t)
	for script, code := range map[string]int{"exit 0": 0, "exit 42": 42, "kill -9 $$": 137} {
		if r := b.rt("exec", b.id, "sh", "-c", script); r.code != code {
			t.Errorf("%s: %v", script, r)
		}
	}
	must(t, os.WriteFile(b.path("plain"), nil, 0o644))
	for program, words := range map[string][]string{
		"nothing": {"not found in $PATH"}, "/no/such": {"no such file"}, "/plain": {"permission denied"},
	} {
		r := b.rt("exec", b.id, program)
		if r.code != 255 || !strings.Contains(r.stderr, words[0]) || !strings.Contains(r.stderr, "process.args[0]") {
			t.Errorf("%s: %v", program, r)
		}
	}
	if r := b.rt("exec", "--cwd", "/nowhere", b.id, "true"); r.code != 255 || !strings.Contains(r.stderr, "process.cwd") {
		t.Error(r)
	}
	if r := b.rt("exec", "--user", "root", b.id, "true"); r.code != 255 || !strings.Contains(r.stderr, "--user") {
		t.Error(r)
	}
	b.ok("kill", b.id, "KILL")
	b.waitFor(specs.StateStopped)
	if r := b.rt("exec", b.id, "true"); r.code != 255 || !strings.Contains(r.stderr, "stopped") {
		t.Error(r)
	}
}

func TestExecGetsTheFilterAndLimits(t *testing.T) {
	b := running(t, func(b *bundle) {
		b.spec.Linux.Seccomp = profile(specs.ActErrno, nil, "mkdir", "mkdirat")
		b.spec.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 99, Hard: 99}}
		b.spec.Process.OOMScoreAdj = ptr(77)
	})
	want(t, "output", b.ok("exec", b.id, "sh", "-c", `mkdir /dev/shm/x 2>&1 | grep -o 'not permitted'; ulimit -n; cat /proc/self/oom_score_adj; grep Seccomp: /proc/self/status | cut -f2`), "not permitted\n99\n77\n2")
}

func TestExecAffinity(t *testing.T) {
	b := running(t, func(b *bundle) { b.spec.Process.ExecCPUAffinity = &specs.CPUAffinity{Initial: "0-1", Final: "0"} })
	want(t, "CPUs", b.ok("exec", b.id, "sh", "-c", "grep Cpus_allowed_list /proc/self/status | cut -f2"), "0")
}

func TestExecDescriptors(t *testing.T) {
	b := running(t)
	want(t, "descriptors", strings.Join(strings.Fields(b.ok("exec", b.id, "ls", "/proc/self/fd")), " "), "0 1 2 3")
}

func TestExecInASubCgroup(t *testing.T) {
	b := running(t)
	makeSubCgroups(t, b.cgroups())
	for _, line := range lines(b.ok("exec", "--cgroup", "sub", b.id, "cat", "/proc/self/cgroup")) {
		if !strings.HasSuffix(line, ":/sub") && (cgroups.IsCgroup2UnifiedMode() == strings.HasPrefix(line, "0::")) {
			t.Errorf("cgroup %s", line)
		}
	}
	if r := b.rt("exec", "--cgroup", "nowhere", b.id, "true"); r.code != 255 || !strings.Contains(r.stderr, "--cgroup") {
		t.Error(r)
	}
	if r := b.rt("exec", "--cgroup", "../..", b.id, "true"); r.code != 255 || !strings.Contains(r.stderr, "leads out") {
		t.Error(r)
	}
}

// makeSubCgroups makes a cgroup below each.
func makeSubCgroups(t *testing.T, dirs []string) {
	t.Helper()
	for _, d := range dirs {
		must(t, os.Mkdir(d+"/sub", 0o755))
		if filepath.Base(filepath.Dir(d)) == "cpuset" || strings.Contains(d, "/cpuset/") {
			for _, f := range []string{"cpuset.cpus", "cpuset.mems"} {
				data, err := os.ReadFile(d + "/" + f)
				must(t, err)
				must(t, os.WriteFile(d+"/sub/"+f, data, 0))
			}
		}
	}
}

// A process that is born in a frozen cgroup does not run. rt gives up after a while, and
// the process is gone when the cgroup thaws.
func TestExecIntoAFrozenCgroup(t *testing.T) {
	b := running(t)
	makeSubCgroups(t, b.cgroups())
	file, frozen, thawed := "cgroup.freeze", "1", "0"
	if !cgroups.IsCgroup2UnifiedMode() {
		file, frozen, thawed = "freezer.state", "FROZEN", "THAWED"
	}
	var sub string
	for _, d := range b.cgroups() {
		if _, err := os.Stat(filepath.Join(d, "sub", file)); err == nil && (sub == "" || strings.Contains(d, "/freezer/")) {
			sub = filepath.Join(d, "sub")
		}
	}
	must(t, os.WriteFile(filepath.Join(sub, file), []byte(frozen), 0))
	defer func() { _ = os.WriteFile(filepath.Join(sub, file), []byte(thawed), 0) }()
	pidFile := filepath.Join(b.dir, "pid")
	r := b.rt("exec", "--detach", "--pid-file", pidFile, "--cgroup", "sub", b.id, "true")
	for _, word := range []string{"frozen", sub} {
		if r.code != 255 || !strings.Contains(r.stderr, word) {
			t.Errorf("no %q in %v", word, r)
		}
	}
	if _, err := os.Stat(pidFile); err == nil {
		t.Error("a pid file was left")
	}
	b.ok("exec", b.id, "true")
	must(t, os.WriteFile(filepath.Join(sub, file), []byte(thawed), 0))
	eventually(t, "the process is gone", func() bool {
		data, err := os.ReadFile(filepath.Join(sub, "cgroup.procs"))
		return err == nil && len(data) == 0
	})
}

func TestManyExecsAtOnce(t *testing.T) {
	b := running(t)
	const workers = 8
	each := often(25)
	var wg sync.WaitGroup
	failed := make(chan string, workers*each)
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				code := (w*each + i) % 200
				cmd := b.command("exec", b.id, "sh", "-c", "exit "+strconv.Itoa(code))
				out, _ := cmd.CombinedOutput()
				if got := cmd.ProcessState.ExitCode(); got != code {
					failed <- fmt.Sprintf("exit status %d, want %d: %s", got, code, out)
				}
			}
		})
	}
	wg.Wait()
	close(failed)
	for f := range failed {
		t.Error(f)
	}
	eventually(t, "only the first process is left", func() bool { return len(b.processes()) == 1 })
}

func TestManyContainersAtOnce(t *testing.T) {
	b := newBundle(t, "exec sleep 1000")
	b.write()
	const workers = 8
	all := often(100)
	next := make(chan int, all)
	for i := range all {
		next <- i
	}
	close(next)
	var wg sync.WaitGroup
	failed := make(chan string, all)
	for range workers {
		wg.Go(func() {
			for i := range next {
				id := fmt.Sprintf("%s-%d", b.id, i)
				for _, args := range [][]string{{"create", id}, {"start", id}, {"exec", id, "true"}, {"delete", "--force", id}} {
					// No pipe: the container's process would keep it open.
					if err := b.command(args...).Run(); err != nil {
						failed <- fmt.Sprintf("%v: %v", args, err)
						break
					}
				}
			}
		})
	}
	wg.Wait()
	close(failed)
	for f := range failed {
		t.Error(f)
	}
	b.noTrace()
}

// exec works in a container at its pids limit: the limit forbids its processes to fork,
// but not another process to enter.
func TestExecAtTheLimitOfProcesses(t *testing.T) {
	if !has("pids") {
		t.Skip("this world has no pids controller")
	}
	for _, shared := range []bool{false, true} {
		for limit := int64(1); limit <= 4; limit++ {
			b := newBundle(t, "exec sleep 1000")
			b.placeCgroup("")
			b.spec.Linux.Resources.Pids = &specs.LinuxPids{Limit: &limit}
			b.spec.Linux.Namespaces = slices.DeleteFunc(b.spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool {
				return n.Type == specs.CgroupNamespace || shared && n.Type == specs.PIDNamespace
			})
			b.create()
			b.ok("start", b.id)
			for _, line := range lines(b.ok("exec", b.id, "cat", "/proc/self/cgroup")) {
				if has := strings.HasSuffix(line, b.cgroup); !has && (cgroups.IsCgroup2UnifiedMode() || strings.Contains(line, "pids:")) {
					t.Errorf("at a limit of %d: %s", limit, line)
				}
			}
			want(t, "terminal", b.ok("exec", "-t", b.id, "sh", "-c", "test -t 0 && echo yes"), "yes")
		}
	}
}

// A joined mount namespace belongs to another container: its root is not the container's,
// and what was mounted there goes with the container.
func TestExecInAJoinedMountNamespace(t *testing.T) {
	b := newBundle(t, "exec sleep 1000")
	holder := exec.Command("unshare", "-m", "--propagation", "private", "sleep", "1000")
	must(t, holder.Start())
	t.Cleanup(func() {
		_ = holder.Process.Kill()
		_ = holder.Wait()
	})
	ns := fmt.Sprintf("/proc/%d/ns/mnt", holder.Process.Pid)
	own, err := os.Readlink("/proc/self/ns/mnt")
	must(t, err)
	eventually(t, "the namespace", func() bool {
		link, err := os.Readlink(ns)
		return err == nil && link != own
	})
	for i, n := range b.spec.Linux.Namespaces {
		if n.Type == specs.MountNamespace {
			b.spec.Linux.Namespaces[i].Path = ns
		}
	}
	mounts := func() int {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", holder.Process.Pid))
		must(t, err)
		return strings.Count(string(data), "\n")
	}
	before := mounts()
	must(t, os.WriteFile(b.path("mark"), nil, 0o644))
	must(t, os.Symlink("rootfs", filepath.Join(b.dir, "link")))
	b.spec.Root.Path = "link"
	b.create()
	b.ok("start", b.id)
	want(t, "root of exec", b.ok("exec", b.id, "sh", "-c", "ls -d /mark "+b.dir+" 2>/dev/null; true"), "/mark")
	b.ok("delete", "--force", b.id)
	if after := mounts(); after != before {
		t.Errorf("%d mounts in the joined namespace, %d before", after, before)
	}
}
