package engines

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// newPodman gives Podman a storage and a configuration of the test's own.
func newPodman(t *testing.T, runtime string) *engine {
	t.Helper()
	dir := t.TempDir()
	conf := filepath.Join(dir, "containers.conf")
	must(t, os.WriteFile(conf, fmt.Appendf(nil, `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = %q
runtime = %q
%s`, filepath.Join(dir, "tmp"), runtime, documented(t, "ini", "[engine.runtimes]")), 0o644))
	e := &engine{kind: "podman", runtime: runtime, control: runtime == "runc", dir: dir, cgroup: name()}
	e.env = []string{"CONTAINERS_CONF=" + conf}
	e.client = []string{"podman", "--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"), "--storage-driver", "overlay"}
	t.Cleanup(func() {
		_, _ = e.try(t, "", "pod", "rm", "-a", "-f", "-t", "0")
		_, _ = e.try(t, "", "rm", "-a", "-f", "-t", "0")
		// The storage's files belong to mapped users.
		_, _ = e.try(t, "", "system", "reset", "-f")
		unmountBelow(t, dir)
		removeCgroups(e.cgroup)
	})
	tar := filepath.Join(dir, "image.tar")
	writeImage(t, tar, image, []string{"sh"})
	e.ok(t, "load", "-i", tar)
	return e
}

func TestPodman(t *testing.T) {
	for _, runtime := range []string{"rt", "runc"} {
		t.Run(runtime, func(t *testing.T) {
			skipControl(t, runtime == "runc")
			e := newPodman(t, runtime)
			e.title = "Podman with " + runtime
			e.run(t, cliScenarios)
		})
	}
}

func TestBuildah(t *testing.T) {
	for _, runtime := range []string{"rt", "runc"} {
		t.Run(runtime, func(t *testing.T) {
			skipControl(t, runtime == "runc")
			p := newPodman(t, runtime)
			e := *p
			e.kind, e.title = "buildah", "Buildah with "+runtime
			e.client = append([]string{"buildah"}, p.client[1:]...)
			path := runtime
			if runtime == "rt" {
				path = binary(t, "rt")
			}
			e.run(t, buildahScenarios(path))
		})
	}
}

// buildahScenarios are what people do with Buildah, on a runtime's path.
func buildahScenarios(runtime string) []scenario {
	from := func(t *testing.T, e *engine) string {
		id := e.ok(t, "from", "--pull-never", image)
		t.Cleanup(func() { _, _ = e.try(t, "", "rm", id) })
		return id
	}
	return []scenario{
		{name: "output of a container", run: func(t *testing.T, e *engine) {
			// It asks for ambient capabilities that cannot be, of which rt warns.
			contains(t, e.ok(t, "run", "--runtime", runtime, "--network", "none", from(t, e), "--", "echo", "out"), "out")
		}},
		{name: "exit status", run: func(t *testing.T, e *engine) {
			e.exits(t, 42, "run", "--runtime", runtime, "--network", "none", from(t, e), "--", "sh", "-c", "exit 42")
		}},
		{name: "build", run: func(t *testing.T, e *engine) {
			dir := t.TempDir()
			must(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM "+image+"\nRUN echo built-$((6*7)) && touch /made\nUSER user\nRUN id -u\n"), 0o644))
			out := e.ok(t, "build", "--runtime", runtime, "--network", "none", "--no-cache", "-t", strings.ToLower(name()), dir)
			contains(t, out, "built-42", "\n1000")
		}},
	}
}
