package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/containerd/cgroups/v3"
	"github.com/containerd/cgroups/v3/cgroup1"
	"github.com/containerd/cgroups/v3/cgroup2"
	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/containerd/namespaces"
	"github.com/containerd/containerd/pkg/schedcore"
	"github.com/containerd/containerd/runtime/v2/shim"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/log"
	"github.com/containerd/ttrpc"
	"github.com/rtcontainers/rt/libcontainer"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// manager starts shims, and cleans up after one that died.
type manager struct{}

func (manager) Name() string { return runtimeName }

// groupAnnotations name the group of a container: one shim serves all of a
// group, such as a pod.
var groupAnnotations = []string{"io.containerd.runc.v2.group", "io.kubernetes.cri.sandbox-id"}

// group is the group of the container in the working directory, or its id.
func group(id string) (string, error) {
	data, err := spec.LoadDocument(spec.ConfigName)
	if err != nil {
		return "", err
	}
	var config struct {
		Annotations map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return "", fmt.Errorf("config.json: %w", err)
	}
	for _, name := range groupAnnotations {
		if g := config.Annotations[name]; g != "" {
			return g, nil
		}
	}
	return id, nil
}

// Start returns where the container's shim is, which it starts unless the group has
// one.
func (manager) Start(ctx context.Context, id string, opts shim.StartOpts) (answer string, err error) {
	group, err := group(id)
	if err != nil {
		return "", err
	}
	ns, err := namespaces.NamespaceRequired(ctx)
	if err != nil {
		return "", err
	}
	params, err := readStart(os.Stdin, ns, id)
	if err != nil {
		return "", err
	}
	address, err := socketAddress(ctx, opts.Address, group, params.socketDir)
	if err != nil {
		return "", err
	}
	socket, err := shim.NewSocket(address)
	if shim.SocketEaddrinuse(err) {
		if shim.CanConnect(address) {
			return startAnswer(address, min(params.version, versionOf(ctx, address))), shim.WriteAddress(addressFile, address)
		}
		// Its shim was killed.
		if err := shim.RemoveSocket(address); err != nil {
			return "", fmt.Errorf("remove the socket of a dead shim: %w", err)
		}
		socket, err = shim.NewSocket(address)
	}
	if err != nil {
		return "", fmt.Errorf("make the shim's socket: %w", err)
	}
	defer func() {
		if err != nil {
			socket.Close()
			removeAddress(".", address)
		}
	}()
	if err := shim.WriteAddress(addressFile, address); err != nil {
		return "", err
	}
	listener, err := socket.File()
	if err != nil {
		return "", err
	}
	defer listener.Close()
	cmd, err := shimCommand(ns, id, opts, listener)
	if err != nil {
		return "", err
	}
	if err := startShim(cmd); err != nil {
		return "", err
	}
	if err := placeShim(cmd.Process.Pid, params.options.ShimCgroup); err != nil {
		_ = cmd.Process.Kill()
		return "", err
	}
	return startAnswer(address, params.version), nil
}

// addressFile is the file in a bundle that names the socket of its shim.
const addressFile = "address"

// socketAddress is that of a group's shim: in the usual place, or in dir.
func socketAddress(ctx context.Context, daemon, group, dir string) (string, error) {
	address, err := shim.SocketAddress(ctx, daemon, group)
	if err != nil || dir == "" {
		return address, err
	}
	return "unix://" + filepath.Join(dir, filepath.Base(address)), os.MkdirAll(dir, 0o700)
}

// startAnswer says where a shim is, and which version of the task API it serves.
func startAnswer(address string, version int) string {
	if version == addressOnly {
		return address
	}
	answer, _ := json.Marshal(shim.BootstrapParams{Version: version, Address: address, Protocol: "ttrpc"})
	return string(answer)
}

// versionOf is the newest version of the task API that a running shim serves, which
// may be older than this program.
func versionOf(ctx context.Context, address string) int {
	conn, err := shim.AnonDialer(address, time.Second)
	if err != nil {
		return addressOnly
	}
	client := ttrpc.NewClient(conn)
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, response := new(taskapi.ConnectRequest), new(taskapi.ConnectResponse)
	if client.Call(ctx, taskServices[withBootstrap], "Connect", request, response) != nil {
		return addressOnly
	}
	return withBootstrap
}

// removeAddress removes the socket of a shim that ends, and the file of a bundle that
// names it.
func removeAddress(bundle, address string) {
	_ = shim.RemoveSocket(address)
	_ = os.Remove(filepath.Join(bundle, addressFile))
}

func shimCommand(ns, id string, opts shim.StartOpts, listener *os.File) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "-namespace", ns, "-id", id, "-address", opts.Address)
	if opts.Debug {
		cmd.Args = append(cmd.Args, "-debug")
	}
	cmd.ExtraFiles = []*os.File{listener}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd, nil
}

func startShim(cmd *exec.Cmd) error {
	if os.Getenv("SCHED_CORE") == "" {
		return cmd.Start()
	}
	runtime.LockOSThread() // the cookie is the thread's
	defer runtime.UnlockOSThread()
	if err := schedcore.Create(schedcore.ProcessGroup); err != nil {
		return fmt.Errorf("SCHED_CORE: %w", err)
	}
	return cmd.Start()
}

// placeShim moves a shim to its cgroup, and keeps it from being killed before
// its containers are.
func placeShim(pid int, cgroup string) error {
	if cgroup != "" {
		if err := joinCgroup(pid, cgroup); err != nil {
			return fmt.Errorf("ShimCgroup: %s: %w", cgroup, err)
		}
	}
	return shim.AdjustOOMScore(pid)
}

func joinCgroup(pid int, path string) error {
	if cgroups.Mode() == cgroups.Unified {
		cg, err := cgroup2.Load(path)
		if err != nil {
			return err
		}
		return cg.AddProc(uint64(pid))
	}
	cg, err := cgroup1.Load(cgroup1.StaticPath(path))
	if err != nil {
		return err
	}
	return cg.AddProc(uint64(pid))
}

// stopPatience is how long a clean-up works on a container: containerd kills it
// after five seconds.
const stopPatience = 3 * time.Second

// Stop removes what a dead shim has left of a container, as far as that can be done
// in time. It always answers: without an answer containerd keeps the bundle, and
// the id is taken.
func (manager) Stop(ctx context.Context, id string) (shim.StopStatus, error) {
	status := shim.StopStatus{ExitedAt: time.Now(), ExitStatus: 128 + int(unix.SIGKILL)}
	ns, err := namespaces.NamespaceRequired(ctx)
	if err != nil {
		return status, err
	}
	bundle, err := bundleOf(ctx, id)
	if err != nil {
		return status, err
	}
	logger := log.G(ctx).WithField("container", id)
	o, err := loadOptions(bundle)
	if err != nil {
		logger.WithError(err).Warnf("the state is looked for in %s", o.root(ns))
	}
	if c, err := libcontainer.Load(o.root(ns), id); err == nil {
		status.Pid = c.Pid()
		c.Close()
	}
	if end, err := loadEnd(bundle); err == nil {
		status = end.stopStatus()
	} else if !errors.Is(err, os.ErrNotExist) {
		logger.WithError(err).Warn("the status of the container's end is lost")
	}
	err = inTime(stopPatience, func() error {
		return libcontainer.Delete(o.root(ns), id, true, func(message string) { logger.Warn(message) })
	})
	if err != nil && !errors.Is(err, libcontainer.ErrNotExist) {
		logger.WithError(err).Warn("what is left of the container is removed when its id is used again")
	}
	// What still uses the root file system does not keep the bundle.
	if err := mount.UnmountRecursive(rootfsOf(bundle), unix.MNT_DETACH); err != nil {
		logger.WithError(err).Warn("unmount the root file system")
	}
	if address, err := shim.ReadAddress(filepath.Join(bundle, addressFile)); err == nil && !shim.CanConnect(address) {
		removeAddress(bundle, address)
	}
	return status, nil
}

// bundleOf is the bundle of a container that is cleaned up: containerd names it, and
// the working directory is the bundle of any container of the group.
func bundleOf(ctx context.Context, id string) (string, error) {
	if o, ok := ctx.Value(shim.OptsKey{}).(shim.Opts); ok && o.BundlePath != "" {
		return o.BundlePath, nil
	}
	cwd, err := os.Getwd()
	return filepath.Join(filepath.Dir(cwd), id), err
}

// inTime returns what a function does, or an error when it takes too long; it goes
// on then.
func inTime(limit time.Duration, do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return err
	case <-time.After(limit):
		return fmt.Errorf("it takes longer than %v", limit)
	}
}

// end is how a container's first process ended.
type end struct {
	Pid, Status uint32
	At          time.Time
}

func (e end) stopStatus() shim.StopStatus {
	return shim.StopStatus{Pid: int(e.Pid), ExitStatus: int(e.Status), ExitedAt: e.At}
}

const endFile = "end.json"

// save keeps the end in the bundle, for whoever cleans up: containerd may not have
// heard of it.
func (e end) save(bundle string) error { return saveJSON(bundle, endFile, e) }

func loadEnd(bundle string) (end, error) {
	var e end
	return e, loadJSON(bundle, endFile, &e)
}
