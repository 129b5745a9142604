package engines

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var critest = flag.String("critest", "", "`path` of the CRI's conformance program")

// Images cannot be pulled here: tests of images and their registries are left out. Not
// every machine has AppArmor.
const notTried = "Image Manager|Image Identifier|Image Consistency|Image Volume|Multiple Containers|AppArmor|benchmark"

const knownFailures = "cri-known-failures.txt"

// TestCRI runs the CRI's conformance program against containerd's CRI plugin on
// rt's shim, with the documented configuration.
func TestCRI(t *testing.T) {
	if *critest == "" {
		t.Fatal("-critest must name the program: make engines-test")
	}
	t.Run("containerd 1.6", func(t *testing.T) { testCRI(t, debian, "1.6") })
	t.Run("containerd 2", func(t *testing.T) { testCRI(t, release(newest(t, *containerd)), "2") })
	t.Run("containerd 2 without pause containers", func(t *testing.T) {
		testCRI(t, release(newest(t, *containerd)), "2 without pause", "sandboxer")
	})
	t.Run("containerd 2 with one shim", func(t *testing.T) {
		testCRI(t, release(newest(t, *containerd)), "2 with one shim", "sandboxer", "RT_SHIM_OPTIONS")
	})
}

// testCRI runs it with the documented tables that have the words.
func testCRI(t *testing.T, r release, title string, words ...string) {
	tables := documented(t, "toml", r.criPlugin())
	if len(words) > 0 {
		tables = ""
	}
	for _, word := range words {
		tables += documented(t, "toml", word)
	}
	e := newCRI(t, r, tables)
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	images := filepath.Join(e.dir, "images.yaml")
	must(t, os.WriteFile(images, []byte("defaultTestContainerImage: "+image+"\nwebServerTestImage: "+webImage+"\n"), 0o644))
	program, err := filepath.Abs(*critest)
	must(t, err)
	cmd := exec.CommandContext(ctx, program, "--runtime-endpoint", "unix://"+e.client[2], "--test-images-file", images,
		"--ginkgo.no-color", "--ginkgo.skip", notTried)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("critest has not ended: %s", out)
	}
	if !strings.Contains(string(out), " Passed |") {
		t.Fatalf("critest has no summary: %v: %s", err, out)
	}
	failed := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\s*\[FAIL\] \[k8s.io\] (.*)$`).FindAllStringSubmatch(string(out), -1) {
		failed[strings.TrimSpace(m[1])] = true
	}
	known := readKnownFailures(t, title)
	for name := range failed {
		if known[name] == "" {
			t.Errorf("fails: %s", name)
		}
	}
	for name := range known {
		if !failed[name] {
			t.Errorf("listed in %s, but passes: %s", knownFailures, name)
		}
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
	summary := regexp.MustCompile(`\d+ Passed`).FindString(string(out))
	t.Logf("critest: %s, %d failed for known reasons", summary, len(known))
}

// readKnownFailures reads lines of the releases of containerd, a name and a
// reason, with tabs between them, and returns those of one release.
func readKnownFailures(t *testing.T, release string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(filepath.Dir(docs(t)), "../tests/engines", knownFailures))
	must(t, err)
	known := map[string]string{}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, "\t")
		if len(fields) != 3 || fields[2] == "" {
			t.Fatalf("%s: not three fields: %s", knownFailures, line)
		}
		if slices.Contains(strings.Split(fields[0], ","), release) {
			known[fields[1]] = fields[2]
		}
	}
	return known
}

const (
	webImage   = "docker.io/library/rt-engines-web:latest"
	pauseImage = "docker.io/library/rt-engines-pause:latest"
)

// criPlugin is the name of the plugin that has the runtimes.
func (r release) criPlugin() string {
	if r == debian {
		return "io.containerd.grpc.v1.cri"
	}
	return "io.containerd.cri.v1.runtime"
}

// criConfig is the configuration of a containerd with the CRI plugin, less the runtimes:
// a format for the directories of its data and state, its socket, the image of pods and
// the directory with the network's configuration.
func (r release) criConfig() string {
	if r == debian {
		return `version = 2
root = %q
state = %q
[grpc]
address = %q
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = %q
disable_apparmor = true
restrict_oom_score_adj = true
stream_server_address = "127.0.0.1"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = %q
[plugins."io.containerd.grpc.v1.cri".containerd]
default_runtime_name = "rt"
`
	}
	return `version = 3
root = %q
state = %q
[grpc]
address = %q
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = %q
[plugins."io.containerd.grpc.v1.cri"]
stream_server_address = "127.0.0.1"
[plugins."io.containerd.cri.v1.runtime"]
disable_apparmor = true
restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["/usr/lib/cni"]
conf_dir = %q
[plugins."io.containerd.cri.v1.runtime".containerd]
default_runtime_name = "rt"
`
}

// newCRI starts a containerd with the CRI plugin and runtimes, whose pods have a network
// namespace with a point-to-point link and no way out.
func newCRI(t *testing.T, r release, runtimes string) *engine {
	t.Helper()
	dir := t.TempDir()
	socket := filepath.Join(dir, "containerd.sock")
	network := filepath.Join(dir, "cni")
	must(t, os.Mkdir(network, 0o755))
	must(t, os.WriteFile(filepath.Join(network, "10-rt.conflist"), fmt.Appendf(nil, `{"cniVersion": "1.0.0", "name": "rt", "plugins": [
	{"type": "ptp", "ipam": {"type": "host-local", "subnet": "10.99.0.0/16", "dataDir": %q}},
	{"type": "portmap", "capabilities": {"portMappings": true}}]}`, filepath.Join(dir, "ipam")), 0o644))
	config := filepath.Join(dir, "config.toml")
	text := fmt.Sprintf(r.criConfig(), filepath.Join(dir, "root"), filepath.Join(dir, "state"), socket, pauseImage, network) + runtimes
	if hasAppArmor() {
		text = strings.Replace(text, "disable_apparmor = true\n", "", 1)
	}
	must(t, os.WriteFile(config, []byte(text), 0o644))
	e := &engine{kind: "containerd", dir: dir, client: []string{r.program(t, "ctr"), "-a", socket, "-n", "k8s.io"}, env: quiet}
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:9") // no test of images, no registry
	stop := e.serve(t, func(t testing.TB) func() { return r.start(t, dir, socket, config) })
	t.Cleanup(func() {
		stop()
		endShims(t, socket)
		unmountBelow(t, dir)
	})
	for tag, command := range map[string][]string{
		image: {"sh"}, pauseImage: {"tail", "-f", "/dev/null"}, webImage: {"httpd", "-f", "-p", "80", "-h", "/root"},
	} {
		e.load(t, tag, command, "image", "import")
	}
	return e
}

func absolute(t testing.TB, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	must(t, err)
	return abs
}

// The list of known failures is sorted and has no duplicates.
func TestKnownFailuresAreSorted(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(filepath.Dir(docs(t)), "../tests/engines", knownFailures))
	must(t, err)
	var names []string
	for line := range strings.Lines(string(data)) {
		if !strings.HasPrefix(line, "#") {
			names = append(names, line)
		}
	}
	if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("%s is not sorted", knownFailures)
	}
}
