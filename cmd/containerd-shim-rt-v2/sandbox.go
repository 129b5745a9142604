package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	sandboxapi "github.com/containerd/containerd/api/runtime/sandbox/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/errdefs"
	"github.com/containerd/ttrpc"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// sandbox is a pod without a pause container: the compiled program of a container, which
// executes nothing, holds its namespaces.
type sandbox struct {
	id, bundle string
	netns      string
	config     *podConfig
	raw        []byte // config as it came
	options    *taskOptions
	files      podFiles
	first      *process // the program

	// changing is held by the call that starts, stops or removes the pod.
	changing sync.Mutex

	mu      sync.Mutex
	created time.Time
	usage   func() (proto.Message, error)
}

func newSandbox(id, bundle, netns string, config *podConfig, raw []byte, o *taskOptions) *sandbox {
	return &sandbox{
		id: id, bundle: bundle, netns: netns, config: config, raw: raw, options: o,
		files: o.podFiles(bundle, id), first: newProcess("", stdio{}),
	}
}

// sandboxService is the name of the sandbox API.
const sandboxService = "containerd.runtime.sandbox.v1.Sandbox"

func (s *service) sandboxMethods() *ttrpc.ServiceDesc {
	return &ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
		"CreateSandbox": method(s.CreateSandbox), "StartSandbox": method(s.StartSandbox), "Platform": method(s.Platform),
		"StopSandbox": method(s.StopSandbox), "WaitSandbox": method(s.WaitSandbox), "SandboxStatus": method(s.SandboxStatus),
		"PingSandbox": method(s.PingSandbox), "ShutdownSandbox": method(s.ShutdownSandbox), "SandboxMetrics": method(s.SandboxMetrics),
		"UpdateSandbox": method(s.UpdateSandbox),
	}}
}

func (s *service) sandbox(id string) (*sandbox, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.sandboxes[id]; b != nil {
		return b, nil
	}
	return nil, toGRPC(fmt.Errorf("pod %q: %w", id, errdefs.ErrNotFound))
}

// CreateSandbox makes the files of a pod.
func (s *service) CreateSandbox(ctx context.Context, r *sandboxapi.CreateSandboxRequest) (*sandboxapi.CreateSandboxResponse, error) {
	if r.Options == nil || string(r.Options.MessageName()) != podConfigName {
		return nil, toGRPC(fmt.Errorf("pod %q: its options are not a %s: %w", r.SandboxID, podConfigName, errdefs.ErrInvalidArgument))
	}
	config, err := parsePodConfig(r.Options.Value)
	if err != nil {
		return nil, toGRPC(fmt.Errorf("pod %q: %v: %w", r.SandboxID, err, errdefs.ErrInvalidArgument))
	}
	o, err := loadOptions(r.BundlePath)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, toGRPC(err)
	}
	b := newSandbox(r.SandboxID, r.BundlePath, r.NetnsPath, config, r.Options.Value, o)
	if err := s.admit(b); err != nil {
		return nil, toGRPC(err)
	}
	// Who cleans up after this shim finds them in the bundle.
	if err = saveJSON(b.bundle, filesFile, b.files); err == nil {
		err = b.files.make(config)
	}
	if err == nil {
		err = s.announcePod(b)
	}
	if err != nil {
		err = errors.Join(err, b.files.remove())
		s.forget(b)
		return nil, toGRPC(fmt.Errorf("pod %q: %w", b.id, err))
	}
	return new(sandboxapi.CreateSandboxResponse), nil
}

// filesFile has the podFiles of a bundle.
const filesFile = "pod.json"

// admit takes a new pod.
func (s *service) admit(b *sandbox) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sandboxes[b.id] != nil {
		return fmt.Errorf("pod %q: %w", b.id, errdefs.ErrAlreadyExists)
	}
	if err := s.stays(); err != nil {
		return err
	}
	s.sandboxes[b.id] = b
	s.log.add(b.bundle)
	return nil
}

func (s *service) forget(b *sandbox) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sandboxes, b.id)
	s.log.remove(b.bundle)
	s.keeper.drop(podName(b.id))
}

// StartSandbox starts the program that holds the pod's namespaces.
func (s *service) StartSandbox(ctx context.Context, r *sandboxapi.StartSandboxRequest) (*sandboxapi.StartSandboxResponse, error) {
	defer s.parents.enter()()
	b, err := s.sandbox(r.SandboxID)
	if err != nil {
		return nil, err
	}
	defer s.making()()
	b.changing.Lock()
	defer b.changing.Unlock()
	if b.first.at() != prepared {
		return nil, toGRPC(fmt.Errorf("pod %q has been started: %w", b.id, errdefs.ErrFailedPrecondition))
	}
	if err := b.start(ctx, s); err != nil {
		return nil, toGRPC(fmt.Errorf("pod %q: %w", b.id, err))
	}
	s.keepPod(b)
	go s.followSandbox(b)
	pid, _, _ := b.first.exit()
	return &sandboxapi.StartSandboxResponse{Pid: pid, CreatedAt: timestamppb.New(b.created), Spec: b.specMessage(s)}, nil
}

func (b *sandbox) start(ctx context.Context, s *service) error {
	config, err := b.config.spec(b.id, b.bundle, b.netns, b.options)
	if err != nil {
		return fmt.Errorf("%v: %w", err, errdefs.ErrInvalidArgument)
	}
	if b.config.UserNamespace != nil && b.netns != "" {
		owner, err := ownerOf(b.netns)
		if err != nil {
			return err
		}
		defer owner.Close()
		for i := range config.Linux.Namespaces {
			if n := &config.Linux.Namespaces[i]; n.Type == specs.UserNamespace {
				n.Path = fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), owner.Fd())
			}
		}
	}
	o := libcontainer.Options{
		Root: b.options.root(s.namespace), ID: b.id, Bundle: b.bundle, Spec: config, Hold: true,
		NoNewKeyring: true, SystemdCgroup: b.options.SystemdCgroup, Logger: logOf(s.ctx, b.id),
		PIDFD: b.first.takePidfd,
	}
	c, p, err := libcontainer.Run(ctx, o)
	if errors.Is(err, libcontainer.ErrExist) && removeLeft(o) == nil {
		c, p, err = libcontainer.Run(ctx, o)
	}
	if err != nil {
		return err
	}
	defer c.Close()
	p.Close()
	b.mu.Lock()
	b.created, b.usage = c.Created(), usage(c.Pid(), b.first.ended())
	b.mu.Unlock()
	b.first.hold(c.Pid())
	return nil
}

// specMessage is the configuration of the program in the form that containerd knows: NRI
// shows it to its plugins.
func (b *sandbox) specMessage(s *service) *anypb.Any {
	config, err := b.config.spec(b.id, b.bundle, b.netns, b.options)
	var data []byte
	if err == nil {
		data, err = json.Marshal(config)
	}
	if err != nil {
		logOf(s.ctx, b.id).Warn("the configuration of the pod is not shown to plugins", "error", err)
		return nil
	}
	return &anypb.Any{TypeUrl: specType, Value: data}
}

// specType is how containerd calls config.json.
const specType = "types.containerd.io/opencontainers/runtime-spec/1/Spec"

// followSandbox waits for the end of the pod's program.
func (s *service) followSandbox(b *sandbox) {
	s.awaitEnd(b.id, b.first)
	s.keepEnd(b.id, b.bundle, b.first)
	s.keepPod(b)
	b.first.settle()
}

// Platform is where the pod's containers run.
func (s *service) Platform(ctx context.Context, r *sandboxapi.PlatformRequest) (*sandboxapi.PlatformResponse, error) {
	if _, err := s.sandbox(r.SandboxID); err != nil {
		return nil, err
	}
	return &sandboxapi.PlatformResponse{Platform: &types.Platform{OS: runtime.GOOS, Architecture: runtime.GOARCH}}, nil
}

// stopPod is how long the program of a pod has to end by itself.
const stopPod = 2 * time.Second

// StopSandbox ends the program, and removes what only running containers need.
func (s *service) StopSandbox(ctx context.Context, r *sandboxapi.StopSandboxRequest) (*sandboxapi.StopSandboxResponse, error) {
	b, err := s.sandbox(r.SandboxID)
	if err != nil {
		return nil, err
	}
	b.changing.Lock()
	defer b.changing.Unlock()
	if err := b.stop(ctx, s); err != nil {
		return nil, toGRPC(fmt.Errorf("pod %q: %w", b.id, err))
	}
	return new(sandboxapi.StopSandboxResponse), nil
}

// stop ends the pod's program and removes it. It can be repeated.
func (b *sandbox) stop(ctx context.Context, s *service) error {
	if b.first.move(prepared, stopped) {
		b.first.fail()
	} else if err := b.end(ctx); err != nil {
		return err
	}
	err := libcontainer.Delete(b.options.root(s.namespace), b.id, true, logOf(s.ctx, b.id))
	if errors.Is(err, libcontainer.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, b.files.unmount())
}

// end ends the program: as the first process of a pid namespace it takes the pod's other
// processes with it.
func (b *sandbox) end(ctx context.Context) error {
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		if err := b.first.signal(sig); err != nil && !errors.Is(err, errFinished) {
			return err
		}
		soon, cancel := context.WithTimeout(ctx, stopPod)
		err := b.first.wait(soon)
		cancel()
		if err == nil {
			return nil
		}
	}
	pid, _, _ := b.first.exit()
	return fmt.Errorf("process %d does not end", pid)
}

// WaitSandbox waits for the end of the pod's program.
func (s *service) WaitSandbox(ctx context.Context, r *sandboxapi.WaitSandboxRequest) (*sandboxapi.WaitSandboxResponse, error) {
	b, err := s.sandbox(r.SandboxID)
	if err != nil {
		return nil, err
	}
	if err := b.first.wait(ctx); err != nil {
		return nil, toGRPC(err)
	}
	_, status, at := b.first.exit()
	return &sandboxapi.WaitSandboxResponse{ExitStatus: status, ExitedAt: timestamppb.New(at)}, nil
}

// SandboxStatus describes a pod in the words of the CRI.
func (s *service) SandboxStatus(ctx context.Context, r *sandboxapi.SandboxStatusRequest) (*sandboxapi.SandboxStatusResponse, error) {
	b, err := s.sandbox(r.SandboxID)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	created := b.created
	b.mu.Unlock()
	pid, _, at := b.first.exit()
	status := &sandboxapi.SandboxStatusResponse{
		SandboxID: b.id, Pid: pid, State: "SANDBOX_NOTREADY", CreatedAt: timestamppb.New(created), Info: map[string]string{},
	}
	switch b.first.at() {
	case stopped:
		status.ExitedAt = timestamppb.New(at)
	case running:
		status.State = "SANDBOX_READY"
	}
	if r.Verbose {
		if status.Info["info"], err = b.info(); err != nil {
			return nil, toGRPC(err)
		}
	}
	return status, nil
}

// info is what the CRI's clients show of a pod, with the names that the CRI plugin has for
// a pause container.
func (b *sandbox) info() (string, error) {
	config, err := b.config.spec(b.id, b.bundle, b.netns, b.options)
	if err != nil {
		return "", err
	}
	pid, _, _ := b.first.exit()
	words := map[stage]string{prepared: "created", starting: "created", running: "running", stopped: "stopped"}
	info := struct {
		Pid         uint32      `json:"pid"`
		Status      string      `json:"processStatus"`
		RuntimeType string      `json:"runtimeType"`
		RuntimeSpec *specs.Spec `json:"runtimeSpec"`
	}{pid, words[b.first.at()], runtimeName, config}
	text, err := json.Marshal(info)
	return string(text), err
}

// PingSandbox tells whether the shim lives.
func (s *service) PingSandbox(ctx context.Context, r *sandboxapi.PingRequest) (*sandboxapi.PingResponse, error) {
	_, err := s.sandbox(r.SandboxID)
	return new(sandboxapi.PingResponse), err
}

// ShutdownSandbox removes what is left of a pod, and ends the shim if it has no other.
func (s *service) ShutdownSandbox(ctx context.Context, r *sandboxapi.ShutdownSandboxRequest) (*sandboxapi.ShutdownSandboxResponse, error) {
	b, err := s.sandbox(r.SandboxID)
	if err != nil {
		return nil, err
	}
	b.changing.Lock()
	defer b.changing.Unlock()
	err = b.stop(ctx, s)
	if err == nil {
		err = b.files.remove()
	}
	if err != nil {
		return nil, toGRPC(fmt.Errorf("pod %q: %w", b.id, err))
	}
	s.forget(b)
	s.endAnswered()
	return new(sandboxapi.ShutdownSandboxResponse), nil
}

// SandboxMetrics are those of the program's cgroup.
func (s *service) SandboxMetrics(ctx context.Context, r *sandboxapi.SandboxMetricsRequest) (*sandboxapi.SandboxMetricsResponse, error) {
	b, err := s.sandbox(r.SandboxID)
	if err != nil {
		return nil, err
	}
	if b.first.at() != running {
		return nil, toGRPC(fmt.Errorf("pod %q: it does not run: %w", b.id, errdefs.ErrFailedPrecondition))
	}
	b.mu.Lock()
	usage := b.usage
	b.mu.Unlock()
	data, err := metrics(usage)
	if err != nil {
		return nil, toGRPC(err)
	}
	return &sandboxapi.SandboxMetricsResponse{Metrics: &types.Metric{Timestamp: timestamppb.Now(), ID: b.id, Data: data}}, nil
}

// UpdateSandbox is told of changes of the pod, of which none concerns the program that
// holds it: the kubelet itself sets the limits of a pod's cgroup.
func (s *service) UpdateSandbox(ctx context.Context, r *sandboxapi.UpdateSandboxRequest) (*sandboxapi.UpdateSandboxResponse, error) {
	_, err := s.sandbox(r.SandboxID)
	return new(sandboxapi.UpdateSandboxResponse), err
}
