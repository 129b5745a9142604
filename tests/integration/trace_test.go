package integration

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// traceEvent is an event of the Trace Event Format.
type traceEvent struct {
	Name     string
	Phase    string  `json:"ph"`
	Time     float64 `json:"ts"`
	Duration float64 `json:"dur"`
	Thread   int     `json:"tid"`
	Args     struct{ Name, Field, Call string }
}

// readTrace returns the events of a file of --trace by their rows.
func readTrace(t *testing.T, file string) map[string][]traceEvent {
	t.Helper()
	data, err := os.ReadFile(file)
	must(t, err)
	var trace struct{ TraceEvents []traceEvent }
	if err := json.Unmarshal(data, &trace); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	rows, events := map[int]string{}, map[string][]traceEvent{}
	for _, e := range trace.TraceEvents {
		if e.Phase == "M" {
			rows[e.Thread] = e.Args.Name
		}
	}
	for _, e := range trace.TraceEvents {
		if e.Phase == "X" {
			events[rows[e.Thread]] = append(events[rows[e.Thread]], e)
		}
	}
	return events
}

func hasEvent(events []traceEvent, is func(traceEvent) bool) bool {
	for _, e := range events {
		if is(e) {
			return true
		}
	}
	return false
}

// monotonic is CLOCK_MONOTONIC in microseconds.
func monotonic() float64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return float64(time.Duration(ts.Nano()).Nanoseconds()) / 1000
}

func TestTrace(t *testing.T) {
	b := newBundle(t, "exit 3")
	b.spec.Linux.Seccomp = nil
	b.write()
	file := b.dir + "/trace.json"
	begin := monotonic()
	if r := b.rt("--trace", file, "run", b.id); r.code != 3 || r.stderr != "" {
		t.Fatal(r)
	}
	end := monotonic()
	rows := readTrace(t, file)
	for row, want := range map[string]func(traceEvent) bool{
		"rt": func(e traceEvent) bool { return e.Name == "rt run" },
		"program": func(e traceEvent) bool {
			return e.Args.Field == "mounts[0]" && strings.HasPrefix(e.Args.Call, "fsconfig(")
		},
	} {
		if !hasEvent(rows[row], want) {
			t.Errorf("row %q lacks an event, among %d", row, len(rows[row]))
		}
	}
	if !hasEvent(rows["rt"], func(e traceEvent) bool { return e.Name == "compiled the program" }) {
		t.Errorf("%+v", rows["rt"])
	}
	if !hasEvent(rows["program"], func(e traceEvent) bool { return strings.Contains(e.Args.Call, "execve(") }) {
		t.Errorf("the end of the program is missing among %d steps", len(rows["program"]))
	}
	for row, events := range rows {
		for _, e := range events {
			if e.Time < begin || e.Duration < 0 || e.Time+e.Duration > end {
				t.Errorf("%s: %+v was not between %f and %f", row, e, begin, end)
			}
		}
	}
}

// The steps of a creation that failed are there, too, up to the failure.
func TestTraceOfAFailure(t *testing.T) {
	b := newBundle(t, "true")
	b.spec.Process.Args = []string{"/no/such"}
	b.write()
	file := b.dir + "/trace.json"
	b.fails([]string{"/no/such"}, "--trace", file, "create", b.id)
	if rows := readTrace(t, file); !hasEvent(rows["program"], func(e traceEvent) bool { return e.Args.Field == "root.path" }) {
		t.Errorf("%+v", rows)
	}
	b.fails([]string{"--trace", "no such file or directory"}, "--trace", b.dir+"/no/such/trace.json", "create", b.id)
	if r := b.rt("state", b.id); r.code != 1 {
		t.Errorf("the container exists: %v", r)
	}
}

// A filter that ends whoever asks for the time ends neither the program nor hooks: a trace
// changes nothing for the container.
func TestTraceBehindAFilter(t *testing.T) {
	for _, noNewPrivileges := range []bool{true, false} {
		b := newBundle(t, "exit 7")
		b.spec.Process.NoNewPrivileges = noNewPrivileges
		b.spec.Linux.Seccomp = &specs.LinuxSeccomp{
			DefaultAction: specs.ActAllow,
			Syscalls:      []specs.LinuxSyscall{{Names: []string{"clock_gettime"}, Action: specs.ActKillProcess}},
		}
		b.spec.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: "/bin/true"}}}
		b.write()
		if r := b.rt("--trace", b.dir+"/trace.json", "run", b.id); r.code != 7 {
			t.Errorf("noNewPrivileges %v: run: %v", noNewPrivileges, r)
		}
		b.spec.Process.Args = []string{"/bin/sleep", "1000"}
		b.create()
		b.ok("start", b.id)
		if r := b.rt("--trace", b.dir+"/trace.json", "exec", b.id, "sh", "-c", "exit 6"); r.code != 6 {
			t.Errorf("noNewPrivileges %v: exec: %v", noNewPrivileges, r)
		}
		if r := b.rt("--trace", b.dir+"/trace.json", "exec", b.id, "/no/such"); r.code == 0 || !strings.Contains(r.stderr, "/no/such") {
			t.Errorf("noNewPrivileges %v: a failing exec: %v", noNewPrivileges, r)
		}
		b.ok("delete", "--force", b.id)
	}
}

// Times are right in a time namespace, too.
func TestTraceInATimeNamespace(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.TimeNamespace})
	b.spec.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"monotonic": {Secs: 1000}, "boottime": {Secs: 2000}}
	b.write()
	file := b.dir + "/trace.json"
	for _, command := range [][]string{{"create", b.id}, {"start", b.id}, {"exec", b.id, "true"}} {
		b.ok(append([]string{"--trace", file}, command...)...)
		for row, events := range readTrace(t, file) {
			for _, e := range events {
				if e.Duration < 0 || e.Duration > 60e6 {
					t.Errorf("%s: %s: %+v", command[0], row, e)
				}
			}
		}
	}
}

// A trace that cannot be written is a warning: the command has done its work. A pipe gets
// the whole trace.
func TestTraceThatCannotBeWritten(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	b.write()
	for _, command := range [][]string{{"create", b.id}, {"start", b.id}, {"exec", b.id, "true"}, {"delete", "--force", b.id}} {
		r := b.rt(append([]string{"--trace", "/dev/full"}, command...)...)
		if r.code != 0 || !strings.Contains(r.stderr, "--trace: write /dev/full: no space left on device") {
			t.Errorf("%s: %v", command[0], r)
		}
	}
	if out := b.ok("--trace", "/dev/stdout", "list"); !strings.Contains(out, `"name":"rt list"`) {
		t.Errorf("no trace in %s", out)
	}
}

// A container that was created with a trace is like any other.
func TestTraceOfEachCommand(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	b.create("--no-new-keyring")
	for _, c := range [][]string{{"start", b.id}, {"exec", b.id, "true"}, {"state", b.id}, {"delete", "--force", b.id}} {
		file := b.dir + "/" + c[0] + ".json"
		b.ok(append([]string{"--trace", file}, c...)...)
		rows := readTrace(t, file)
		if !hasEvent(rows["rt"], func(e traceEvent) bool { return e.Name == "rt "+c[0] }) {
			t.Errorf("%s: %+v", c[0], rows)
		}
		if c[0] == "exec" && !hasEvent(rows["program"], func(e traceEvent) bool { return strings.HasPrefix(e.Args.Call, "setns(") }) {
			t.Errorf("exec: %+v", rows["program"])
		}
	}
}
