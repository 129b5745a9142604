package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/cgroups/v3"
	"github.com/containerd/cgroups/v3/cgroup1"
	"github.com/containerd/cgroups/v3/cgroup2"
	bootstrap "github.com/containerd/containerd/api/runtime/bootstrap/v1"
	taskapi "github.com/containerd/containerd/api/runtime/task/v3"
	"github.com/containerd/containerd/v2/pkg/atomicfile"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/schedcore"
	"github.com/containerd/containerd/v2/pkg/shim"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/containerd/ttrpc"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
)

// Versions of the task API. A daemon before containerd 2.3 gives options to the start of
// a shim, takes an address for an answer, and then speaks the first version. Later ones
// give and take the messages of containerd.runtime.bootstrap.v1, which the shim package
// of containerd 2.4 reads alone.
const (
	addressOnly   = 2
	withBootstrap = 3
)

// runStart is the action "start", for a daemon of either kind.
func runStart(args []string, in io.Reader, out io.Writer) error {
	params, version, err := readStart(args, in)
	if err != nil {
		return err
	}
	result, err := manager{}.Start(context.Background(), params)
	if err != nil {
		return err
	}
	answer := []byte(result.Address)
	if version == withBootstrap {
		if answer, err = proto.Marshal(result); err != nil {
			return err
		}
	}
	_, err = out.Write(answer)
	return err
}

// readStart reads the arguments and what the daemon gives, of which it returns the
// version.
func readStart(args []string, in io.Reader) (*bootstrap.BootstrapParams, int, error) {
	old := new(bootstrap.BootstrapParams)
	flags := flag.NewFlagSet(runtimeName, flag.ContinueOnError)
	flags.StringVar(&old.Namespace, "namespace", "", "")
	flags.StringVar(&old.InstanceID, "id", "", "")
	flags.StringVar(&old.ContainerdGrpcAddress, "address", "", "")
	flags.BoolFunc("debug", "", func(string) error {
		old.LogLevel = bootstrap.LogLevel_LOG_LEVEL_DEBUG
		return nil
	})
	for _, name := range []string{"publish-binary", "bundle", "socket", "debug-socket"} {
		flags.String(name, "", "")
	}
	if err := flags.Parse(args); err != nil {
		return nil, 0, err
	}
	if old.Namespace == "" {
		return nil, 0, errors.New("-namespace is missing: containerd sets it")
	}
	data, err := io.ReadAll(in)
	if err != nil {
		return nil, 0, err
	}
	// Options begin with two strings, too.
	params := new(bootstrap.BootstrapParams)
	if proto.Unmarshal(data, params) == nil && params.Namespace == old.Namespace && params.InstanceID == old.InstanceID {
		return params, withBootstrap, nil
	}
	options, err := readMessage(data)
	if err != nil {
		return nil, 0, err
	}
	return old, addressOnly, old.AddExtension(options)
}

// startOptions are the options among what a daemon gives.
func startOptions(params *bootstrap.BootstrapParams) (*taskOptions, error) {
	for _, e := range params.Extensions {
		if isOptions(e.Value) {
			return parseOptions(e.Value)
		}
	}
	return parseOptions(nil)
}

// groupAnnotations name the group of a container: one shim serves all of a
// group, such as a pod.
var groupAnnotations = []string{"io.containerd.runc.v2.group", "io.kubernetes.cri.sandbox-id"}

// group is the group of the container in the working directory, or its id. A shim for all
// pods of a node has those of its own version and environment only.
func (o *taskOptions) group(id string) (string, error) {
	if o.Grouping == groupingNode {
		return strings.Join([]string{groupingNode, version, commit, o.ShimCgroup, os.Getenv(optionsEnv)}, "/"), nil
	}
	data, err := spec.LoadDocument(spec.ConfigName)
	if errors.Is(err, os.ErrNotExist) {
		return id, nil // a pod that the shim makes: it has no configuration
	}
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
func (manager) Start(ctx context.Context, params *bootstrap.BootstrapParams) (_ *bootstrap.BootstrapResult, err error) {
	o, err := startOptions(params)
	if err != nil {
		return nil, err
	}
	group, err := o.group(params.InstanceID)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(spec.ConfigName); errors.Is(err, os.ErrNotExist) {
		// CreateSandbox does not bring them.
		if err := o.save("."); err != nil {
			return nil, err
		}
	}
	ctx = namespaces.WithNamespace(ctx, params.Namespace)
	address, err := socketAddress(ctx, params.ContainerdGrpcAddress, group, params.GetSocketDir())
	if err != nil {
		return nil, err
	}
	socket, version, err := listen(ctx, address)
	if err != nil {
		return nil, err
	}
	if socket == nil {
		return startResult(address, version), writeAddress(address)
	}
	defer func() {
		if err != nil {
			socket.Close() // and so it is gone: what is there later is another shim's
			_ = os.Remove(addressFile)
		}
	}()
	if err := writeAddress(address); err != nil {
		return nil, err
	}
	listener, err := socket.File()
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	cmd, err := shimCommand(params, listener)
	if err != nil {
		return nil, err
	}
	if o.Grouping == groupingNode {
		placed, err := share(cmd, address)
		if err != nil {
			return nil, err
		}
		defer placed.Close()
	}
	if err := startShim(cmd); err != nil {
		return nil, err
	}
	if err := placeShim(cmd.Process.Pid, o.ShimCgroup); err != nil {
		_ = cmd.Process.Kill()
		return nil, err
	}
	return startResult(address, withBootstrap), nil
}

// listen makes the socket of a group's shim, or tells the version of the shim that serves
// it.
func listen(ctx context.Context, address string) (*net.UnixListener, int32, error) {
	const patience, step = 2 * time.Second, 10 * time.Millisecond
	for waited := time.Duration(0); ; waited += step {
		socket, err := shim.NewSocket(address)
		if err == nil {
			return socket, 0, nil
		}
		if !shim.SocketEaddrinuse(err) || waited > patience {
			return nil, 0, fmt.Errorf("make the shim's socket: %w", err)
		}
		if !isServed(address) { // its shim was killed
			if err := shim.RemoveSocket(address); err != nil {
				return nil, 0, fmt.Errorf("remove the socket of a dead shim: %w", err)
			}
			continue
		}
		version, err := versionOf(ctx, address)
		if err == nil {
			return nil, version, nil
		}
		time.Sleep(step) // until the shim that is ending has gone
	}
}

func startResult(address string, version int32) *bootstrap.BootstrapResult {
	return &bootstrap.BootstrapResult{Version: version, Address: address, Protocol: "ttrpc"}
}

// addressFile is the file in a bundle that names the socket of its shim.
const addressFile = "address"

// socketAddress is that of a group's shim: in the usual place, or in dir.
func socketAddress(ctx context.Context, daemon, group, dir string) (string, error) {
	if dir == "" {
		return shim.SocketAddress(ctx, daemon, group, false)
	}
	address, err := shim.CreateSocketAddress(ctx, dir, daemon, group, false)
	return address, errors.Join(err, os.MkdirAll(dir, 0o700))
}

// writeAddress writes the address file of the bundle, the working directory.
func writeAddress(address string) error {
	file, err := atomicfile.New(addressFile, 0o644)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(file, address); err != nil {
		return errors.Join(err, file.Cancel())
	}
	return file.Close()
}

// versionOf is the newest version of the task API that a running shim serves, which
// may be older than this program. The shim stays for who has asked; it is an error if
// it is ending.
func versionOf(ctx context.Context, address string) (int32, error) {
	conn, err := shim.AnonDialer(address, time.Second)
	if err != nil {
		return addressOnly, nil
	}
	client := ttrpc.NewClient(conn)
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, response := new(taskapi.ConnectRequest), new(taskapi.ConnectResponse)
	err = client.Call(ctx, taskServices[withBootstrap], "Connect", request, response)
	switch {
	case err == nil:
		return withBootstrap, nil
	case errdefs.IsUnavailable(errgrpc.ToNative(err)), errors.Is(err, ttrpc.ErrClosed):
		return 0, err
	}
	return addressOnly, nil
}

// removeAddress removes the socket of a shim that ends, and the file of a bundle that
// names it.
func removeAddress(bundle, address string) {
	_ = os.Remove(workerPath(address)) // of a guard that was killed
	_ = shim.RemoveSocket(address)
	_ = os.Remove(filepath.Join(bundle, addressFile))
}

// isServed tells whether a shim serves a socket. One that has no time to answer does, too:
// a socket that is taken away from a shim that lives makes its containers unreachable.
func isServed(address string) bool {
	for range 5 {
		conn, err := shim.AnonDialer(address, time.Second)
		if err == nil {
			conn.Close()
			return true
		}
		// Between bind(2) and listen(2) of another start nobody serves it, either.
		if !errors.Is(err, unix.ECONNREFUSED) {
			return !errors.Is(err, unix.ENOENT)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

func shimCommand(params *bootstrap.BootstrapParams, listener *os.File) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "-namespace", params.Namespace, "-id", params.InstanceID, "-address", params.ContainerdGrpcAddress)
	if params.LogLevel <= bootstrap.LogLevel_LOG_LEVEL_DEBUG {
		cmd.Args = append(cmd.Args, "-debug")
	}
	cmd.ExtraFiles = []*os.File{listener}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd, nil
}

// share makes a command that of a shim for all pods: a guard, which belongs to no bundle,
// and has not the id of a container. It starts its worker when it is in its place: when the
// file is closed.
func share(cmd *exec.Cmd, address string) (placed *os.File, err error) {
	wait, placed, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Dir, cmd.Env = "/", append(os.Environ(), sharedEnv+"="+address)
	cmd.Args = slices.Replace(cmd.Args, 4, 5, groupingNode)
	cmd.ExtraFiles = append(cmd.ExtraFiles, wait)
	return placed, nil
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
