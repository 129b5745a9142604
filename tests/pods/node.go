package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/containerd/v2/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// node is a containerd with its clients, and the null shim.
type node struct {
	*world
	opts *options

	daemon, null *process
	conn         *grpc.ClientConn
	runtime      cri.RuntimeServiceClient
	client       *client.Client
}

// process is a program that the benchmark has started in the node's cgroup.
type process struct {
	name  string
	cmd   *exec.Cmd
	ended chan struct{}
}

// criNamespace is the CRI plugin's namespace in containerd.
const criNamespace = "k8s.io"

func newNode(ctx context.Context, w *world, opts *options) (_ *node, err error) {
	n := &node{world: w, opts: opts}
	if err := n.makeCgroups(); err != nil {
		return nil, err
	}
	if err := n.writeConfig(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			n.close()
		}
	}()
	if opts.competes(null) {
		n.null, err = n.launch("nullshim", filepath.Join(opts.bin, "pods/nullshim"), nullSocket)
		if err != nil {
			return nil, err
		}
	}
	if err := n.serve(ctx); err != nil {
		return nil, err
	}
	return n, n.load(ctx)
}

// writeConfig writes the configurations of containerd and of the pods' network.
func (n *node) writeConfig() error {
	network := filepath.Join(n.dir, "cni")
	for _, dir := range []string{network, n.logDir()} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	// A point-to-point link, as tests/engines has it. What the pods' addresses are is on tmpfs.
	err := os.WriteFile(filepath.Join(network, "10-pods.conflist"), []byte(`{"cniVersion": "1.0.0", "name": "pods", "plugins": [
	{"type": "ptp", "ipam": {"type": "host-local", "subnet": "10.99.0.0/16", "dataDir": "/run/cni-addresses"}}]}`), 0o644)
	if err != nil {
		return err
	}
	return os.WriteFile(n.configFile(), []byte(n.config(network)), 0o644)
}

func (n *node) configFile() string { return filepath.Join(n.dir, "config.toml") }
func (n *node) logDir() string     { return filepath.Join(n.dir, "logs") }
func (n *node) logFile() string    { return filepath.Join(n.dir, "containerd.log") }

// config is that of a node, with a handler for each competitor.
func (n *node) config(network string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `version = 3
root = %q
state = %q
[grpc]
address = %q
[plugins."io.containerd.internal.v1.opt"]
path = %q
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
default_runtime_name = %q
`, filepath.Join(n.dir, "root"), stateDir, n.socket(), filepath.Join(n.dir, "opt"), image, network, n.opts.competitors[0].name)
	for _, c := range n.opts.competitors {
		b.WriteString(c.config(n.opts.bin))
	}
	return b.String()
}

// launch starts a program in the node's cgroup. What it starts is there, too.
func (n *node) launch(name string, args ...string) (*process, error) {
	log, err := os.OpenFile(filepath.Join(n.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	procs := filepath.Join(accounting(), n.name, "node", "cgroup.procs")
	cmd := exec.Command("sh", append([]string{"-c", `echo 0 > "$0" && exec "$@"`, procs}, args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	// Whatever runtime_path says, containerd looks in PATH for the shim of a pod without a pause
	// container, and after a restart for those of all containers of pods.
	path := "PATH=" + n.opts.bin + ":" + filepath.Join(n.opts.bin, "pods") + ":" + os.Getenv("PATH")
	cmd.Env = append(os.Environ(), path, "HTTPS_PROXY=http://127.0.0.1:9") // no registry
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{name: name, cmd: cmd, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// endPatience is how long a program has to end. On a busy machine even one that is killed needs long
// for its threads.
const endPatience = 2 * time.Minute

// end sends a signal to a program and waits for its end.
func (p *process) end(signal syscall.Signal) error {
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(endPatience):
		return fmt.Errorf("%s has not ended %v after signal %v", p.name, endPatience, signal)
	}
}

// serve starts containerd, and waits until its CRI plugin works.
func (n *node) serve(ctx context.Context) (err error) {
	n.daemon, err = n.launch("containerd", filepath.Join(n.opts.bin, "containerd/containerd"), "--config", n.configFile())
	if err != nil {
		return err
	}
	if n.conn == nil {
		if n.conn, err = grpc.NewClient("unix://"+n.socket(), grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
			return err
		}
		n.runtime = cri.NewRuntimeServiceClient(n.conn)
	}
	if n.client == nil {
		if n.client, err = client.New(n.socket(), client.WithDefaultNamespace(criNamespace), client.WithTimeout(n.opts.patience)); err != nil {
			return err
		}
	}
	var last error
	for end := time.Now().Add(n.opts.patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		select {
		case <-n.daemon.ended:
			return fmt.Errorf("containerd has ended:\n%s", n.complaints())
		case <-ctx.Done():
			return context.Cause(ctx)
		default:
		}
		if last = n.ready(ctx); last == nil {
			return nil
		}
		// A connection that was refused is tried again after ever longer times.
		n.conn.ResetConnectBackoff()
	}
	return fmt.Errorf("containerd does not get ready: %w\n%s", last, n.complaints())
}

func (n *node) ready(ctx context.Context) error {
	status, err := n.runtime.Status(ctx, new(cri.StatusRequest))
	if err != nil {
		return err
	}
	for _, c := range status.GetStatus().GetConditions() {
		// The others are warnings.
		if (c.Type == cri.RuntimeReady || c.Type == cri.NetworkReady) && !c.Status {
			return fmt.Errorf("%s: %s", c.Reason, c.Message)
		}
	}
	return nil
}

// restart ends containerd by a signal, and starts it again.
func (n *node) restart(ctx context.Context, signal syscall.Signal) error {
	if err := n.daemon.end(signal); err != nil {
		return err
	}
	return n.serve(ctx)
}

// complaints are the last warnings and errors in containerd's log, or its last lines if it has none.
func (n *node) complaints() string {
	const most = 15
	data, _ := os.ReadFile(n.logFile())
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	found := slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return strings.Contains(line, " level=info ") })
	if len(found) == 0 {
		found = lines
	}
	return strings.Join(found[max(0, len(found)-most):], "\n")
}

// close ends containerd and the null shim. Shims that are left end with the pid namespace.
func (n *node) close() error {
	var failed []error
	if n.client != nil {
		failed = append(failed, n.client.Close())
	}
	if n.conn != nil {
		failed = append(failed, n.conn.Close())
	}
	for _, p := range []*process{n.daemon, n.null} {
		if p != nil {
			failed = append(failed, p.end(syscall.SIGTERM))
		}
	}
	return errors.Join(failed...)
}
