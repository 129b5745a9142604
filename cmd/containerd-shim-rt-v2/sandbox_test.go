package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	sandboxapi "github.com/containerd/containerd/api/runtime/sandbox/v1"
	taskapi3 "github.com/containerd/containerd/api/runtime/task/v3"
	"github.com/containerd/containerd/v2/pkg/shim"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// podUnderTest is a pod of a service in the test's process.
type podUnderTest struct {
	*shimUnderTest
	id, bundle string
	config     *runtimeapi.PodSandboxConfig
	// root and state are where the CRI plugin looks for files.
	root, state string
}

// newPod makes the bundle of a pod with the node's network.
func (s *shimUnderTest) newPod(id string) *podUnderTest {
	s.t.Helper()
	p := &podUnderTest{shimUnderTest: s, id: id, bundle: filepath.Join(s.dir, id), config: &runtimeapi.PodSandboxConfig{
		Metadata: &runtimeapi.PodSandboxMetadata{Name: "n", Uid: "u", Namespace: "ns"},
		Linux: &runtimeapi.LinuxPodSandboxConfig{CgroupParent: "/" + s.name, SecurityContext: &runtimeapi.LinuxSandboxSecurityContext{
			NamespaceOptions: &runtimeapi.NamespaceOption{Network: runtimeapi.NamespaceMode_NODE},
		}},
	}}
	p.root, p.state = filepath.Join(s.dir, "cri/root"), filepath.Join(s.dir, "cri/state")
	must(s.t, os.Mkdir(p.bundle, 0o700))
	o := taskOptions{Root: filepath.Join(s.dir, "state"), CRIRoot: p.root, CRIState: p.state}
	must(s.t, o.save(p.bundle))
	s.t.Cleanup(func() { _, _ = s.ShutdownSandbox(s.ctx, &sandboxapi.ShutdownSandboxRequest{SandboxID: id}) })
	return p
}

func (p *podUnderTest) create() error {
	data, err := proto.Marshal(p.config)
	must(p.t, err)
	_, err = p.CreateSandbox(p.ctx, &sandboxapi.CreateSandboxRequest{
		SandboxID: p.id, BundlePath: p.bundle, Options: &anypb.Any{TypeUrl: podConfigName, Value: data},
	})
	return err
}

func (p *podUnderTest) start() (pid int, err error) {
	r, err := p.StartSandbox(p.ctx, &sandboxapi.StartSandboxRequest{SandboxID: p.id})
	return int(r.GetPid()), err
}

func (p *podUnderTest) status() *sandboxapi.SandboxStatusResponse {
	p.t.Helper()
	r, err := p.SandboxStatus(p.ctx, &sandboxapi.SandboxStatusRequest{SandboxID: p.id, Verbose: true})
	must(p.t, err)
	return r
}

func (p *podUnderTest) shutdown() error {
	_, err := p.ShutdownSandbox(p.ctx, &sandboxapi.ShutdownSandboxRequest{SandboxID: p.id})
	return err
}

// checkGone looks for what is left of the pod outside of its bundle, and mounted in it.
func (p *podUnderTest) checkGone() {
	p.t.Helper()
	for _, path := range []string{filepath.Join(p.root, "sandboxes", p.id), filepath.Join(p.state, "sandboxes", p.id), filepath.Join(p.dir, "state/test", p.id), filepath.Join(p.bundle, "pod")} {
		if there(path) {
			p.t.Errorf("left: %s", path)
		}
	}
	for _, pattern := range []string{"/sys/fs/cgroup/*/%s/%s", "/sys/fs/cgroup/%s/%s"} {
		if found, _ := filepath.Glob(fmt.Sprintf(pattern, p.name, p.id)); len(found) > 0 {
			p.t.Errorf("left: %q", found)
		}
	}
	if mounts, _ := os.ReadFile("/proc/self/mountinfo"); strings.Contains(string(mounts), p.bundle) {
		p.t.Errorf("left: a mount below %s", p.bundle)
	}
}

func TestPod(t *testing.T) {
	p := newShim(t).newPod("pod")
	p.config.Hostname = "box"
	p.config.DnsConfig = &runtimeapi.DNSConfig{Servers: []string{"10.0.0.1"}}
	must(t, p.create())
	if err := p.create(); !errdefs.IsAlreadyExists(errgrpc.ToNative(err)) {
		t.Errorf("a second pod of the name: %v", err)
	}
	if s := p.status(); s.State != "SANDBOX_NOTREADY" || s.Pid != 0 {
		t.Errorf("before its start: %v", s)
	}
	for name, want := range map[string]string{"hostname": "box\n", "resolv.conf": "nameserver 10.0.0.1\n"} {
		if got, err := os.ReadFile(filepath.Join(p.root, "sandboxes", p.id, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	var shm unix.Statfs_t
	if err := unix.Statfs(filepath.Join(p.state, "sandboxes", p.id, "shm"), &shm); err != nil || shm.Type != unix.TMPFS_MAGIC {
		t.Errorf("/dev/shm: %v", err)
	}
	pid, err := p.start()
	must(t, err)
	if _, err := p.start(); !is(err, errdefs.ErrFailedPrecondition) {
		t.Errorf("a second start: %v", err)
	}
	if s := p.status(); s.State != "SANDBOX_READY" || int(s.Pid) != pid || !strings.Contains(s.Info["info"], fmt.Sprintf(`"pid":%d`, pid)) {
		t.Errorf("%v", s)
	}
	if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); err != nil || string(name) != "rt-pod\n" {
		t.Errorf("it is called %q, %v", name, err)
	}
	for _, ns := range []string{"ipc", "pid", "mnt"} { // not net and uts, which the node's pods have not
		if own, _ := os.Readlink("/proc/self/ns/" + ns); own == readlink(t, fmt.Sprintf("/proc/%d/ns/%s", pid, ns)) {
			t.Errorf("%s is the host's", ns)
		}
	}
	if own, _ := os.Readlink("/proc/self/ns/net"); own != readlink(t, fmt.Sprintf("/proc/%d/ns/net", pid)) {
		t.Error("the network is not the node's")
	}
	if m, err := p.SandboxMetrics(p.ctx, &sandboxapi.SandboxMetricsRequest{SandboxID: p.id}); err != nil || m.Metrics.GetData() == nil {
		t.Errorf("metrics: %v, %v", m, err)
	}
	waiting := background(func() error {
		r, err := p.WaitSandbox(p.ctx, &sandboxapi.WaitSandboxRequest{SandboxID: p.id})
		if err == nil && (r.ExitStatus != 0 || r.ExitedAt.AsTime().IsZero()) {
			err = fmt.Errorf("%v", r)
		}
		return err
	})
	for range 2 { // it can be repeated
		_, err = p.StopSandbox(p.ctx, &sandboxapi.StopSandboxRequest{SandboxID: p.id})
		must(t, err)
	}
	must(t, result(t, "WaitSandbox", waiting))
	if s := p.status(); s.State != "SANDBOX_NOTREADY" || s.ExitedAt == nil {
		t.Errorf("after its end: %v", s)
	}
	must(t, p.shutdown())
	p.checkGone()
	if _, err := p.SandboxStatus(p.ctx, &sandboxapi.SandboxStatusRequest{SandboxID: p.id}); !is(err, errdefs.ErrNotFound) {
		t.Errorf("status after the end: %v", err)
	}
}

func readlink(t *testing.T, path string) string {
	t.Helper()
	target, err := os.Readlink(path)
	must(t, err)
	return target
}

// Whatever ends a pod, it is told, and nothing is left.
func TestPodEnds(t *testing.T) {
	for name, end := range map[string]func(p *podUnderTest){
		"killed": func(p *podUnderTest) {
			pid, err := p.start()
			must(t, err)
			must(t, unix.Kill(pid, unix.SIGKILL))
			r, err := p.WaitSandbox(p.ctx, &sandboxapi.WaitSandboxRequest{SandboxID: p.id})
			if err != nil || r.ExitStatus != 128+9 {
				t.Errorf("%v, %v", r, err)
			}
		},
		"stopped before its start": func(p *podUnderTest) {
			_, err := p.StopSandbox(p.ctx, &sandboxapi.StopSandboxRequest{SandboxID: p.id})
			must(t, err)
			if _, err := p.WaitSandbox(p.ctx, &sandboxapi.WaitSandboxRequest{SandboxID: p.id}); err != nil {
				t.Error(err)
			}
		},
		"shut down while it runs": func(p *podUnderTest) {
			_, err := p.start()
			must(t, err)
		},
		"cannot start": func(p *podUnderTest) {
			s, err := p.sandbox(p.id)
			must(t, err)
			s.config.Sysctls = map[string]string{"kernel.no_such": "1"}
			if _, err := p.start(); err == nil || !strings.Contains(err.Error(), "kernel.no_such") {
				t.Errorf("%v", err)
			}
		},
		"clean-up after the shim was killed": func(p *podUnderTest) {
			pid, err := p.start()
			must(t, err)
			ctx := context.WithValue(p.ctx, shim.OptsKey{}, shim.Opts{BundlePath: p.bundle})
			status, err := manager{}.Stop(ctx, p.id)
			if err != nil || status.Pid != pid {
				t.Errorf("%+v, %v", status, err)
			}
			p.checkGone()
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newShim(t).newPod("pod")
			must(t, p.create())
			end(p)
			must(t, p.shutdown())
			p.checkGone()
		})
	}
}

// What a pod cannot be made of is refused, and nothing is made.
func TestPodRefused(t *testing.T) {
	for name, change := range map[string]func(p *podUnderTest){
		"network without a path": func(p *podUnderTest) {
			p.config.Linux.SecurityContext.NamespaceOptions.Network = runtimeapi.NamespaceMode_POD
		},
		"negative user": func(p *podUnderTest) {
			p.config.Linux.SecurityContext.RunAsUser = &runtimeapi.Int64Value{Value: -1}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newShim(t).newPod("pod")
			change(p)
			must(t, p.create())
			if _, err := p.start(); !errdefs.IsInvalidArgument(errgrpc.ToNative(err)) {
				t.Errorf("%v", err)
			}
			must(t, p.shutdown())
			p.checkGone()
		})
	}
	t.Run("other options", func(t *testing.T) {
		p := newShim(t).newPod("pod")
		_, err := p.CreateSandbox(p.ctx, &sandboxapi.CreateSandboxRequest{SandboxID: p.id, BundlePath: p.bundle})
		if !errdefs.IsInvalidArgument(errgrpc.ToNative(err)) {
			t.Errorf("%v", err)
		}
		p.checkGone()
	})
	t.Run("taken file", func(t *testing.T) {
		p := newShim(t).newPod("pod")
		taken := filepath.Join(p.root, "sandboxes", p.id)
		must(t, os.MkdirAll(taken, 0o755))
		if err := p.create(); err == nil {
			t.Error("a directory of somebody else was used")
		}
		if !there(taken) {
			t.Error("a directory of somebody else was removed")
		}
		must(t, os.Remove(taken))
		p.checkGone()
	})
}

// A shim for all pods of a node is started once. It is not in a bundle, and outlives that
// of its first pod.
func TestSharedShim(t *testing.T) {
	t.Setenv(optionsEnv, `{Grouping = "node"}`)
	s := newShim(t)
	var addresses []string
	var pids []int
	for _, id := range []string{"one", "two"} {
		bundle := filepath.Join(s.dir, id)
		must(t, os.Mkdir(bundle, 0o700))
		must(t, unix.Mkfifo(filepath.Join(bundle, "log"), 0o600))
		address, pid := startProcess(t, s, bundle, id)
		addresses, pids = append(addresses, address), append(pids, pid)
		if named, err := shim.ReadAddress(filepath.Join(bundle, addressFile)); err != nil || named != address {
			t.Errorf("%s, %v", named, err)
		}
	}
	if addresses[0] != addresses[1] || pids[0] != pids[1] {
		t.Errorf("%q, %d", addresses, pids)
	}
	guard := parentOfProcess(pids[0])
	t.Cleanup(func() { _ = unix.Kill(guard, unix.SIGKILL) })
	if dir := readlink(t, fmt.Sprintf("/proc/%d/cwd", pids[0])); dir != "/" {
		t.Errorf("it works in %s", dir)
	}
	shutDown(t, addresses[0], "one")
	if err := call(t, addresses[0], "Connect", &taskapi3.ConnectRequest{ID: "two"}, new(taskapi3.ConnectResponse)); err != nil {
		t.Errorf("it ended with the first pod: %v", err)
	}
	must(t, unix.Kill(pids[0], unix.SIGTERM))
	awaitEnd(t, guard)
	if there(strings.TrimPrefix(addresses[0], "unix://")) {
		t.Error("its socket is left")
	}
}

// A shim that is ending takes nobody in.
func TestEndingShim(t *testing.T) {
	s := newShim(t)
	p := s.newPod("pod")
	s.endUnused()
	if err := p.create(); !errdefs.IsUnavailable(errgrpc.ToNative(err)) {
		t.Errorf("a pod: %v", err)
	}
	if _, err := s.Connect(s.ctx, &taskapi3.ConnectRequest{ID: "pod"}); !errdefs.IsUnavailable(errgrpc.ToNative(err)) {
		t.Errorf("a start: %v", err)
	}
}
