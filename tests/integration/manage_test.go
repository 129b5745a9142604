package integration

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/cgroups"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestPauseAndResume(t *testing.T) {
	b := newBundle(t, "i=0; while :; do i=$((i+1)); echo $i > /dev/shm/i; done")
	b.create()
	b.ok("start", b.id)
	file := fmt.Sprintf("/proc/%d/root/dev/shm/i", b.state().Pid)
	value := func() string {
		data, _ := os.ReadFile(file)
		return string(data)
	}
	eventually(t, "it counts", func() bool { return value() != "" })
	b.ok("pause", b.id)
	if s := b.state().Status; s != "paused" {
		t.Errorf("status %s", s)
	}
	before := value()
	time.Sleep(100 * time.Millisecond)
	if after := value(); after != before {
		t.Errorf("a paused container counts: %q, %q", before, after)
	}
	b.fails([]string{b.id, "paused"}, "pause", b.id)
	if r := b.rt("exec", b.id, "true"); r.code != 255 || !strings.Contains(r.stderr, "paused") {
		t.Error(r)
	}
	b.ok("resume", b.id)
	eventually(t, "it counts again", func() bool { return value() != before })
	b.fails([]string{b.id, "running"}, "resume", b.id)
	b.ok("pause", b.id)
	began := time.Now()
	b.ok("delete", "--force", b.id)
	if d := time.Since(began); d > patience(5*time.Second) {
		t.Errorf("deleting a paused container took %v", d)
	}
	b.noTrace()
}

func TestPauseBeforeTheStart(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	b.create()
	b.ok("pause", b.id)
	if s := b.state().Status; s != "paused" {
		t.Errorf("status %s", s)
	}
	b.fails([]string{b.id, "paused"}, "start", b.id)
	b.ok("resume", b.id)
	if s := b.state().Status; s != specs.StateCreated {
		t.Errorf("status %s", s)
	}
	b.ok("start", b.id)
	b.waitFor(specs.StateRunning)
}

func TestPs(t *testing.T) {
	b := newBundle(t, "sleep 1000 & exec sleep 1001")
	b.create()
	b.ok("start", b.id)
	eventually(t, "two processes", func() bool {
		var pids []int
		must(t, json.Unmarshal([]byte(b.ok("ps", "--format", "json", b.id)), &pids))
		return len(pids) == 2
	})
	table := lines(b.ok("ps", b.id))
	if len(table) != 3 || !strings.Contains(table[0], "PID") || !strings.Contains(table[1]+table[2], "sleep 1001") {
		t.Errorf("%q", table)
	}
	if out := lines(b.ok("ps", b.id, "-o", "pid,comm")); len(out) != 3 || !strings.Contains(out[0], "COMMAND") {
		t.Errorf("%q", out)
	}
	b.fails([]string{"PID"}, "ps", b.id, "-o", "comm")
}

func TestKillAll(t *testing.T) {
	b := newBundle(t, "sleep 1000 & sleep 1000 & wait")
	b.spec.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.MountNamespace}, {Type: specs.UTSNamespace}}
	b.create()
	b.ok("start", b.id)
	eventually(t, "three processes", func() bool { return len(b.processes()) == 3 })
	b.ok("kill", "--all", b.id, "KILL")
	eventually(t, "none", func() bool { return len(b.processes()) == 0 })
	b.waitFor(specs.StateStopped)
	b.ok("delete", b.id)
}

func TestEventsStats(t *testing.T) {
	b := running(t)
	var e struct {
		Type, ID string
		Data     struct {
			CPU    struct{ Usage struct{ Total uint64 } }
			Memory struct{ Usage struct{ Limit uint64 } }
			Pids   struct{ Current uint64 }
		}
	}
	must(t, json.Unmarshal([]byte(b.ok("events", "--stats", b.id)), &e))
	if e.Type != "stats" || e.ID != b.id || (has("pids") && e.Data.Pids.Current != 1) || (has("cpuacct") && e.Data.CPU.Usage.Total == 0) {
		t.Errorf("%+v", e)
	}
}

func TestEventsUntilTheEnd(t *testing.T) {
	b := running(t)
	cmd := b.command("events", "--interval", "50ms", b.id)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	r := bufio.NewScanner(out)
	r.Buffer(nil, 1<<20)
	for range 2 {
		if !r.Scan() || !strings.Contains(r.Text(), `"type":"stats"`) {
			t.Errorf("%q %v", r.Text(), r.Err())
		}
	}
	b.ok("kill", b.id, "KILL")
	for r.Scan() {
	}
	must(t, cmd.Wait())
}

// The event is also reported if it is the container's end.
func TestOOMEvent(t *testing.T) {
	if !has("memory") {
		t.Skip("this world has no memory controller")
	}
	const wait = "while ! test -e /dev/shm/go; do sleep 0.01; done; "
	const eat = "dd if=/dev/zero of=/dev/null bs=200M count=1"
	for name, script := range map[string]string{"a child": wait + eat + "; exit 0", "the first process": wait + "exec " + eat} {
		b := newBundle(t, script)
		b.spec.Linux.Resources.Memory = &specs.LinuxMemory{Limit: ptr(int64(32 << 20)), Swap: ptr(int64(32 << 20))}
		b.create()
		b.ok("start", b.id)
		cmd := b.command("events", "--interval", "20ms", b.id)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		r := bufio.NewScanner(out)
		r.Buffer(nil, 1<<20)
		r.Scan() // it looks
		must(t, os.WriteFile(fmt.Sprintf("/proc/%d/root/dev/shm/go", b.state().Pid), nil, 0o644))
		seen := false
		for r.Scan() {
			seen = seen || strings.Contains(r.Text(), `"type":"oom"`)
		}
		must(t, cmd.Wait())
		if !seen {
			t.Errorf("no oom event of %s", name)
		}
		b.ok("delete", b.id)
	}
}

func TestUpdate(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	b.placeCgroup("")
	if has("memory") {
		b.spec.Linux.Resources.Memory = &specs.LinuxMemory{Limit: ptr(int64(64 << 20))}
	}
	b.create()
	read := func(controller, v1, v2 string) string {
		return cgroupFile(t, b.cgroup, controller, v1, v2)
	}
	if has("memory") {
		b.ok("update", "--memory", "96m", "--memory-reservation", "33554432", b.id)
		want(t, "memory", read("memory", "memory.limit_in_bytes", "memory.max"), strconv.Itoa(96<<20))
		want(t, "reservation", read("memory", "memory.soft_limit_in_bytes", "memory.low"), "33554432")
		b.fails([]string{"linux.resources.memory"}, "update", "--memory", "4096", "--memory-swap", "1", b.id)
		want(t, "memory after a refused update", read("memory", "memory.limit_in_bytes", "memory.max"), strconv.Itoa(96<<20))
	}
	if has("pids") {
		b.ok("update", "--pids-limit", "50", b.id)
		want(t, "pids", read("pids", "pids.max", "pids.max"), "50")
	}
	if has("cpu") && !cgroups.IsCgroup2UnifiedMode() {
		must(t, os.WriteFile(b.dir+"/update.json", []byte(`{"cpu": {"shares": 256, "quota": 20000, "period": 50000}}`), 0o644))
		b.ok("update", "-r", b.dir+"/update.json", b.id)
		want(t, "shares", read("cpu", "cpu.shares", ""), "256")
		want(t, "quota", read("cpu", "cpu.cfs_quota_us", ""), "20000")
		want(t, "memory is as it was", read("memory", "memory.limit_in_bytes", ""), strconv.Itoa(96<<20))
		r := b.rtIn(`{"cpu": {"shares": 128}}`, "update", "--resources", "-", b.id)
		if r.code != 0 {
			t.Error(r)
		}
		want(t, "shares", read("cpu", "cpu.shares", ""), "128")
	}
	b.fails([]string{"--memory", "lots"}, "update", "--memory", "lots", b.id)
	b.fails([]string{"linux.intelRdt", "created without it"}, "update", "--l3-cache-schema", "L3:0=f", b.id)
	b.ok("update", b.id) // nothing, which is no error
}

// A failed update changes nothing, and an update can be undone.
func TestUpdateIsWholeOrNot(t *testing.T) {
	if !has("memory") || !has("cpu") || !has("pids") {
		t.Skip("this world has not all controllers")
	}
	b := newBundle(t, "sleep 1000")
	b.placeCgroup("")
	r := b.spec.Linux.Resources
	r.CPU = &specs.LinuxCPU{Shares: ptr(uint64(512))}
	r.Pids = &specs.LinuxPids{Limit: ptr(int64(100))}
	b.create()
	read := func(controller, v1, v2 string) string { return cgroupFile(t, b.cgroup, controller, v1, v2) }
	unlimited := read("memory", "memory.limit_in_bytes", "memory.max")

	// The last of these does not exist in any kernel.
	must(t, os.WriteFile(b.dir+"/update.json", []byte(`{"memory": {"limit": 33554432}, "pids": {"limit": 5}, "cpu": {"cpus": "4000"}}`), 0o644))
	b.fails([]string{"linux.resources.cpu.cpus"}, "update", "-r", b.dir+"/update.json", b.id)
	want(t, "pids", read("pids", "pids.max", "pids.max"), "100")
	want(t, "memory", read("memory", "memory.limit_in_bytes", "memory.max"), unlimited)

	b.ok("update", "--memory", "64m", "--memory-swap", "64m", b.id)
	b.ok("update", "--memory", "-1", b.id)
	want(t, "memory", read("memory", "memory.limit_in_bytes", "memory.max"), unlimited)
	b.fails([]string{"--cpu-share", "-1"}, "update", "--cpu-share", "-1", b.id)

	b.ok("update", "--cpu-idle", "1", b.id)
	want(t, "idle", read("cpu", "cpu.idle", "cpu.idle"), "1")
	b.ok("update", "--pids-limit", "90", b.id)
	b.ok("update", "--cpu-idle", "0", b.id)
	want(t, "idle", read("cpu", "cpu.idle", "cpu.idle"), "0")
	b.ok("update", "--cpu-share", "256", b.id)
}
