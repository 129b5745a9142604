package engines

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// dockerKind is a Docker with a runtime. Debian's client is used with all.
type dockerKind struct {
	title   string
	runtime string
	// settings is a word of the documented settings that configure the runtime.
	settings string
	current  bool
	// others is true if it tests other programs more than rt: it runs when runc does.
	others bool
	more   map[string]any
}

// newDocker starts a Docker daemon with its own containerd for the test, and loads the
// image.
func newDocker(t *testing.T, k dockerKind) *engine {
	t.Helper()
	programs, dockerd := debian, "dockerd"
	if k.current {
		programs, dockerd = release(newest(t, *containerd)), filepath.Join(absolute(t, *docker), "dockerd")
	}
	c := newContainerd(t, programs)
	e := &engine{kind: "docker", dir: t.TempDir(), cgroup: name()}
	socket := "unix://" + filepath.Join(e.dir, "socket")
	settings := map[string]any{
		"data-root": filepath.Join(e.dir, "data"), "exec-root": filepath.Join(e.dir, "exec"), "pidfile": filepath.Join(e.dir, "pid"),
		"hosts": []string{socket}, "containerd": c.client[2], "containerd-namespace": e.cgroup, "cgroup-parent": e.cgroup,
		"iptables": false, "ip6tables": false, "bridge": "none", "live-restore": true,
		// Docker may ask for more open files than the caller's limit allows.
		"default-ulimits": map[string]any{"nofile": map[string]any{"Name": "nofile", "Hard": 1024, "Soft": 1024}},
	}
	if k.current {
		settings["min-api-version"] = "1.41" // the client's
		// The builder uses the default runtime, and needs more of runc than Debian's can
		// do.
		settings["default-runtime"] = k.runtime
	}
	maps.Copy(settings, k.more)
	must(t, json.Unmarshal([]byte(documented(t, "json", k.settings)), &settings))
	config, err := json.Marshal(settings)
	must(t, err)
	file := filepath.Join(e.dir, "daemon.json")
	must(t, os.WriteFile(file, config, 0o644))
	e.title, e.runtime, e.control = k.title, k.runtime, k.runtime == "runc"
	e.hasty = k.current && k.settings == `"path"`
	e.client = []string{"docker", "-H", socket}
	stop := e.serve(t, func(t testing.TB) func() {
		return daemon(t, filepath.Join(e.dir, "log"), []string{programs.path(t)}, func() bool {
			return e.command(context.Background(), "version").Run() == nil
		}, dockerd, "--config-file", file)
	})
	t.Cleanup(func() {
		for id := range strings.FieldsSeq(e.ok(t, "ps", "-aq")) {
			e.ok(t, "rm", "-f", id)
		}
		stop()
		unmountBelow(t, e.dir)
		removeCgroups(e.cgroup)
	})
	e.load(t, image, []string{"sh"}, "load", "-i")
	return e
}

func TestDocker(t *testing.T) {
	for _, k := range []dockerKind{
		{title: "Docker 20.10 with rt", runtime: "rt", settings: `"path"`},
		{title: "Docker 20.10 with runc", runtime: "runc", settings: `"path"`, others: true},
		{title: "Docker 29 with rt's shim", runtime: "rt", settings: `"runtimeType"`, current: true},
		{title: "Docker 29 with runc's shim and rt", runtime: "rt", settings: `"path"`, current: true, others: true},
	} {
		if k.others && !*compare {
			continue
		}
		scenarios := cliScenarios
		if k.settings == `"runtimeType"` {
			scenarios = append(slices.Clip(scenarios), shimScenarios...)
		}
		t.Run(k.title, func(t *testing.T) { newDocker(t, k).run(t, scenarios) })
	}
}

// shimScenarios are what runc's shim cannot do: it lets others wait for an exec.
var shimScenarios = []scenario{
	{name: "exec that hangs", run: func(t *testing.T, e *engine) {
		dir := openDir(t)
		hangs(t, filepath.Join(dir, "hangs"))
		id := e.detached(t, []string{"--volume", dir + ":/volume"}, "sleep", "1000")
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		cmd := e.command(ctx, "exec", id, "/volume/hangs/program")
		must(t, cmd.Start())
		defer func() {
			cancel()
			_ = cmd.Wait()
		}()
		eventually(t, "the exec", func() bool { return strings.Count(e.ok(t, "top", id), "\n") == 2 })
		e.ok(t, "update", "--memory", "48m", "--memory-swap", "96m", id)
		contains(t, e.ok(t, "top", id), "sleep")
		e.ok(t, "kill", id)
	}},
}

// hangs makes a directory on a file system that does not answer (fuse(4)), like one whose
// server is gone.
func hangs(t *testing.T, dir string) {
	t.Helper()
	must(t, os.Mkdir(dir, 0o755))
	fuse, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	must(t, err)
	t.Cleanup(func() { fuse.Close() }) // those who wait get an error
	must(t, unix.Mount("fuse", dir, "fuse", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fuse.Fd())))
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

// With userns-remap every container has a user namespace, and Docker's files
// belong to subordinate ids.
func TestDockerRemapsUsers(t *testing.T) {
	// The name is part of the paths of sockets: it must be short.
	for _, k := range []struct {
		name string
		dockerKind
	}{
		{"rt", dockerKind{title: "Docker with userns-remap and rt", runtime: "rt", settings: `"path"`}},
		{"runc", dockerKind{title: "Docker with userns-remap and runc", runtime: "runc", settings: `"path"`, others: true}},
		{"shim", dockerKind{title: "Docker 29 with userns-remap and rt's shim", runtime: "rt", settings: `"runtimeType"`, current: true}},
	} {
		if k.others && !*compare {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			dir := openDir(t)
			newUser(t, dir)
			k.more = map[string]any{"userns-remap": testUser}
			newDocker(t, k.dockerKind).run(t, remapScenarios)
		})
	}
}

var remapScenarios = []scenario{
	{name: "root is another user outside", run: func(t *testing.T, e *engine) {
		equal(t, strings.Join(strings.Fields(e.okIn(t, nil, "cat", "/proc/self/uid_map", "/proc/self/gid_map")), " "),
			fmt.Sprintf("0 %d 65536 0 %[1]d 65536", firstSubID))
		id := e.detached(t, nil, "sleep", "1000")
		st, err := os.Stat("/proc/" + e.inspect(t, id, ".State.Pid"))
		must(t, err)
		equal(t, fmt.Sprint(st.Sys().(*syscall.Stat_t).Uid), fmt.Sprint(firstSubID))
	}},
	{name: "streams that are opened anew", run: func(t *testing.T, e *engine) {
		for _, user := range []string{"0", "1000"} {
			equal(t, e.okIn(t, []string{"--user", user}, "sh", "-c", "echo text > /dev/stdout"), "text")
		}
		id := e.detached(t, nil, "sh", "-c", "echo log > /dev/stdout; sleep 1000")
		eventually(t, "the log", func() bool { return e.ok(t, "logs", id) == "log" })
		equal(t, e.ok(t, "exec", id, "sh", "-c", "echo text > /dev/stdout"), "text")
	}},
	{name: "exec", run: func(t *testing.T, e *engine) {
		id := e.detached(t, nil, "sleep", "1000")
		equal(t, e.ok(t, "exec", id, "sh", "-c", "id -u; touch /root/file && stat -c %u /root/file"), "0\n0")
		equal(t, e.ok(t, "exec", "-u", "1000", id, "id", "-u"), "1000")
	}},
	{name: "terminal", run: func(t *testing.T, e *engine) {
		_, line := e.box(t, "run", []string{"--rm", "-t"}, "stat", "-c", "%u,%n", "/dev/pts/0")
		out, code := e.onTerminal(t, "", line...)
		if code != 0 {
			t.Errorf("exit status %d", code)
		}
		contains(t, out, "0,/dev/pts/0")
	}},
	{name: "volume", run: func(t *testing.T, e *engine) {
		out := e.okIn(t, []string{"-v", "/data"}, sh("echo text > /data/file; stat -c %u /data/file; cat /data/file")...)
		equal(t, out, "0\ntext")
	}},
	{name: "file of another user", run: func(t *testing.T, e *engine) {
		dir := openDir(t)
		must(t, os.WriteFile(filepath.Join(dir, "file"), []byte("text\n"), 0o600)) // root's, outside
		out, code := e.runIn(t, []string{"-v", dir + ":/data"}, "cat", "/data/file")
		if code == 0 {
			t.Error("the container can read it")
		}
		contains(t, out, "Permission denied")
	}},
	{name: "device", run: func(t *testing.T, e *engine) {
		equal(t, e.okIn(t, nil, sh("echo gone > /dev/null; head -c 4 /dev/zero | wc -c")...), "4")
	}},
}
