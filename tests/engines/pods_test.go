package engines

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// podWays are the ways in which pods are made: the tables of the documentation, by words
// that they have, or others.
var podWays = []struct {
	title  string
	words  []string
	tables string
}{
	{title: "pods of containerd 2 with rt's shim", words: []string{"cri.v1.runtime"}},
	{title: "pods of containerd 2 without a pause container", words: []string{"sandboxer"}},
	{title: "pods of containerd 2 with one shim of rt's", words: []string{"sandboxer", "RT_SHIM_OPTIONS"}},
	{title: "pods of containerd 2 with runc", tables: `[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.rt]
  runtime_type = "io.containerd.runc.v2"
`},
}

// TestPods does with pods what a node does with them, and what happens to a node.
func TestPods(t *testing.T) {
	if *crictl == "" {
		t.Fatal("-crictl must name the program: make engines-test")
	}
	for _, way := range podWays {
		control := way.tables != ""
		if control && !*compare {
			continue
		}
		t.Run(way.title, func(t *testing.T) {
			r := release(newest(t, *containerd))
			tables := way.tables
			for _, word := range way.words {
				tables += documented(t, "toml", word)
			}
			e := newCRI(t, r, tables)
			e.title, e.control = way.title, control
			k := newKubelet(t, e)
			k.restart = e.restart
			e.run(t, k.podScenarios(slices.Contains(way.words, "sandboxer")))
			k.nothingLeft(t)
		})
	}
}

// podConfig is a pod in the words of the CRI.
type podConfig map[string]any

// pod is a pod with containers that the test makes.
type pod struct {
	k      *kubelet
	id     string
	dir    string
	parent string
	config string // file
	// pid is of what holds its namespaces.
	pid int
}

// newPod makes a pod, which is removed when the test ends. The options of its namespaces
// are numbers of the CRI.
func (k *kubelet) newPod(t *testing.T, namespaces map[string]any, more podConfig) *pod {
	t.Helper()
	uid := strings.TrimPrefix(name(), "rt-engines-")
	p := &pod{k: k, dir: t.TempDir(), parent: "/" + name()}
	if underSystemd() {
		p.parent = "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + uid + ".slice"
	}
	t.Cleanup(func() { removeCgroups(strings.TrimPrefix(p.parent, "/")) })
	options := map[string]any{"network": k.network}
	maps.Copy(options, namespaces)
	linux := map[string]any{"cgroup_parent": p.parent, "security_context": map[string]any{"namespace_options": options}}
	if m, ok := more["linux"].(map[string]any); ok {
		maps.Copy(linux, m)
	}
	config := podConfig{"metadata": map[string]any{"name": "pod", "namespace": "default", "uid": uid, "attempt": 1}, "log_directory": p.dir}
	maps.Copy(config, more)
	config["linux"] = linux
	p.config = p.write(t, "pod.json", config)
	p.id = k.last(t, "runp", "--runtime", "rt", p.config)
	t.Cleanup(func() {
		k.try(t, "", "stopp", p.id)
		k.try(t, "", "rmp", "-f", p.id)
	})
	p.pid = p.holder(t)
	return p
}

func (p *pod) write(t *testing.T, name string, value any) string {
	t.Helper()
	data, err := json.Marshal(value)
	must(t, err)
	path := filepath.Join(p.dir, name)
	must(t, os.WriteFile(path, data, 0o644))
	return path
}

// holder is the process that holds the pod's namespaces.
func (p *pod) holder(t *testing.T) int {
	t.Helper()
	var status struct{ Info struct{ Pid int } }
	must(t, json.Unmarshal([]byte(p.k.ok(t, "inspectp", "-o", "json", p.id)), &status))
	if status.Info.Pid == 0 {
		t.Fatal("inspectp shows no process")
	}
	return status.Info.Pid
}

// state is what the CRI says; "" if containerd has just lost the pod's shim.
func (p *pod) state(t *testing.T) string {
	t.Helper()
	var status struct{ Status struct{ State string } }
	if out, code := p.k.try(t, "", "inspectp", "-o", "json", p.id); code == 0 {
		must(t, json.Unmarshal([]byte(out), &status))
	}
	return status.Status.State
}

// run starts a container whose shell runs a script.
func (p *pod) run(t *testing.T, name, script string) (id string) {
	t.Helper()
	config := p.write(t, name+".json", map[string]any{
		"metadata": map[string]any{"name": name}, "image": map[string]any{"image": image}, "log_path": name + ".log",
		"command": sh(script), "linux": map[string]any{
			"resources":        map[string]any{"memory_limit_in_bytes": 64 << 20},
			"security_context": map[string]any{"namespace_options": p.namespaces(t)},
		},
	})
	id = p.k.last(t, "create", "--no-pull", p.id, config, p.config)
	p.k.ok(t, "start", id)
	return id
}

// namespaces are the options of the pod's, which its containers are given, too.
func (p *pod) namespaces(t *testing.T) any {
	t.Helper()
	data, err := os.ReadFile(p.config)
	must(t, err)
	var config struct {
		Linux struct {
			Security struct {
				Namespaces any `json:"namespace_options"`
			} `json:"security_context"`
		}
	}
	must(t, json.Unmarshal(data, &config))
	return config.Linux.Security.Namespaces
}

func (p *pod) exec(t *testing.T, id string, args ...string) string {
	t.Helper()
	return p.k.ok(t, append([]string{"exec", id}, args...)...)
}

// remove removes the pod, and looks for what is left of it.
func (p *pod) remove(t *testing.T) {
	t.Helper()
	shims := shimsOf(p.k.socket())
	p.k.ok(t, "stopp", p.id)
	eventually(t, "the pod is removed", func() bool { // as the kubelet, which tries again
		_, code := p.k.try(t, "", "rmp", "-f", p.id)
		return code == 0
	})
	eventually(t, "nothing is left of the pod", func() bool { return len(p.left(shims)) == 0 })
	if left := p.left(shims); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// left is what is left of the pod; shims are those that there were.
func (p *pod) left(shims []int) (left []string) {
	for _, pattern := range []string{"/sys/fs/cgroup" + p.parent + "/*/", "/sys/fs/cgroup/*" + p.parent + "/*/"} {
		found, _ := filepath.Glob(pattern)
		left = append(left, found...)
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, p.id) {
			left = append(left, line)
		}
	}
	_ = filepath.WalkDir(p.k.dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.Contains(filepath.Base(path), p.id) {
			left = append(left, path)
		}
		return nil
	})
	if _, err := os.Stat(filepath.Join("/run/containerd/rt/k8s.io", p.id)); err == nil {
		left = append(left, "the state of the pod")
	}
	for _, pid := range shims {
		if line := commandLines()[pid]; strings.Contains(line, p.id) {
			left = append(left, "its shim: "+line)
		}
	}
	return left
}

func (k *kubelet) socket() string {
	return strings.TrimPrefix(k.client[slices.Index(k.client, "--runtime-endpoint")+1], "unix://")
}

// shimsOf are the processes of the shims of a containerd.
func shimsOf(socket string) (pids []int) {
	for pid, line := range commandLines() {
		args := strings.Split(line, "\x00")
		if i := slices.Index(args, "-address"); i > 0 && i+1 < len(args) && args[i+1] == socket {
			pids = append(pids, pid)
		}
	}
	return pids
}

// endShims ends the shims that a containerd has left, and what holds their pods.
func endShims(t testing.TB, socket string) {
	for _, pid := range shimsOf(socket) {
		children, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
		for _, file := range children {
			data, _ := os.ReadFile(file)
			for _, field := range strings.Fields(string(data)) {
				if child, err := strconv.Atoi(field); err == nil {
					_ = unix.Kill(child, unix.SIGKILL)
				}
			}
		}
		_ = unix.Kill(pid, unix.SIGKILL)
	}
}

// nothingLeft waits for the end of the shims after that of the pods.
func (k *kubelet) nothingLeft(t *testing.T) {
	t.Helper()
	eventually(t, "no shim is left", func() bool { return len(shimsOf(k.socket())) == 0 })
}

// killed kills a process and waits for its end.
func killed(t *testing.T, pid int) {
	t.Helper()
	must(t, unix.Kill(pid, unix.SIGKILL))
	eventually(t, "the process ends", func() bool { return !runs(pid) })
}

func link(t *testing.T, pid int, namespace string) string {
	t.Helper()
	target, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, namespace))
	must(t, err)
	return target
}

// The modes of a namespace in the CRI.
const (
	ofPod  = 0
	ofNode = 2
)

const waits = "sleep 1000"

// podScenarios are for pods whose first process reaps, or not: the test's own pause image
// does not.
func (k *kubelet) podScenarios(reaps bool) []scenario {
	with := func(name string, do func(t *testing.T)) scenario {
		return scenario{name: name, run: func(t *testing.T, e *engine) { do(t) }}
	}
	return []scenario{
		with("files of a pod", func(t *testing.T) {
			p := k.newPod(t, nil, podConfig{"hostname": "pod-host", "dns_config": map[string]any{
				"servers": []string{"10.1.2.3", "10.1.2.4"}, "searches": []string{"a.example", "b.example"}, "options": []string{"ndots:5"}}})
			id := p.run(t, "box", waits)
			equal(t, p.exec(t, id, "cat", "/etc/resolv.conf"), "search a.example b.example\nnameserver 10.1.2.3\nnameserver 10.1.2.4\noptions ndots:5")
			equal(t, p.exec(t, id, "cat", "/etc/hostname"), "pod-host")
			if k.network != hostNetwork {
				equal(t, p.exec(t, id, "hostname"), "pod-host")
			}
			hosts, err := os.ReadFile("/etc/hosts")
			must(t, err)
			equal(t, p.exec(t, id, "cat", "/etc/hosts"), strings.TrimSpace(string(hosts)))
			p.remove(t)
		}),
		with("memory shared in a pod", func(t *testing.T) {
			p := k.newPod(t, nil, nil)
			one, two := p.run(t, "one", waits), p.run(t, "two", waits)
			p.exec(t, one, "sh", "-c", "echo shared > /dev/shm/file")
			equal(t, p.exec(t, two, "cat", "/dev/shm/file"), "shared")
			contains(t, p.exec(t, two, "df", "-m", "/dev/shm"), " 64 ")
			for _, ns := range []string{"ipc", "uts", "net"} {
				equal(t, p.exec(t, one, "readlink", "/proc/self/ns/"+ns), p.exec(t, two, "readlink", "/proc/self/ns/"+ns))
			}
			p.remove(t)
		}),
		with("sysctls of a pod", func(t *testing.T) {
			p := k.newPod(t, nil, podConfig{"linux": map[string]any{"sysctls": map[string]any{"kernel.shm_rmid_forced": "1"}}})
			id := p.run(t, "box", waits)
			equal(t, p.exec(t, id, "cat", "/proc/sys/kernel/shm_rmid_forced"), "1")
			if k.network != hostNetwork {
				equal(t, p.exec(t, id, "cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start"), "0")
			}
			p.remove(t)
		}),
		with("processes shared in a pod", func(t *testing.T) {
			p := k.newPod(t, map[string]any{"pid": ofPod}, nil)
			one, two := p.run(t, "one", "exec sleep 1001"), p.run(t, "two", waits)
			contains(t, p.exec(t, two, "ps"), "sleep 1001")
			equal(t, p.exec(t, two, "readlink", "/proc/self/ns/pid"), link(t, p.pid, "pid"))
			p.exec(t, one, "sh", "-c", "sh -c 'sleep 0.2 & exec true' & wait") // its sleep comes to process 1
			if !reaps {
				return
			}
			eventually(t, "no zombie is left", func() bool { return !strings.Contains(p.exec(t, two, "ps", "-o", "stat,args"), "Z ") })
			p.remove(t)
		}),
		with("pod with the node's namespaces", func(t *testing.T) {
			p := k.newPod(t, map[string]any{"pid": ofNode, "ipc": ofNode, "network": ofNode}, nil)
			id := p.run(t, "box", waits)
			for _, ns := range []string{"pid", "ipc", "net", "uts"} {
				equal(t, p.exec(t, id, "readlink", "/proc/self/ns/"+ns), link(t, os.Getpid(), ns))
			}
			p.remove(t)
		}),
		with("limits of a running container", func(t *testing.T) {
			p := k.newPod(t, nil, nil)
			id := p.run(t, "box", waits)
			k.ok(t, "update", "--memory", "33554432", id)
			contains(t, k.ok(t, "inspect", id), "33554432")
			p.remove(t)
		}),
		with("statistics of a pod", func(t *testing.T) {
			p := k.newPod(t, nil, nil)
			p.run(t, "box", waits)
			contains(t, k.ok(t, "statsp", "-o", "json", "--id", p.id), p.id, "usageCoreNanoSeconds")
			p.remove(t)
		}),
		with("containerd restarted beside a pod", func(t *testing.T) { k.restarts(t, k.restart) }),
		with("containerd killed beside a pod", func(t *testing.T) {
			k.restarts(t, func(t testing.TB) {
				killed(t.(*testing.T), daemonPid(t, &engine{client: []string{"", "", k.socket()}}))
				k.restart(t)
			})
		}),
		with("what holds a pod is killed", func(t *testing.T) {
			for _, pid := range []int{ofPod, 1} {
				p := k.newPod(t, map[string]any{"pid": pid}, nil)
				id := p.run(t, "box", waits)
				killed(t, p.pid)
				eventually(t, "the pod is not ready", func() bool { return p.state(t) == "SANDBOX_NOTREADY" })
				if pid == ofPod {
					eventually(t, "its container ends", func() bool { return strings.Contains(k.ok(t, "inspect", id), "CONTAINER_EXITED") })
				}
				p.remove(t)
			}
		}),
		with("shim of a pod is killed", func(t *testing.T) {
			p := k.newPod(t, nil, nil)
			id := p.run(t, "box", waits)
			for _, pid := range shimsOf(k.socket()) {
				killed(t, pid)
			}
			eventually(t, "the pod is not ready", func() bool { return p.state(t) == "SANDBOX_NOTREADY" })
			eventually(t, "its container ends", func() bool { return strings.Contains(k.ok(t, "inspect", id), "CONTAINER_EXITED") })
			p.remove(t)
			// The next one is made as if nothing had happened.
			p = k.newPod(t, nil, nil)
			equal(t, p.exec(t, p.run(t, "box", waits), "echo", "inside"), "inside")
			p.remove(t)
		}),
		with("shim of many pods crashes", func(t *testing.T) { k.crashes(t) }),
		with("frozen container beside others", func(t *testing.T) {
			p, other := k.newPod(t, nil, nil), k.newPod(t, nil, nil)
			id := p.run(t, "box", waits)
			thaw := freeze(t, p.parent)
			defer thaw()
			box := other.run(t, "box", waits)
			equal(t, other.exec(t, box, "echo", "inside"), "inside")
			other.remove(t)
			thaw()
			equal(t, p.exec(t, id, "echo", "inside"), "inside")
			p.remove(t)
		}),
		with("thirty pods at once", func(t *testing.T) {
			pods := make([]*pod, 30)
			crowd(t, len(pods), 6, func(i int) error {
				pods[i] = k.newPod(t, nil, podConfig{"metadata": map[string]any{"name": fmt.Sprint("pod", i), "namespace": "default", "uid": fmt.Sprint(i), "attempt": 1}})
				if out := pods[i].exec(t, pods[i].run(t, "box", waits), "echo", "inside"); out != "inside" {
					return fmt.Errorf("%q", out)
				}
				return nil
			})
			if t.Failed() {
				return
			}
			crowd(t, len(pods), 6, func(i int) error {
				pods[i].remove(t)
				return nil
			})
		}),
	}
}

// restarts lets containerd go and come again beside a pod with a container.
func (k *kubelet) restarts(t *testing.T, restart func(testing.TB)) {
	t.Helper()
	p := k.newPod(t, nil, podConfig{"hostname": "pod-host"})
	id := p.run(t, "box", waits)
	p.exec(t, id, "sh", "-c", "echo shared > /dev/shm/file")
	restart(t)
	equal(t, p.state(t), "SANDBOX_READY")
	equal(t, fmt.Sprint(p.holder(t)), fmt.Sprint(p.pid))
	equal(t, p.exec(t, id, "cat", "/dev/shm/file"), "shared")
	other := p.run(t, "other", waits)
	equal(t, p.exec(t, other, "cat", "/dev/shm/file", "/etc/hostname"), "shared\npod-host")
	killed(t, p.pid)
	eventually(t, "the pod is not ready", func() bool { return p.state(t) == "SANDBOX_NOTREADY" })
	p.remove(t)
}

// crashes ends the process that does the work of a shim for all pods; its guard starts
// another one. Where each pod has a shim there is none.
func (k *kubelet) crashes(t *testing.T) {
	t.Helper()
	p := k.newPod(t, nil, nil)
	id := p.run(t, "box", "i=0; while sleep 0.1; do echo $i; i=$((i+1)); [ -e /dev/shm/end ] && exit 7; done")
	var workers []int
	for _, pid := range shimsOf(k.socket()) {
		if above, err := strconv.Atoi(parent(t, strconv.Itoa(pid))); err == nil && slices.Contains(shimsOf(k.socket()), above) {
			workers = append(workers, pid)
		}
	}
	for _, pid := range workers {
		killed(t, pid)
	}
	equal(t, p.state(t), "SANDBOX_READY")
	equal(t, p.exec(t, id, "echo", "inside"), "inside")
	other := p.run(t, "other", waits)
	p.exec(t, other, "touch", "/dev/shm/end")
	eventually(t, "the container ends", func() bool { return strings.Contains(k.ok(t, "inspect", id), "CONTAINER_EXITED") })
	contains(t, k.ok(t, "inspect", id), `"exitCode": 7`)
	// Each line is there once.
	lines := strings.Fields(k.ok(t, "logs", id))
	for i, line := range lines {
		if line != strconv.Itoa(i) {
			t.Errorf("line %d of the log is %s", i, line)
			break
		}
	}
	p.remove(t)
}

// freeze freezes all processes below a cgroup.
func freeze(t *testing.T, cgroup string) (thaw func()) {
	t.Helper()
	file, on, off := filepath.Join("/sys/fs/cgroup/freezer", cgroup, "freezer.state"), "FROZEN", "THAWED"
	if _, err := os.Stat(file); err != nil {
		file, on, off = filepath.Join("/sys/fs/cgroup", cgroup, "cgroup.freeze"), "1", "0"
	}
	must(t, os.WriteFile(file, []byte(on), 0))
	time.Sleep(100 * time.Millisecond)
	return func() { _ = os.WriteFile(file, []byte(off), 0) }
}
