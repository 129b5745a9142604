package main

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
)

const minute = time.Minute

var procAttacks = []attack{
	{
		name:     "no-pivot-proc",
		about:    "with --no-pivot, a process with its own user namespace mounts a procfs without masks",
		kinds:    []string{"13.11"},
		defences: []defence.Name{defence.HostProc},
		mount: func(t *try) string {
			b := t.attacker("own-proc", "sys/kernel/core_pattern")
			return tell(b.run("--no-pivot"), gained, "core_pattern could be opened for writing")
		},
	},
	{
		name:     "time-offsets-redirected",
		about:    "the offsets of a time namespace are written to a file that another container has put in the place of /proc/self/timens_offsets",
		kinds:    []string{"13.9", "CVE-2025-52881"},
		defences: []defence.Name{defence.OwnProcfs},
		mount: func(t *try) string {
			fake := filepath.Dir(filepath.Dir(t.write(t.host("fake", "self", "timens_offsets"), "")))
			b := t.script("true")
			b.spec.Version = "1.1.0"
			b.namespace(specs.MountNamespace, t.otherMounts("mount --bind "+fake+" /proc"))
			b.namespace(specs.TimeNamespace, "")
			b.spec.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 1000}}
			b.run()
			if text := read(t.host("fake", "self", "timens_offsets")); text != "" {
				return "written to the file of the other container: " + text
			}
			return ""
		},
	},
	{
		name:     "sysctl-redirected",
		about:    "the image has its own /proc, and the runtime writes kernel parameters there",
		kinds:    []string{"CVE-2025-52881"},
		defences: []defence.Name{defence.OwnProcfs},
		mount: func(t *try) string {
			b := t.script("true")
			b.drop("/proc")
			b.spec.Linux.MaskedPaths, b.spec.Linux.ReadonlyPaths = nil, nil
			b.spec.Linux.Sysctl = map[string]string{"net.ipv4.ping_group_range": "0 1"}
			file := t.write(b.root("proc/sys/net/ipv4/ping_group_range"), "")
			b.run()
			if text := read(file); text != "" {
				return "written to the image's file: " + strings.TrimSpace(text)
			}
			return ""
		},
	},
	{
		name:     "oom-score-redirected",
		about:    "the image's /proc has its own oom_score_adj, and the real one is not set",
		kinds:    []string{"CVE-2025-52881"},
		defences: []defence.Name{defence.OwnProcfs},
		mount: func(t *try) string {
			b := t.script("true")
			b.drop("/proc")
			b.spec.Linux.MaskedPaths, b.spec.Linux.ReadonlyPaths = nil, nil
			adj := 500
			b.spec.Process.OOMScoreAdj = &adj
			for _, name := range []string{"self", "1", "2", "thread-self"} {
				t.write(b.root("proc", name, "oom_score_adj"), "")
			}
			b.save()
			b.do("create", "--bundle", b.dir, b.id)
			for _, name := range []string{"self", "1", "2", "thread-self"} {
				if text := read(b.root("proc", name, "oom_score_adj")); text != "" {
					return "written to the image's file: " + text
				}
			}
			return ""
		},
	},
	{
		name:     "label-redirected",
		about:    "the image's /proc has files of its own for the AppArmor profile, and the real ones are not written",
		kinds:    []string{"CVE-2019-16884", "CVE-2025-52881", "youki CVE-2025-62596"},
		defences: []defence.Name{defence.OwnProcfs},
		needs:    "/sys/kernel/security/apparmor/profiles",
		mount: func(t *try) string {
			b := t.script("true")
			b.drop("/proc")
			b.spec.Linux.MaskedPaths, b.spec.Linux.ReadonlyPaths = nil, nil
			b.spec.Process.ApparmorProfile = "unconfined"
			files := []string{"self/attr/exec", "self/attr/apparmor/exec", "thread-self/attr/exec", "thread-self/attr/apparmor/exec"}
			for _, name := range files {
				t.write(b.root("proc", name), "")
			}
			b.run()
			for _, name := range files {
				if text := read(b.root("proc", name)); text != "" {
					return "written to the image's /proc/" + name + ": " + text
				}
			}
			return ""
		},
	},
	{
		name:     "proc-link",
		about:    "the image's /proc is a symlink to another directory",
		kinds:    []string{"CVE-2019-19921", "CVE-2023-27561", "CVE-2023-28642", "youki CVE-2025-54867"},
		defences: []defence.Name{defence.ExactProc},
		mount: func(t *try) string {
			b := t.script("if [ -e /other/self/status ]; then echo " + gained + "; fi")
			b.mkdir(b.root("other"))
			t.link("/other", b.root("proc"))
			return tell(b.run(), gained, "proc is mounted where the image wanted it")
		},
	},
	{
		name:     "sys-link",
		about:    "the image's /sys is a symlink to another directory",
		kinds:    []string{"CVE-2023-28642", "youki CVE-2025-54867"},
		defences: []defence.Name{defence.ExactProc},
		mount: func(t *try) string {
			b := t.script("if [ -e /other/kernel ]; then echo " + gained + "; fi")
			b.drop("/sys/fs/cgroup")
			b.mkdir(b.root("other"))
			t.link("/other", b.root("sys"))
			return tell(b.run(), gained, "sysfs is mounted where the image wanted it")
		},
	},
	{
		name:     "masked-paths",
		about:    "a container reads a file of procfs that should be masked",
		kinds:    []string{"linux.maskedPaths"},
		defences: []defence.Name{defence.MaskedPaths},
		mount: func(t *try) string {
			b := t.script("if [ -s /proc/keys ] || [ -n \"$(head -c 1 /proc/keys)\" ]; then echo " + gained + "; fi")
			return tell(b.run(), gained, "/proc/keys could be read")
		},
	},
	{
		name:     "readonly-paths",
		about:    "a container opens files of procfs for writing that should be read-only",
		kinds:    []string{"linux.readonlyPaths"},
		defences: []defence.Name{defence.ReadonlyPaths},
		mount: func(t *try) string {
			b := t.attacker("open-for-writing", "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger")
			return tell(b.run(), gained, "could have been written to")
		},
	},
}

// otherMounts starts a process in another container's mount namespace, changes that by
// commands, and returns its path.
func (t *try) otherMounts(commands string) string {
	ready := t.host("ready")
	cmd := exec.Command("unshare", "-m", "sh", "-ec", "mount --make-rprivate /; "+commands+"; echo > "+ready+"; exec sleep 1000")
	var trouble strings.Builder
	cmd.Stderr = &trouble
	t.must(cmd.Start())
	if !eventually(func() bool { return fileExists(ready) }) {
		t.fail("other mount namespace: %s", trouble.String())
	}
	return "/proc/" + strconv.Itoa(cmd.Process.Pid) + "/ns/mnt"
}
