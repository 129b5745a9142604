package engines

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// newDocker starts a Docker daemon of the test's own, with a containerd of its
// own, and loads the image.
func newDocker(t *testing.T) *engine {
	t.Helper()
	c := newContainerd(t, debian)
	e := &engine{kind: "docker", dir: t.TempDir(), cgroup: name()}
	socket := "unix://" + filepath.Join(e.dir, "socket")
	settings := map[string]any{
		"data-root": filepath.Join(e.dir, "data"), "exec-root": filepath.Join(e.dir, "exec"), "pidfile": filepath.Join(e.dir, "pid"),
		"hosts": []string{socket}, "containerd": c.client[2], "containerd-namespace": e.cgroup, "cgroup-parent": e.cgroup,
		"iptables": false, "ip6tables": false, "bridge": "none", "live-restore": true,
		// The limit of open files that Docker asks for may be above the caller's.
		"default-ulimits": map[string]any{"nofile": map[string]any{"Name": "nofile", "Hard": 1024, "Soft": 1024}},
	}
	must(t, json.Unmarshal([]byte(documented(t, "json", "runtimes")), &settings))
	config, err := json.Marshal(settings)
	must(t, err)
	file := filepath.Join(e.dir, "daemon.json")
	must(t, os.WriteFile(file, config, 0o644))
	e.client = []string{"docker", "-H", socket}
	stop := e.serve(t, func(t testing.TB) func() {
		return daemon(t, filepath.Join(e.dir, "log"), nil, func() bool {
			return e.command(context.Background(), "version").Run() == nil
		}, "dockerd", "--config-file", file)
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
	for _, runtime := range []struct{ title, name string }{
		{"Docker with rt", "rt"},
		{"Docker with runc", "runc"},
	} {
		control := runtime.name == "runc"
		if control && !*compare {
			continue
		}
		t.Run(runtime.title, func(t *testing.T) {
			e := newDocker(t)
			e.title, e.runtime, e.control = runtime.title, runtime.name, control
			e.run(t, cliScenarios)
		})
	}
}
