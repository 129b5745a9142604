//go:build guest

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// podman is Podman with rt and its own storage, under a systemd: the system's, or that of
// the user without privileges.
type podman struct {
	*bundle
	env   []string
	user  bool
	units string
}

func newPodman(t *testing.T, user bool) *podman {
	t.Helper()
	p := &podman{bundle: newUsersBundle(t, ""), user: user, units: "/run/systemd/system"}
	p.addNotify()
	write := func(name, text string) string {
		path := filepath.Join(p.dir, name)
		must(t, os.WriteFile(path, []byte(text), 0o644))
		return path
	}
	containers := write("containers.conf", fmt.Sprintf("[engine]\nruntime = \"rt\"\nevents_logger = \"file\"\n[engine.runtimes]\nrt = [%q]\n", rtPath))
	storage := write("storage.conf", fmt.Sprintf("[storage]\ndriver = \"vfs\"\ngraphroot = %q\nrunroot = %q\n",
		filepath.Join(p.dir, "storage"), filepath.Join(p.dir, "run")))
	p.env = []string{"CONTAINERS_CONF=" + containers, "CONTAINERS_STORAGE_CONF=" + storage}
	if user {
		linger(t)
		home := person(t).HomeDir
		p.units = filepath.Join(home, ".config/systemd/user")
		p.do("mkdir", "-p", p.units)
		t.Cleanup(func() { must(t, os.RemoveAll(filepath.Join(home, ".config"))) })
	}
	t.Cleanup(func() {
		_, _ = p.try("podman", "rm", "--all", "--force", "--time", "0")
		if user { // files that belong to subordinate ids
			_, _ = p.try("podman", "unshare", "rm", "-rf", filepath.Join(p.dir, "storage"), filepath.Join(p.dir, "run"))
		}
	})
	return p
}

// try runs a command as the user of the containers.
func (p *podman) try(args ...string) (string, error) {
	if p.user {
		return p.asPerson(true, append(append([]string{"env"}, p.env...), args...)...)
	}
	return p.outside(20*time.Second, append(append([]string{"env"}, p.env...), args...)...)
}

func (p *podman) do(args ...string) string {
	p.t.Helper()
	out, err := p.try(args...)
	if err != nil {
		p.t.Fatalf("%v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(out)
}

func (p *podman) systemctl(args ...string) string {
	p.t.Helper()
	if p.user {
		args = append([]string{"--user"}, args...)
	}
	return p.do(append([]string{"systemctl"}, args...)...)
}

// generate installs the unit that Podman makes of `podman create`.
func (p *podman) generate(create ...string) (unit string) {
	p.t.Helper()
	p.do(append([]string{"podman", "create", "--name", p.id, "--network", "none", "--log-driver", "k8s-file"}, create...)...)
	text := p.do("podman", "generate", "systemd", "--new", "--name", "--stop-timeout", "1", p.id)
	p.do("podman", "rm", p.id)
	text = strings.Replace(text, "[Service]\n", "[Service]\nEnvironment="+strings.Join(p.env, " ")+"\nRestartSec=0\n", 1)
	unit = "container-" + p.id + ".service"
	path := filepath.Join(p.units, unit)
	must(p.t, os.WriteFile(path, []byte(text+"\n"), 0o644))
	p.systemctl("daemon-reload")
	p.t.Cleanup(func() {
		p.systemctl("stop", unit)
		must(p.t, os.Remove(path))
		p.systemctl("daemon-reload")
	})
	return unit
}

// inspect is a field of the container.
func (p *podman) inspect(field string) string {
	p.t.Helper()
	return p.do("podman", "inspect", "--format", "{{."+field+"}}", p.id)
}

func TestPodmanUnits(t *testing.T) {
	if systemd {
		t.Skip("Podman chooses between cgroupfs and systemd itself")
	}
	for name, user := range map[string]bool{"of the system": false, "of a user": true} {
		t.Run(name, func(t *testing.T) {
			if user && !unified() {
				t.Skip("v1 cannot be delegated safely")
			}
			p := newPodman(t, user)
			unit := p.generate("--rootfs", p.path(""), "sleep", "1000")
			p.systemctl("start", unit)
			if got := filepath.Base(p.inspect("OCIRuntime")); got != filepath.Base(rtPath) {
				t.Errorf("the runtime is %q", got)
			}
			// The container is in the unit's cgroup, or in a scope beside it.
			first := p.inspect("State.Pid")
			cgroup, err := os.ReadFile("/proc/" + first + "/cgroup")
			must(t, err)
			if !strings.Contains(string(cgroup), unit) && !strings.Contains(string(cgroup), p.inspect("Id")) {
				t.Errorf("the container is in %s", cgroup)
			}
			profile := "unconfined" // a user may not load one
			if !user {
				profile = "(enforce)"
			}
			if got := p.do("podman", "exec", p.id, "cat", "/proc/self/attr/current"); !strings.HasSuffix(got, profile) {
				t.Errorf("the AppArmor profile is %q", got)
			}

			// systemd sees when it ends, and restarts it.
			must(t, exec.Command("kill", "-KILL", first).Run())
			eventually(t, "the unit was started again", func() bool {
				pid, err := p.try("podman", "inspect", "--format", "{{.State.Pid}}", p.id)
				return err == nil && strings.TrimSpace(pid) != first && strings.TrimSpace(pid) != "0"
			})
			p.systemctl("restart", unit)
			want(t, "state", p.systemctl("is-active", unit), "active")

			p.systemctl("stop", unit)
			if got := p.do("podman", "ps", "--all", "--quiet"); got != "" {
				t.Errorf("containers are left: %s", got)
			}
			if left := cgroupsNamed(t, p.id); left != "" {
				t.Errorf("cgroups are left: %s", left)
			}
		})
	}
}

// The unit is started when the container says so, not before.
func TestPodmanUnitThatNotifies(t *testing.T) {
	if systemd {
		t.Skip("Podman chooses between cgroupfs and systemd itself")
	}
	p := newPodman(t, false)
	ready := filepath.Join(p.path(""), "ready")
	unit := p.generate("--sdnotify", "container", "--rootfs", p.path(""), "sh", "-c",
		"while [ ! -e /ready ]; do sleep 0.1; done; sd_notify READY=1; exec sleep 1000")
	started := make(chan string, 1)
	go func() {
		out, err := p.try("systemctl", "start", unit)
		started <- fmt.Sprint(out, err)
	}()
	eventually(t, "the container runs", func() bool {
		out, err := p.try("podman", "inspect", "--format", "{{.State.Running}}", p.id)
		return err == nil && strings.TrimSpace(out) == "true"
	})
	state, _ := p.try("systemctl", "is-active", unit) // is no success
	want(t, "state", state, "activating")
	must(t, os.WriteFile(ready, nil, 0o644))
	want(t, "start", <-started, "<nil>")
	want(t, "state", p.systemctl("is-active", unit), "active")
}
