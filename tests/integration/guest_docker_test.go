//go:build guest

package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// dockerSettings is the configuration file of Docker's daemon.
const dockerSettings = "/etc/docker/daemon.json"

// docker runs Docker's client.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience(30*time.Second))
	defer cancel()
	out, err := exec.CommandContext(ctx, "docker", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// Docker in its default setup, as a systemd service: it lets systemd manage cgroups if
// there is only v2, and gives its containers an AppArmor profile.
func TestDockerUnderSystemd(t *testing.T) {
	if systemd {
		t.Skip("Docker chooses between cgroupfs and systemd itself")
	}
	b := newBundle(t, "")
	must(t, os.MkdirAll(filepath.Dir(dockerSettings), 0o755))
	settings := fmt.Sprintf(`{"runtimes": {"rt": {"path": %q}}, "default-runtime": "rt", "storage-driver": "vfs", "bridge": "none", "iptables": false, "data-root": %q}`,
		rtPath, filepath.Join(b.dir, "docker"))
	must(t, os.WriteFile(dockerSettings, []byte(settings), 0o644))
	t.Cleanup(func() { must(t, os.Remove(dockerSettings)) })
	services := []string{"docker.service", "docker.socket", "containerd.service"}
	if out, err := exec.Command("systemctl", "start", "docker.service").CombinedOutput(); err != nil {
		log, _ := exec.Command("journalctl", "--no-pager", "-n", "30", "-u", "docker.service").CombinedOutput()
		t.Fatalf("systemctl start: %v: %s%s", err, out, log)
	}
	t.Cleanup(func() { must(t, exec.Command("systemctl", append([]string{"stop"}, services...)...).Run()) })

	want(t, "driver, runtime", docker(t, "info", "--format", "{{.CgroupDriver}} {{.DefaultRuntime}}"),
		map[bool]string{true: "systemd rt", false: "cgroupfs rt"}[unified()])
	archive := filepath.Join(b.dir, "image.tar")
	must(t, exec.Command("tar", "-C", b.path(""), "-cf", archive, ".").Run())
	docker(t, "import", archive, "rt-test")
	run := func(args ...string) []string {
		return append([]string{"run", "--network", "none", "--name", b.id}, args...)
	}
	// Docker may lose what is written right before the end.
	want(t, "run", docker(t, run("--rm", "rt-test", "sh", "-c", "echo from inside; cat /proc/self/attr/current; sleep 1")...),
		"from inside\ndocker-default (enforce)")

	id := docker(t, run("--detach", "--memory", "64m", "--pids-limit", "50", "rt-test", "sleep", "1000")...)
	limit := docker(t, "exec", b.id, "sh", "-c", "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null; sleep 1")
	want(t, "limit", limit, "67108864")
	if unified() {
		scope := "docker-" + id + ".scope"
		out, err := exec.Command("systemctl", "show", "--property", "ActiveState,MemoryMax,TasksMax", scope).CombinedOutput()
		must(t, err)
		for _, line := range []string{"ActiveState=active", "MemoryMax=67108864", "TasksMax=50"} {
			if !strings.Contains(string(out), line+"\n") {
				t.Errorf("no %s in the properties of %s: %s", line, scope, out)
			}
		}
	}
	docker(t, "update", "--memory", "48m", "--memory-swap", "48m", b.id)
	docker(t, "pause", b.id)
	want(t, "state", docker(t, "inspect", "--format", "{{.State.Status}}", b.id), "paused")
	docker(t, "unpause", b.id)
	docker(t, "restart", "--time", "0", b.id)
	want(t, "state", docker(t, "inspect", "--format", "{{.State.Status}}", b.id), "running")
	docker(t, "rm", "--force", b.id)
	eventually(t, "the cgroup is gone", func() bool { return cgroupsNamed(t, id) == "" })
}
