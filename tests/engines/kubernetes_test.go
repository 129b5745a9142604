package engines

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var crictl = flag.String("crictl", "", "`path` of the CRI's client")

// ignored is what the tests add to the documented options.
const ignored = "/usr/local/sbin/no-such-runtime"

// criOptions are the lines of the table that the documentation has for systemd.
func criOptions() string {
	return fmt.Sprintf("SystemdCgroup = %v\nBinaryName = %q\n", underSystemd(), ignored)
}

// underSystemd tells whether systemd is process 1, which makes the cgroups then.
func underSystemd() bool {
	_, err := os.Stat("/run/systemd/system")
	return err == nil
}

// TestKubernetes runs a pod with the documented configurations: on a machine with
// systemd in scopes below the pod's slice, else in cgroups below the pod's.
func TestKubernetes(t *testing.T) {
	if *crictl == "" {
		t.Fatal("-crictl must name the program: make engines-test")
	}
	t.Run("containerd 1.6", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "rt.toml")
		must(t, os.WriteFile(file, []byte(criOptions()), 0o644))
		lines := documented(t, "toml", debian.criPlugin(), "ConfigPath")
		testKubernetes(t, debian, strings.Replace(lines, "/etc/containerd/rt.toml", file, 1))
	})
	t.Run("containerd 2 with runc's runtime type", func(t *testing.T) {
		r := release(newest(t, *containerd))
		lines := documented(t, "toml", r.criPlugin(), "runtime_path")
		k := testKubernetes(t, r, strings.Replace(lines, "SystemdCgroup = true\n", criOptions(), 1))
		contains(t, k.ok(t, "runtime-config"), map[bool]string{true: "SYSTEMD", false: "CGROUPFS"}[underSystemd()])
		k.checkMappedPod(t)
	})
	for title, table := range map[string]string{"each with a shim": "{%s}", "in one shim": `{Grouping = "node", %s}`} {
		t.Run("containerd 2 without pause containers "+title, func(t *testing.T) {
			r := release(newest(t, *containerd))
			env := fmt.Sprintf("[plugins.\"io.containerd.shim.v1.manager\"]\nenv = ['RT_SHIM_OPTIONS="+table+"']\n",
				fmt.Sprintf("SystemdCgroup = %v, BinaryName = %q", underSystemd(), ignored))
			testKubernetes(t, r, documented(t, "toml", "sandboxer")+env).checkMappedPod(t)
		})
	}
	t.Run("containerd 2 with rt's runtime type", func(t *testing.T) {
		r := release(newest(t, *containerd))
		newKubelet(t, newCRI(t, r, documented(t, "toml", r.criPlugin(), "io.containerd.rt.v2"))).checkMappedPod(t)
	})
	t.Run("containerd 2 with rt's runtime type and options", func(t *testing.T) {
		r := release(newest(t, *containerd))
		lines := documented(t, "toml", r.criPlugin(), "io.containerd.rt.v2")
		lines += fmt.Sprintf("[plugins.%q.containerd.runtimes.rt.options]\n", r.criPlugin()) + criOptions()
		k := testKubernetes(t, r, lines)
		if k.network == hostNetwork {
			return
		}
		// The documentation warns of it until containerd can do this.
		if _, code := k.createContainer(t, podOptions{userns: mappedPod}).start(t); code == 0 {
			t.Error("a pod with hostUsers: false starts; change docs/engines.md")
		}
	})
}

func testKubernetes(t *testing.T, r release, runtimes string) *kubelet {
	k := newKubelet(t, newCRI(t, r, runtimes))
	box := k.runPod(t, podOptions{})
	shim, err := os.Readlink("/proc/" + parent(t, box.pid) + "/exe")
	must(t, err)
	equal(t, shim, binary(t, "containerd-shim-rt-v2"))
	box.checkCgroup(t)
	equal(t, k.ok(t, "exec", box.id, "echo", "inside"), "inside")
	log, err := os.ReadFile(filepath.Join(k.dir, "log"))
	must(t, err)
	contains(t, string(log), "BinaryName", ignored, "is ignored")
	box.remove(t)
	k.checkConfinedOutput(t)
	return k
}

func hasAppArmor() bool {
	on, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	return err == nil && string(on) == "Y\n"
}

// denyWrites is the example of Kubernetes' documentation of AppArmor.
const denyWrites = `#include <tunables/global>

profile rt-engines-deny-write flags=(attach_disconnected) {
  #include <abstractions/base>
  file,
  deny /** w,
}
`

// checkConfinedOutput looks whether the output of a container comes through whose profile
// forbids it to write to any file.
func (k *kubelet) checkConfinedOutput(t *testing.T) {
	t.Helper()
	if !hasAppArmor() {
		return // the guest has it
	}
	parse := func(action string) {
		cmd := exec.Command("apparmor_parser", action)
		cmd.Stdin = strings.NewReader(denyWrites)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("apparmor_parser %s: %v: %s", action, err, out)
		}
	}
	parse("--replace")
	t.Cleanup(func() { parse("--remove") })
	box := k.runPod(t, podOptions{apparmor: "rt-engines-deny-write", script: "echo from inside; echo and more >&2; echo text > /tmp/file; sleep 1000"})
	var log string
	for deadline := time.Now().Add(patience); !strings.Contains(log, "denied") && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		log = k.ok(t, "logs", box.id)
	}
	contains(t, log, "from inside", "and more", "ermission denied")
	box.remove(t)
}

// mappedPod are the options of a pod with `hostUsers: false`.
const mappedPod = `"userns_options": {"uids": [{"host_id": 300000, "length": 65536}], "gids": [{"host_id": 300000, "length": 65536}]},`

// checkMappedPod runs a pod with `hostUsers: false`.
func (k *kubelet) checkMappedPod(t *testing.T) {
	t.Helper()
	contains(t, k.ok(t, "info"), `"user_namespaces": true`)
	if k.network == hostNetwork {
		return // containerd gives such a pod no other network than its own
	}
	box := k.runPod(t, podOptions{userns: mappedPod})
	data, err := os.ReadFile("/proc/" + box.pid + "/uid_map")
	must(t, err)
	equal(t, strings.Join(strings.Fields(string(data)), " "), "0 300000 65536")
}

// The numbers of modes of a namespace in the CRI.
const (
	podNetwork  = 0
	hostNetwork = 2
)

// kubelet does with the CRI's client what the kubelet does.
type kubelet struct {
	*engine
	network int
}

func newKubelet(t *testing.T, cri *engine) *kubelet {
	t.Helper()
	endpoint := "unix://" + cri.client[2]
	e := &engine{kind: "containerd", dir: cri.dir}
	e.client = []string{absolute(t, *crictl), "--config", os.DevNull, "--timeout", patience.String(), "--runtime-endpoint", endpoint, "--image-endpoint", endpoint}
	k := &kubelet{engine: e, network: podNetwork}
	if _, err := os.Stat("/usr/lib/cni/ptp"); err != nil {
		k.network = hostNetwork // the guest has no programs for networks
	}
	return k
}

// podBox is a container of a pod.
type podBox struct {
	kubelet      *kubelet
	pod, id, pid string
	// parent is the cgroup of the pod.
	parent string
}

// runPod runs a container in a pod of its own, which is removed when the test ends.
func (k *kubelet) runPod(t *testing.T, o podOptions) *podBox {
	t.Helper()
	b := k.createContainer(t, o)
	if out, code := b.start(t); code != 0 {
		t.Fatalf("the container does not start: %s", out)
	}
	var status struct{ Info struct{ Pid int } }
	must(t, json.Unmarshal([]byte(k.ok(t, "inspect", "-o", "json", b.id)), &status))
	b.pid = fmt.Sprint(status.Info.Pid)
	return b
}

// podOptions are what differs from a pod that sleeps.
type podOptions struct {
	// userns are options of the pod's namespaces.
	userns string
	// apparmor is the name of a profile, script what the container's shell does.
	apparmor, script string
}

// createContainer makes a pod with a container.
func (k *kubelet) createContainer(t *testing.T, o podOptions) *podBox {
	t.Helper()
	dir := t.TempDir()
	uid := strings.TrimPrefix(name(), "rt-engines-")
	b := &podBox{kubelet: k, parent: "/" + name()}
	if underSystemd() {
		b.parent = "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + uid + ".slice"
	}
	t.Cleanup(func() { removeCgroups(strings.TrimPrefix(b.parent, "/")) })
	security := fmt.Sprintf(`"security_context": {"namespace_options": {%s "network": %d}}`, o.userns, k.network)
	command, confined := `["sleep", "1000"]`, security
	if o.script != "" {
		command = fmt.Sprintf(`["sh", "-c", %q]`, o.script)
	}
	if o.apparmor != "" {
		confined = strings.TrimSuffix(security, "}") + fmt.Sprintf(`, "apparmor": {"profile_type": 2, "localhost_ref": %q}}`, o.apparmor)
	}
	pod, container := filepath.Join(dir, "pod.json"), filepath.Join(dir, "container.json")
	must(t, os.WriteFile(pod, fmt.Appendf(nil, `{"metadata": {"name": "pod", "namespace": "default", "uid": %q, "attempt": 1},
		"log_directory": %q, "linux": {"cgroup_parent": %q, %s}}`, uid, dir, b.parent, security), 0o644))
	must(t, os.WriteFile(container, fmt.Appendf(nil, `{"metadata": {"name": "box"}, "image": {"image": %q}, "log_path": "log",
		"command": %s, "linux": {"resources": {"memory_limit_in_bytes": 67108864}, %s}}`, image, command, confined), 0o644))
	b.pod = k.last(t, "runp", "--runtime", "rt", pod)
	t.Cleanup(func() {
		k.try(t, "", "stopp", b.pod)
		k.try(t, "", "rmp", "-f", b.pod)
	})
	b.id = k.last(t, "create", "--no-pull", b.pod, container, pod)
	return b
}

func (b *podBox) start(t *testing.T) (out string, code int) {
	t.Helper()
	return b.kubelet.try(t, "", "start", b.id)
}

// last runs a command and returns the last line of what it prints: an id.
func (k *kubelet) last(t *testing.T, args ...string) string {
	t.Helper()
	lines := strings.Split(k.ok(t, args...), "\n")
	return lines[len(lines)-1]
}

// cgroup is the path of the container's cgroup.
func (b *podBox) cgroup() string {
	if underSystemd() {
		return b.parent + "/cri-containerd-" + b.id + ".scope"
	}
	return b.parent + "/" + b.id
}

// checkCgroup looks where the container's process is.
func (b *podBox) checkCgroup(t *testing.T) {
	t.Helper()
	data, err := os.ReadFile("/proc/" + b.pid + "/cgroup")
	must(t, err)
	for line := range strings.Lines(string(data)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if controllers := fields[1]; (controllers == "" || controllers == "memory") && fields[2] == b.cgroup() {
			return
		}
	}
	t.Errorf("no cgroup %s in:\n%s", b.cgroup(), data)
}

// remove removes the pod, and with it the container's cgroup.
func (b *podBox) remove(t *testing.T) {
	t.Helper()
	b.kubelet.ok(t, "stopp", b.pod)
	b.kubelet.ok(t, "rmp", "-f", b.pod)
	for _, pattern := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
		if found, _ := filepath.Glob(pattern + b.cgroup()); len(found) > 0 {
			t.Errorf("left: %q", found)
		}
	}
}
