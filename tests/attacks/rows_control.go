package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
)

// A container must not be able to block or mislead whoever manages it.

var controlAttacks = []attack{
	{
		name:     "exec-frozen",
		about:    "a container with a writable cgroup freezes the cgroup that exec enters, and exec never ends",
		kinds:    []string{"13.17"},
		defences: []defence.Name{defence.BoundedWait},
		view:     "v2",
		patience: 2 * minute,
		mount: func(t *try) string {
			b := t.script("cd /sys/fs/cgroup && mkdir a b && sleep 1000 & sleep 0.2; cd /sys/fs/cgroup; echo $! > a/cgroup.procs; echo 1 > b/cgroup.procs; echo +hugetlb > cgroup.subtree_control; (echo 0 > a/cgroup.procs; echo 1 > b/cgroup.freeze); sleep 1000")
			b.mountAt("/sys/fs/cgroup").Options = []string{"nosuid", "noexec", "nodev"}
			b.start()
			t.await("frozen", func() bool { return strings.Contains(read("/sys/fs/cgroup/"+b.id+"/b/cgroup.events"), "frozen 1") })
			if b.execute(b.command("exec", "--detach", b.id, "true"), boundedWait).late {
				return "exec does not end"
			}
			return ""
		},
	},
	{
		name:     "exec-stopped",
		about:    "the container's root stops the process that exec is about to start, and exec never ends",
		kinds:    []string{"13.17"},
		defences: []defence.Name{defence.BoundedWait},
		patience: 5 * minute,
		mount: func(t *try) string {
			b := t.attacker("stop-others")
			b.start()
			t.await("the attacker runs", func() bool { return alive(b.pid()) })
			limit := boundedWait
			if !t.ours() {
				limit = 5 * time.Second
			}
			for range 5 {
				cmd := b.command("exec", "--detach", b.id, "true")
				if r := b.execute(cmd, limit); r.late {
					return fmt.Sprintf("exec did not end within %v", limit)
				} else if r.code != 0 {
					return ""
				}
			}
			return ""
		},
	},
	{
		name:     "queries-stopped",
		about:    "the program of a created container is stopped, and state, list and delete --force hang",
		kinds:    []string{"13.17"},
		defences: []defence.Name{defence.QuietQueries},
		patience: 2 * minute,
		mount: func(t *try) string {
			b := t.script("true")
			b.create()
			t.must(syscall.Kill(b.pid(), syscall.SIGSTOP))
			return b.hangs()
		},
	},
	{
		name:     "queries-frozen",
		about:    "the same where a cgroup above the container's is frozen",
		kinds:    []string{"13.17"},
		defences: []defence.Name{defence.QuietQueries},
		view:     "v2",
		patience: 2 * minute,
		mount: func(t *try) string {
			b := t.script("true")
			b.spec.Linux.CgroupsPath += "/inner"
			b.create()
			freeze := "/sys/fs/cgroup/" + b.id + "/cgroup.freeze"
			t.must(os.WriteFile(freeze, []byte("1"), 0))
			defer func() { t.must(os.WriteFile(freeze, []byte("0"), 0)) }()
			return b.hangs()
		},
	},
	{
		name:     "adopted-pid",
		about:    "a program of rt that somebody else controls names a process of the host as the container's",
		kinds:    []string{"13.18"},
		defences: []defence.Name{defence.OwnChild},
		ours:     true,
		mount: func(t *try) string {
			victim := exec.Command("sleep", "1000")
			t.must(victim.Start())
			other := exec.Command("unshare", "-pf", "sleep", "1000")
			t.must(other.Start())
			b := t.script("sleep 100")
			var child string
			t.await("the other pid namespace", func() bool {
				child = firstField(read(fmt.Sprintf("/proc/%d/task/%d/children", other.Process.Pid, other.Process.Pid)))
				return child != ""
			})
			b.namespace(specs.PIDNamespace, "/proc/"+child+"/ns/pid")
			b.save()
			pidFile := t.host("pid")
			const requestChild = 2 // compile.RequestChild
			changed := false
			t.subvert(b.command("create", "--bundle", b.dir, "--pid-file", pidFile, b.id), func(message []uint64) {
				if message[0] == requestChild {
					changed = true
					message[1] = uint64(victim.Process.Pid)
				}
			})
			if !changed {
				t.fail("the program never told its child")
			}
			if read(pidFile) == strconv.Itoa(victim.Process.Pid) {
				b.do("kill", b.id, "KILL")
				return "rt took a process of the host for the container's"
			}
			return ""
		},
	},
}

// hangs queries the container's state more often than a socket has room for connections,
// and deletes it.
func (b *bundle) hangs() string {
	commands := [][]string{{"list"}, {"delete", "--force", b.id}}
	for range 20 {
		commands = append([][]string{{"state", b.id}}, commands...)
	}
	for _, args := range commands {
		if b.execute(b.command(args...), 4*time.Second).late {
			return fmt.Sprintf("%s hangs", args[0])
		}
	}
	return ""
}

// boundedWait is longer than rt waits for a program that does not continue.
const boundedWait = 15 * time.Second

func firstField(s string) string {
	var f string
	_, _ = fmt.Sscan(s, &f)
	return f
}
