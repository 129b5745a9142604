package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// network is the network of pods.
type network struct {
	title, suffix string
	mode          cri.NamespaceMode
}

var networks = []network{
	{"the node's network", "", cri.NamespaceMode_NODE},
	{"a network of the pod's own", "/cni", cri.NamespaceMode_POD},
}

var hostNetwork, podNetwork = networks[0], networks[1]

// Names of series of pods.
const (
	runSandbox      = "run-sandbox"
	createContainer = "create-container"
	startContainer  = "start-container"
	startPod        = "start"
	execTrue        = "exec"
	stopPod         = "stop"
	removePod       = "remove"
	endPod          = "end"
)

var podSeries = []string{runSandbox, createContainer, startContainer, startPod, execTrue, stopPod, removePod, endPod}

// pod is a pod with one container.
type pod struct {
	name, id, container string
	who                 competitor
	log                 string
}

// times are measured durations by the names of their series.
type times map[string]time.Duration

// take measures a function.
func (t times) take(series string, do func() error) error {
	began := time.Now()
	if err := do(); err != nil {
		return err
	}
	t[series] = time.Since(began)
	return nil
}

var podNumber atomic.Int64

// start starts a pod as the kubelet does, and returns when its container runs.
func (n *node) start(ctx context.Context, who competitor, net network) (p *pod, t times, err error) {
	ctx, cancel := context.WithTimeout(ctx, n.opts.patience)
	defer cancel()
	name := fmt.Sprintf("pod%d", podNumber.Add(1))
	p, t = &pod{name: name, who: who, log: filepath.Join(n.logDir(), name+".log")}, times{}
	namespaces := &cri.NamespaceOption{Network: net.mode, Pid: cri.NamespaceMode_CONTAINER}
	config := &cri.PodSandboxConfig{
		Metadata: &cri.PodSandboxMetadata{Name: name, Uid: name, Namespace: "default"}, LogDirectory: n.logDir(),
		Hostname: name, DnsConfig: &cri.DNSConfig{Servers: []string{"127.0.0.1"}},
		Linux: &cri.LinuxPodSandboxConfig{
			CgroupParent: n.podCgroup(), SecurityContext: &cri.LinuxSandboxSecurityContext{NamespaceOptions: namespaces},
		},
	}
	if net.mode == cri.NamespaceMode_NODE {
		config.Hostname = ""
	}
	container := &cri.ContainerConfig{
		Metadata: &cri.ContainerMetadata{Name: "box"}, Image: &cri.ImageSpec{Image: image}, LogPath: filepath.Base(p.log),
		Linux: &cri.LinuxContainerConfig{
			Resources:       &cri.LinuxContainerResources{CpuShares: 102, MemoryLimitInBytes: 64 << 20},
			SecurityContext: &cri.LinuxContainerSecurityContext{NamespaceOptions: namespaces},
		},
	}
	return p, t, t.take(startPod+net.suffix, func() error {
		err := t.take(runSandbox+net.suffix, func() error {
			r, err := n.runtime.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: config, RuntimeHandler: who.name})
			p.id = r.GetPodSandboxId()
			return err
		})
		if err != nil {
			return fmt.Errorf("RunPodSandbox: %w", err)
		}
		err = t.take(createContainer+net.suffix, func() error {
			r, err := n.runtime.CreateContainer(ctx, &cri.CreateContainerRequest{PodSandboxId: p.id, Config: container, SandboxConfig: config})
			p.container = r.GetContainerId()
			return err
		})
		if err != nil {
			return fmt.Errorf("CreateContainer: %w", err)
		}
		err = t.take(startContainer+net.suffix, func() error {
			_, err := n.runtime.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: p.container})
			return err
		})
		if err != nil {
			return fmt.Errorf("StartContainer: %w", err)
		}
		return n.checkRuns(ctx, p)
	})
}

// checkRuns fails if a pod or its container does not run.
func (n *node) checkRuns(ctx context.Context, p *pod) error {
	r, err := n.runtime.ContainerStatus(ctx, &cri.ContainerStatusRequest{ContainerId: p.container})
	if err != nil {
		return fmt.Errorf("ContainerStatus: %w", err)
	}
	if state := r.GetStatus().GetState(); state != cri.ContainerState_CONTAINER_RUNNING {
		return fmt.Errorf("the container of %s is not running but %v", p.name, state)
	}
	return nil
}

// checkReady fails if a pod is not ready.
func (n *node) checkReady(ctx context.Context, p *pod) error {
	r, err := n.runtime.PodSandboxStatus(ctx, &cri.PodSandboxStatusRequest{PodSandboxId: p.id})
	if err != nil {
		return fmt.Errorf("PodSandboxStatus: %w", err)
	}
	if state := r.GetStatus().GetState(); state != cri.PodSandboxState_SANDBOX_READY {
		return fmt.Errorf("%s is not ready but %v", p.name, state)
	}
	return n.checkRuns(ctx, p)
}

// exec executes a program in a pod's container that does nothing.
func (n *node) exec(ctx context.Context, p *pod) error {
	ctx, cancel := context.WithTimeout(ctx, n.opts.patience)
	defer cancel()
	r, err := n.runtime.ExecSync(ctx, &cri.ExecSyncRequest{ContainerId: p.container, Cmd: []string{"/bin/true"}, Timeout: int64(n.opts.patience / time.Second)})
	if err == nil && r.ExitCode != 0 {
		err = fmt.Errorf("exit status %d: %s%s", r.ExitCode, r.Stdout, r.Stderr)
	}
	if err != nil {
		return fmt.Errorf("ExecSync: %w", err)
	}
	return nil
}

// end stops and removes a pod. StopPodSandbox kills its containers: none takes its time.
func (n *node) end(ctx context.Context, p *pod, net network) (times, error) {
	ctx, cancel := context.WithTimeout(ctx, n.opts.patience)
	defer cancel()
	t := times{}
	err := t.take(endPod+net.suffix, func() error {
		err := t.take(stopPod+net.suffix, func() error {
			_, err := n.runtime.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: p.id})
			return err
		})
		if err != nil {
			return fmt.Errorf("StopPodSandbox: %w", err)
		}
		err = t.take(removePod+net.suffix, func() error {
			_, err := n.runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: p.id})
			return err
		})
		if err != nil {
			return fmt.Errorf("RemovePodSandbox: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return t, os.Remove(p.log)
}

// containerPid is the first process of a pod's container.
func (n *node) containerPid(ctx context.Context, p *pod) (int, error) {
	r, err := n.runtime.ContainerStatus(ctx, &cri.ContainerStatusRequest{ContainerId: p.container, Verbose: true})
	if err != nil {
		return 0, err
	}
	return pidOf(r.GetInfo())
}

// pidOf reads the pid in what a verbose status says besides.
func pidOf(info map[string]string) (int, error) {
	var status struct{ Pid int }
	if err := json.Unmarshal([]byte(info["info"]), &status); err != nil {
		return 0, fmt.Errorf("the verbose status %q: %w", info["info"], err)
	}
	if status.Pid <= 0 {
		return 0, fmt.Errorf("the verbose status has no pid: %q", info["info"])
	}
	return status.Pid, nil
}
