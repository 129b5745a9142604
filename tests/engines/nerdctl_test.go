package engines

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var nerdctl = flag.String("nerdctl", "", "`path` of nerdctl")

// notNerdctl are scenarios of Docker's and Podman's clients that nerdctl 2.1 cannot do,
// whatever the runtime, by the reason.
var notNerdctl = map[string]string{
	"attach":                          "run -d -i is refused",
	"build":                           "needs a buildkitd",
	"command that is no program":      "the exit status is 1",
	"command that is not there":       "the exit status is 1",
	"engine tells of its runtime":     "info shows no runtimes",
	"exec":                            "the exit status is 1",
	"exec of what is not there":       "the exit status is 1",
	"exec on a terminal":              "the exit status is 1",
	"health check":                    "there is no such flag",
	"init":                            "looks for tini in the image",
	"namespaces of another container": "--ipc container: is ignored",
	"stats":                           "shows a part of the name",
}

// nerdctlNoise is what nerdctl logs about containers that have just ended.
var nerdctlNoise = regexp.MustCompile(`(?m)^time="[^"]*" level=(error msg="forward signal child exited"|warning msg="failed to inspect NetNS").*\n?`)

// newNerdctl lets nerdctl make containers with a runtime type of containerd 2.
func newNerdctl(t *testing.T, title, runtime string) *engine {
	t.Helper()
	r := release(newest(t, *containerd))
	if *nerdctl == "" {
		t.Fatal("-nerdctl must name the program: make engines-test")
	}
	c := newContainerd(t, r)
	e := &engine{kind: "nerdctl", title: title, runtime: runtime, control: runtime == "io.containerd.runc.v2", noise: nerdctlNoise, dir: t.TempDir(), cgroup: name()}
	e.env = []string{"NERDCTL_TOML=" + os.DevNull, "PATH=" + r.path(t)[len("PATH="):]}
	e.client = []string{absolute(t, *nerdctl), "-a", c.client[2], "-n", e.cgroup, "--data-root", filepath.Join(e.dir, "data"),
		"--cgroup-manager", "cgroupfs", "--cni-path", "/usr/lib/cni", "--cni-netconfpath", filepath.Join(e.dir, "cni")}
	t.Cleanup(func() {
		for id := range strings.FieldsSeq(e.ok(t, "ps", "-aq")) {
			e.ok(t, "rm", "-f", id)
		}
		endShims(t, c.client[2])
		removeCgroups(e.cgroup)
	})
	e.load(t, image, []string{"sh"}, "load", "-i")
	return e
}

func TestNerdctl(t *testing.T) {
	for _, k := range []struct{ title, runtime string }{
		{"nerdctl 2 with rt's shim", "io.containerd.rt.v2"},
		{"nerdctl 2 with runc", "io.containerd.runc.v2"},
	} {
		if strings.HasSuffix(k.runtime, "runc.v2") && !*compare {
			continue
		}
		scenarios := slices.DeleteFunc(slices.Clone(cliScenarios), func(s scenario) bool { return notNerdctl[s.name] != "" })
		t.Run(k.title, func(t *testing.T) { newNerdctl(t, k.title, k.runtime).run(t, scenarios) })
	}
}
