package engines

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// newPodman gives Podman a storage and a configuration of the test's own.
func newPodman(t *testing.T, runtime string, rootless bool) *engine {
	t.Helper()
	dir, err := os.MkdirTemp("", "rt-") // Podman takes no long names
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	must(t, os.Chmod(dir, 0o755))
	conf := filepath.Join(dir, "containers.conf")
	own := fmt.Sprintf(`[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = %q
runtime = %q
`, filepath.Join(dir, "tmp"), runtime)
	must(t, os.WriteFile(conf, []byte(`[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
log_driver = "k8s-file"
`+strings.Replace(documented(t, "ini", "[engine.runtimes]"), "[engine]\n", own, 1)), 0o644))
	e := &engine{kind: "podman", runtime: runtime, control: runtime == "runc", rootless: rootless, dir: dir, cgroup: name()}
	e.env = []string{"CONTAINERS_CONF=" + conf}
	e.client = []string{"podman", "--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"), "--storage-driver", "overlay"}
	if rootless {
		e.client = append(newUser(t, dir), e.client...)
	}
	t.Cleanup(func() {
		_, _ = e.try(t, "", "pod", "rm", "-a", "-f", "-t", "0")
		_, _ = e.try(t, "", "rm", "-a", "-f", "-t", "0")
		// The storage's files belong to mapped users.
		_, _ = e.try(t, "", "system", "reset", "-f")
		unmountBelow(t, dir)
		removeCgroups(e.cgroup)
	})
	e.load(t, image, []string{"sh"}, "load", "-i")
	return e
}

const (
	testUser   = "rt-engines"
	firstSubID = 500000
)

// newUser makes a user with subordinate ids, in this mount namespace only, to
// whom a directory belongs, and returns the beginning of their command lines.
func newUser(t *testing.T, dir string) []string {
	t.Helper()
	const user, id = testUser, 4242
	for file, line := range map[string]string{
		"passwd": fmt.Sprintf("%s:x:%d:%d::%s:/bin/sh", user, id, id, dir), "group": fmt.Sprintf("%s:x:%d:", user, id),
		"subuid": fmt.Sprintf("%s:%d:65536", user, firstSubID), "subgid": fmt.Sprintf("%s:%d:65536", user, firstSubID),
	} {
		real := filepath.Join("/etc", file)
		data, err := os.ReadFile(real)
		must(t, err)
		own := filepath.Join(dir, file)
		must(t, os.WriteFile(own, append(data, line+"\n"...), 0o644))
		must(t, unix.Mount(own, real, "", unix.MS_BIND, ""))
		t.Cleanup(func() { must(t, unix.Unmount(real, unix.MNT_DETACH)) })
	}
	must(t, os.Chown(dir, id, id))
	runtimeDir := filepath.Join(dir, "runtime")
	must(t, os.Mkdir(runtimeDir, 0o700))
	must(t, os.Chown(runtimeDir, id, id))
	return []string{
		"setpriv", "--reuid", fmt.Sprint(id), "--regid", fmt.Sprint(id), "--clear-groups",
		"env", "-C", dir, "HOME=" + dir, "USER=" + user, "XDG_RUNTIME_DIR=" + runtimeDir,
	}
}

// runtimes are those that Podman and Buildah use.
func runtimes() []string {
	if !*compare {
		return []string{"rt"}
	}
	return []string{"rt", "runc"}
}

// runtimePath is the program of one of them.
func runtimePath(t *testing.T, runtime string) string {
	t.Helper()
	if runtime == "rt" {
		return binary(t, "rt")
	}
	return runtime
}

func TestPodman(t *testing.T) {
	for _, runtime := range runtimes() {
		for _, rootless := range []bool{false, true} {
			title := "Podman with " + runtime
			if rootless {
				title = "rootless " + title
			}
			t.Run(title, func(t *testing.T) {
				e := newPodman(t, runtime, rootless)
				e.title = title
				e.run(t, cliScenarios)
			})
		}
	}
}
