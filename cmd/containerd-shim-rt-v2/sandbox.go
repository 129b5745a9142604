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
	"google.golang.org/protobuf/types/known/timestamppb"
)

// sandbox is a pod without a pause container: the compiled program of a container, which
// executes nothing, holds its namespaces.
type sandbox struct {
	id, bundle string
	netns      string
	config     *podConfig
	options    *taskOptions
	files      podFiles

	// changing is held by the call that starts, stops or removes the pod.
	changing sync.Mutex

	mu      sync.Mutex
	process *libcontainer.Process
	pid     int
	created time.Time
	exited  time.Time
	status  uint32
	// ended is closed when the program has ended, or will never run.
	ended chan struct{}
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
	b := &sandbox{
		id: r.SandboxID, bundle: r.BundlePath, netns: r.NetnsPath, config: config, options: o, files: o.podFiles(r.BundlePath, r.SandboxID),
		ended: make(chan struct{}),
	}
	if err := s.admit(b); err != nil {
		return nil, toGRPC(err)
	}
	// Who cleans up after this shim finds them in the bundle.
	if err = saveJSON(b.bundle, filesFile, b.files); err == nil {
		err = b.files.make(config)
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
}

// StartSandbox starts the program that holds the pod's namespaces.
func (s *service) StartSandbox(ctx context.Context, r *sandboxapi.StartSandboxRequest) (*sandboxapi.StartSandboxResponse, error) {
	defer s.parents.enter()()
	b, err := s.sandbox(r.SandboxID)
	if err != nil {
		return nil, err
	}
	b.changing.Lock()
	defer b.changing.Unlock()
	if b.pid != 0 {
		return nil, toGRPC(fmt.Errorf("pod %q has been started: %w", b.id, errdefs.ErrFailedPrecondition))
	}
	if err := b.start(ctx, s); err != nil {
		return nil, toGRPC(fmt.Errorf("pod %q: %w", b.id, err))
	}
	go s.followSandbox(b)
	return &sandboxapi.StartSandboxResponse{Pid: uint32(b.pid), CreatedAt: timestamppb.New(b.created)}, nil
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
	}
	c, p, err := libcontainer.Run(ctx, o)
	if errors.Is(err, libcontainer.ErrExist) && removeLeft(o) == nil {
		c, p, err = libcontainer.Run(ctx, o)
	}
	if err != nil {
		return err
	}
	defer c.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.process, b.pid, b.created = p, p.Pid(), c.Created()
	return nil
}

// followSandbox waits for the end of the pod's program.
func (s *service) followSandbox(b *sandbox) {
	ws, err := b.process.Wait(context.Background())
	code := exitCode(unix.WaitStatus(ws))
	if err != nil {
		logOf(s.ctx, b.id).Error("wait for the program of a pod", "error", err)
		code = noProcess
	}
	now := time.Now()
	if err := (end{uint32(b.pid), code, now}).save(b.bundle); err != nil {
		logOf(s.ctx, b.id).Warn("save the exit status", "error", err)
	}
	b.mu.Lock()
	b.status, b.exited = code, now
	b.mu.Unlock()
	close(b.ended)
}

// is tells whether a process is the pod's program, which has not ended yet.
func (b *sandbox) is(pid int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pid == pid && b.exited.IsZero()
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
	if b.pid == 0 {
		b.neverRuns()
		return b.files.unmount()
	}
	if err := b.end(ctx); err != nil {
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
		if b.over() {
			return nil
		}
		if err := b.process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, unix.ESRCH) {
			return err
		}
		select {
		case <-b.ended:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(stopPod):
		}
	}
	return fmt.Errorf("process %d does not end", b.pid)
}

// over tells whether the program has ended, or will never run.
func (b *sandbox) over() bool {
	select {
	case <-b.ended:
		return true
	default:
		return false
	}
}

// neverRuns is told that the pod will not be started any more.
func (b *sandbox) neverRuns() {
	if b.over() {
		return
	}
	b.mu.Lock()
	b.status, b.exited = noProcess, time.Now()
	b.mu.Unlock()
	close(b.ended)
}

// WaitSandbox waits for the end of the pod's program.
func (s *service) WaitSandbox(ctx context.Context, r *sandboxapi.WaitSandboxRequest) (*sandboxapi.WaitSandboxResponse, error) {
	b, err := s.sandbox(r.SandboxID)
	if err != nil {
		return nil, err
	}
	select {
	case <-b.ended:
	case <-ctx.Done():
		return nil, toGRPC(ctx.Err())
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return &sandboxapi.WaitSandboxResponse{ExitStatus: b.status, ExitedAt: timestamppb.New(b.exited)}, nil
}

// SandboxStatus describes a pod in the words of the CRI.
func (s *service) SandboxStatus(ctx context.Context, r *sandboxapi.SandboxStatusRequest) (*sandboxapi.SandboxStatusResponse, error) {
	b, err := s.sandbox(r.SandboxID)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	status := &sandboxapi.SandboxStatusResponse{
		SandboxID: b.id, Pid: uint32(b.pid), State: "SANDBOX_NOTREADY", CreatedAt: timestamppb.New(b.created), Info: map[string]string{},
	}
	switch {
	case !b.exited.IsZero():
		status.ExitedAt = timestamppb.New(b.exited)
	case b.pid != 0:
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
	info := struct {
		Pid         int         `json:"pid"`
		Status      string      `json:"processStatus"`
		RuntimeType string      `json:"runtimeType"`
		RuntimeSpec *specs.Spec `json:"runtimeSpec"`
	}{b.pid, "created", runtimeName, config}
	switch {
	case !b.exited.IsZero():
		info.Status = "stopped"
	case b.pid != 0:
		info.Status = "running"
	}
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
	b.mu.Lock()
	pid, over := b.pid, !b.exited.IsZero()
	b.mu.Unlock()
	if pid == 0 || over {
		return nil, toGRPC(fmt.Errorf("pod %q: it does not run: %w", b.id, errdefs.ErrFailedPrecondition))
	}
	stats, err := usage(pid, over)()
	if err != nil {
		return nil, toGRPC(err)
	}
	data, err := pack(stats)
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
