package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer"
	"golang.org/x/sys/unix"
)

// held runs a container that only holds its namespaces, with no file system of its own.
func held(t *testing.T, b *bundle) (*libcontainer.Container, *libcontainer.Process) {
	t.Helper()
	b.write()
	c, p, err := libcontainer.Run(context.Background(), libcontainer.Options{
		Root: b.root, ID: b.id, Bundle: b.dir, Hold: true, Rootless: unprivileged, SystemdCgroup: systemd,
	})
	must(t, err)
	t.Cleanup(func() {
		_ = c.Delete(true, nil)
		c.Close()
		p.Close()
	})
	return c, p
}

func procFile(t *testing.T, pid int, name string) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	must(t, err)
	return string(text)
}

// The program holds the namespaces of a pod with nothing that a container could use, and
// ends when it is told to.
func TestHold(t *testing.T) {
	b := newBundle(t, "never runs")
	b.spec.Process.User = specs.User{UID: 65535, GID: 65535}
	b.spec.Process.Capabilities = nil
	b.spec.Hostname = "pod"
	b.spec.Linux.Sysctl = map[string]string{"kernel.shm_rmid_forced": "1", "net.ipv4.ping_group_range": "0 7"}
	if unprivileged {
		b.spec.Process.User, b.spec.Linux.Sysctl = specs.User{}, nil
	}
	c, p := held(t, b)
	if c.Status() != libcontainer.Running || c.Pid() != p.Pid() {
		t.Errorf("%s, process %d, not %d", c.Status(), c.Pid(), p.Pid())
	}
	for _, ns := range []string{"ipc", "uts", "net", "pid", "mnt"} {
		own, err := os.Readlink("/proc/self/ns/" + ns)
		must(t, err)
		if its, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", p.Pid(), ns)); err != nil || its == own {
			t.Errorf("%s: %s, %v", ns, its, err)
		}
	}
	status := procFile(t, p.Pid(), "status")
	for _, line := range []string{"CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"} {
		if !strings.Contains(status, line) {
			t.Errorf("no %q in %s", line, status)
		}
	}
	if !unprivileged {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/root", p.Pid()))
		if err != nil || len(entries) != 0 {
			t.Errorf("its root directory has %v, %v", entries, err)
		}
		if mounts := procFile(t, p.Pid(), "mountinfo"); strings.Count(mounts, "\n") != 1 || !strings.Contains(mounts, " ro,") {
			t.Errorf("its mounts: %s", mounts)
		}
	}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.Pid()))
	if err == nil && len(fds) != 4 { // the standard streams and the signals
		t.Errorf("its descriptors: %v", fds)
	}
	// Another container joins what it holds.
	other := newBundle(t, "hostname; cat /proc/sys/kernel/shm_rmid_forced /proc/sys/net/ipv4/ping_group_range")
	other.spec.Hostname = ""
	for i := range other.spec.Linux.Namespaces {
		n := &other.spec.Linux.Namespaces[i]
		if name := map[specs.LinuxNamespaceType]string{"ipc": "ipc", "uts": "uts", "network": "net", "user": "user"}[n.Type]; name != "" {
			n.Path = fmt.Sprintf("/proc/%d/ns/%s", p.Pid(), name)
		}
	}
	if !unprivileged {
		want(t, "a container of the pod", other.run(), "pod\n1\n0\t7")
	}
	for _, sig := range []unix.Signal{unix.SIGHUP, unix.SIGUSR1, unix.SIGCHLD} {
		must(t, c.Signal(sig))
	}
	time.Sleep(20 * time.Millisecond)
	if c.Status() != libcontainer.Running {
		t.Error("another signal ended it")
	}
	must(t, c.Signal(unix.SIGTERM))
	ws, err := p.Wait(context.Background())
	if err != nil || !ws.Exited() || ws.ExitStatus() != 0 {
		t.Errorf("%v, %v", ws, err)
	}
	must(t, c.Delete(false, nil))
	b.noTrace()
}

// In the pod's pid namespace it reaps what nobody waits for, and a process there can end
// the pod, as with a pause container.
func TestHoldReaps(t *testing.T) {
	if unprivileged {
		t.Skip("joining another container's pid namespace needs root")
	}
	b := newBundle(t, "never runs")
	c, p := held(t, b)
	other := newBundle(t, "(true & exec true) & sleep 0.3; ps -o pid,stat | grep -c Z; kill -TERM 1; sleep 5")
	for i := range other.spec.Linux.Namespaces {
		if n := &other.spec.Linux.Namespaces[i]; n.Type == specs.PIDNamespace {
			n.Path = fmt.Sprintf("/proc/%d/ns/pid", p.Pid())
		}
	}
	other.write()
	if r := other.rt("run", other.id); strings.TrimSpace(r.stdout) != "0" || r.code != 128+int(unix.SIGKILL) {
		t.Errorf("%v, want no zombie, and the end with the pod", r)
	}
	ws, err := p.Wait(context.Background())
	if err != nil || !ws.Exited() {
		t.Errorf("%v, %v", ws, err)
	}
	must(t, c.Delete(false, nil))
}

// What cannot be held is refused, and nothing is left.
func TestHoldRefuses(t *testing.T) {
	b := newBundle(t, "never runs")
	b.write()
	o := libcontainer.Options{Root: b.root, ID: b.id, Bundle: b.dir, Hold: true, Rootless: unprivileged, SystemdCgroup: systemd}
	if _, _, err := libcontainer.Create(context.Background(), o); err == nil || !strings.Contains(err.Error(), "Hold") {
		t.Errorf("Create: %v", err)
	}
	b.spec.Linux.Sysctl = map[string]string{"net.ipv4.no_such_setting": "1"}
	b.write()
	if _, _, err := libcontainer.Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), "linux.sysctl") {
		t.Errorf("a wrong sysctl: %v", err)
	}
	if _, err := os.Stat(filepath.Join(b.root, b.id)); !os.IsNotExist(err) {
		t.Errorf("the state: %v", err)
	}
	b.noTrace()
}
