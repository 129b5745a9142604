package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// background starts `rt run` and waits until the container runs.
func (b *bundle) background(flags ...string) (pid int, wait func() int) {
	b.t.Helper()
	b.write()
	cmd := b.command(append(append([]string{"run"}, flags...), b.id)...)
	must(b.t, cmd.Start())
	eventually(b.t, "the container runs", func() bool {
		return b.rt("state", b.id).code == 0 && b.state().Status == specs.StateRunning
	})
	return cmd.Process.Pid, func() int {
		_ = cmd.Wait()
		return cmd.ProcessState.ExitCode()
	}
}

// awaitKeeper waits until the keeper has replaced rt.
func awaitKeeper(t *testing.T, pid int) {
	t.Helper()
	eventually(t, "rt-keeper", func() bool {
		args, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		return strings.HasPrefix(string(args), "rt-keeper")
	})
}

// While its container runs, rt is a program of some dozens of KiB.
func TestASmallProgramKeepsTheContainer(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	pid, wait := b.background()
	awaitKeeper(t, pid)
	proc := fmt.Sprintf("/proc/%d/", pid)
	if private := privateKiB(t, pid); private > 128 {
		t.Errorf("the keeper holds %d KiB", private)
	}
	fds, err := os.ReadDir(proc + "fd")
	must(t, err)
	for _, fd := range fds {
		link, _ := os.Readlink(proc + "fd/" + fd.Name())
		if inherited, _ := os.Readlink("/proc/self/fd/" + fd.Name()); link == inherited {
			continue
		}
		if link != os.DevNull && link != b.root+"/"+b.id && !strings.HasPrefix(link, "anon_inode:[") {
			t.Errorf("descriptor %s is %s", fd.Name(), link)
		}
	}
	b.ok("kill", b.id, "KILL")
	if code := wait(); code != 137 {
		t.Errorf("exit status %d", code)
	}
	b.noTrace()
}

func TestKeeperReturnsTheExitStatus(t *testing.T) {
	for _, code := range []int{0, 1, 42, 127, 255} {
		b := newBundle(t, fmt.Sprintf("sleep 0.1; exit %d", code))
		b.write()
		if r := b.rt("run", b.id); r.code != code {
			t.Errorf("%v, want %d", r, code)
		}
		b.noTrace()
	}
}

func TestKeeperRemovesWhatTheContainerMade(t *testing.T) {
	b := newBundle(t, `for d in /sys/fs/cgroup /sys/fs/cgroup/pids; do mkdir -p $d/sub/sub 2>/dev/null; done; ls -d /sys/fs/cgroup/sub /sys/fs/cgroup/pids/sub 2>/dev/null | wc -l; exit 3`)
	privileged(b)
	b.write()
	r := b.rt("run", b.id)
	if r.code != 3 || strings.TrimSpace(r.stdout) == "0" {
		t.Errorf("%v", r)
	}
	b.noTrace()
}

func TestKeeperLeavesANewContainerAlone(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	pid, wait := b.background()
	// Before, rt would tell that the container was killed while it was made.
	awaitKeeper(t, pid)
	b.ok("delete", "--force", b.id)
	b.ok("create", b.id)
	if code := wait(); code != 137 {
		t.Errorf("exit status %d", code)
	}
	if s := b.state().Status; s != specs.StateCreated {
		t.Errorf("the new container is %s", s)
	}
}

func TestKeeperKeeps(t *testing.T) {
	b := newBundle(t, "sleep 0.1; exit 4")
	b.write()
	if r := b.rt("run", "--keep", b.id); r.code != 4 {
		t.Error(r)
	}
	if s := b.state().Status; s != specs.StateStopped {
		t.Errorf("status %s", s)
	}
	b.ok("delete", b.id)
	b.noTrace()
}

func TestKeeperReapsOrphans(t *testing.T) {
	b := newBundle(t, `(setsid sleep 0.1 &) ; sleep 1000`)
	b.spec.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.MountNamespace}, {Type: specs.UTSNamespace}, {Type: specs.PIDNamespace}}
	pid, wait := b.background()
	eventually(t, "no zombies", func() bool {
		children, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
		zombies := 0
		for _, file := range children {
			data, _ := os.ReadFile(file)
			for _, child := range strings.Fields(string(data)) {
				stat, _ := os.ReadFile("/proc/" + child + "/stat")
				if strings.Contains(string(stat), ") Z ") {
					zombies++
				}
			}
		}
		return zombies == 0
	})
	b.ok("kill", b.id, "KILL")
	wait()
	b.noTrace()
}
