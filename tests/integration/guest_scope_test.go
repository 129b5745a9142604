//go:build guest

package integration

import (
	"os/exec"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// A container's scope is where linux.cgroupsPath says, has the properties of the
// annotations, and is gone with the container, however that ended.
func TestScope(t *testing.T) {
	if !systemd {
		t.Skip("systemd does not manage cgroups here")
	}
	b := newBundle(t, "sleep 1000")
	b.spec.Linux.CgroupsPath = "rttest-inner.slice:pod:" + b.id
	b.spec.Annotations = map[string]string{
		"org.systemd.property.TimeoutStopSec": "uint64 77", "org.systemd.property.CollectMode": "'inactive-or-failed'",
	}
	unit := "pod-" + b.id + ".scope"
	t.Cleanup(func() { _ = exec.Command("systemctl", "stop", "rttest.slice").Run() })
	show := func() string {
		out, err := exec.Command("systemctl", "show", "-p", "Slice,Delegate,TimeoutStopUSec,CollectMode,ActiveState", unit).Output()
		must(t, err)
		return string(out)
	}
	for _, end := range [][]string{{"delete", "--force", b.id}, {"kill", b.id, "KILL"}} {
		b.create()
		b.ok("start", b.id)
		for _, w := range []string{"Slice=rttest-inner.slice\n", "Delegate=yes\n", "TimeoutStopUSec=1min 17s\n", "CollectMode=inactive-or-failed\n"} {
			if got := show(); !strings.Contains(got, w) {
				t.Errorf("no %q in %q", w, got)
			}
		}
		b.ok("exec", b.id, "true")
		b.ok(end...)
		if end[0] == "kill" {
			b.waitFor(specs.StateStopped)
			b.ok("delete", b.id)
		}
		b.noTrace()
		if got := show(); !strings.Contains(got, "ActiveState=inactive\n") {
			t.Errorf("after %v: %q", end, got)
		}
	}
}

func TestScopesThatCannotBe(t *testing.T) {
	if !systemd {
		t.Skip("systemd does not manage cgroups here")
	}
	for path, words := range map[string][]string{
		"/absolute/path":           {"linux.cgroupsPath", "slice:prefix:name"},
		"system:rt:box":            {"linux.cgroupsPath", `"system" is not the name of a slice`},
		"system.slice:rt:":         {"linux.cgroupsPath", "name is empty"},
		"system.slice:rt:a/b":      {"linux.cgroupsPath", "characters"},
		"system.slice::user.slice": {"linux.cgroupsPath", "slice, which has no processes"},
	} {
		b := newBundle(t, "true")
		b.spec.Linux.CgroupsPath = path
		b.write()
		b.fails(words, "create", b.id)
		b.noTrace()
	}
	b := newBundle(t, "true")
	const key = "org.systemd.property.CollectMode"
	b.spec.Annotations = map[string]string{key: "without quotes"}
	b.write()
	b.fails([]string{key, "without quotes"}, "create", b.id)
	b.spec.Annotations = map[string]string{key: "'no-such-mode'"}
	b.write()
	b.fails([]string{"linux.cgroupsPath", "CollectMode"}, "create", b.id)
	b.noTrace()
}
