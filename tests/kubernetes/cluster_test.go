package kubernetes

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	nodeName    = "node"
	nodeAddress = "10.98.0.1"
	podNetwork  = "10.99.0.0/16"
	socket      = "/run/containerd/containerd.sock"
	// state is for the files that only the test has.
	state = "/run/rt-kubernetes"
)

// cluster is a control plane and a node.
type cluster struct {
	containerd, kubelet *daemon
	// kubeconfig is that of an administrator.
	kubeconfig string
}

// startCluster starts everything, and stops it when the test ends.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	for _, dir := range []string{state, state + "/cni", state + "/static", state + "/host", "/var/lib/kubelet/seccomp", "/var/log/containers"} {
		must(t, os.MkdirAll(dir, 0o755))
	}
	if *logs != "" {
		must(t, os.RemoveAll(*logs))
		must(t, os.MkdirAll(*logs, 0o755))
	}
	a := newAuthority(t, state+"/pki")
	c := &cluster{kubeconfig: a.kubeconfig(t, "admin", "kubernetes-admin", "system:masters")}
	c.startContainerd(t)
	c.startControlPlane(t, a)
	c.startKubelet(t, a)
	c.kubectl(t, "wait", "--for=create", "node/"+nodeName, "--timeout="+waiting())
	c.kubectl(t, "wait", "--for=condition=Ready", "node/"+nodeName, "--timeout="+waiting())
	c.create(t, documented(t, "yaml", "kind: RuntimeClass")+runcClass)
	return c
}

// runcClass is for the handler that rt is compared with.
const runcClass = `---
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: runc}
handler: runc
`

func (c *cluster) program(name string) string { return filepath.Join(*kubernetes, name) }

// startDaemon starts one that ends with the test.
func startDaemon(t *testing.T, d *daemon) *daemon {
	t.Helper()
	d.start(t)
	t.Cleanup(func() { d.stop() })
	return d
}

// startContainerd starts it with the documented lines, and loads the images.
func (c *cluster) startContainerd(t *testing.T) {
	t.Helper()
	network := fmt.Sprintf(`{"cniVersion": "1.0.0", "name": "rt", "plugins": [
	{"type": "ptp", "ipMasq": false, "ipam": {"type": "host-local", "ranges": [[{"subnet": %q}]], "routes": [{"dst": "0.0.0.0/0"}], "dataDir": "/run/cni"}},
	{"type": "portmap", "backend": "iptables", "capabilities": {"portMappings": true}}]}`, podNetwork)
	must(t, os.WriteFile(state+"/cni/10-rt.conflist", []byte(network), 0o644))
	config := fmt.Sprintf(`version = 3
[grpc]
  address = %q
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = %q
[plugins."io.containerd.grpc.v1.cri"]
  stream_server_address = "127.0.0.1"
[plugins."io.containerd.cri.v1.runtime"]
  disable_apparmor = %v
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = [%q]
  conf_dir = %q
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
    BinaryName = %q
`, socket, pauseImage, !hasAppArmor(), *kubernetes, state+"/cni", *runcPath) + documented(t, "toml", "default_runtime_name") + documented(t, "toml", "sandboxer")
	must(t, os.WriteFile(state+"/containerd.toml", []byte(config), 0o644))
	ctr := []string{filepath.Join(*containerd, "ctr"), "-a", socket, "-n", "k8s.io"}
	c.containerd = startDaemon(t, &daemon{
		name: "containerd",
		// Containerd finds runc's shim in its path.
		args: []string{"env", "PATH=" + *containerd + ":" + os.Getenv("PATH"), "containerd", "--config", state + "/containerd.toml"},
		ready: func() bool {
			return exec.Command(ctr[0], append(ctr[1:], "version")...).Run() == nil
		},
	})
	for tag, command := range map[string]string{image: "sh", pauseImage: "tail -f /dev/null"} {
		file := state + "/image.tar"
		writeImage(t, file, tag, strings.Fields(command)...)
		if out, err := exec.Command(ctr[0], append(ctr[1:], "image", "import", file)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
}

func hasAppArmor() bool {
	on, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	return err == nil && string(on) == "Y\n"
}

// gates are features of Kubernetes that are off by default, with scenarios here.
const gates = "ImageVolume=true"

func (c *cluster) startControlPlane(t *testing.T, a *authority) {
	t.Helper()
	a.issue(t, "server", "kube-apiserver", "system:masters")
	newKey(t, a.path("accounts", ".key"))
	etcd := "http://127.0.0.1:2379"
	startDaemon(t, &daemon{
		name: "etcd",
		args: []string{c.program("etcd"), "--data-dir=/var/lib/etcd", "--unsafe-no-fsync", "--listen-client-urls=" + etcd, "--advertise-client-urls=" + etcd,
			"--listen-peer-urls=http://127.0.0.1:2380", "--initial-advertise-peer-urls=http://127.0.0.1:2380", "--initial-cluster=default=http://127.0.0.1:2380"},
		ready: healthy(etcd + "/health"),
	})
	startDaemon(t, &daemon{
		name: "kube-apiserver",
		args: []string{c.program("kube-apiserver"), "--etcd-servers=" + etcd, "--bind-address=" + nodeAddress, "--advertise-address=" + nodeAddress,
			"--service-cluster-ip-range=10.96.0.0/16", "--allow-privileged=true", "--kubelet-preferred-address-types=InternalIP", "--authorization-mode=Node,RBAC", "--feature-gates=" + gates,
			"--client-ca-file=" + a.path("ca", ".crt"), "--tls-cert-file=" + a.path("server", ".crt"), "--tls-private-key-file=" + a.path("server", ".key"),
			"--kubelet-certificate-authority=" + a.path("ca", ".crt"), "--kubelet-client-certificate=" + a.path("server", ".crt"), "--kubelet-client-key=" + a.path("server", ".key"),
			"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=" + a.path("accounts", ".key"),
			"--service-account-signing-key-file=" + a.path("accounts", ".key")},
		ready: func() bool {
			out, err := c.command(context.Background(), "get", "--raw=/readyz").Output()
			return err == nil && string(out) == "ok"
		},
	})
	startDaemon(t, &daemon{
		name: "kube-controller-manager",
		args: []string{c.program("kube-controller-manager"), "--kubeconfig=" + a.kubeconfig(t, "controllers", "system:kube-controller-manager", "system:kube-controller-manager"),
			"--service-account-private-key-file=" + a.path("accounts", ".key"), "--root-ca-file=" + a.path("ca", ".crt"),
			"--use-service-account-credentials", "--leader-elect=false", "--bind-address=127.0.0.1"},
		ready: healthy("https://127.0.0.1:10257/healthz"),
	})
	startDaemon(t, &daemon{
		name: "kube-scheduler",
		args: []string{c.program("kube-scheduler"), "--kubeconfig=" + a.kubeconfig(t, "scheduler", "system:kube-scheduler", "system:kube-scheduler"),
			"--leader-elect=false", "--bind-address=127.0.0.1"},
		ready: healthy("https://127.0.0.1:10259/healthz"),
	})
}

// healthy asks a server whether it is.
func healthy(url string) func() bool {
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	return func() bool {
		answer, err := client.Get(url)
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	}
}

// startKubelet starts it with the documented lines. It sets kernel parameters of the machine:
// here it finds copies of these files in its own mount namespace, and changes the copies.
func (c *cluster) startKubelet(t *testing.T, a *authority) {
	t.Helper()
	config := documented(t, "yaml", "kind: KubeletConfiguration") + fmt.Sprintf(`failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: %s}}
authorization: {mode: Webhook}
tlsCertFile: %s
tlsPrivateKeyFile: %s
staticPodPath: %s
fileCheckFrequency: 1s
resolvConf: %s
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
makeIPTablesUtilChains: false
imageGCHighThresholdPercent: 100
maxPods: 200
podPidsLimit: 100
volumeStatsAggPeriod: 5s
volumePluginDir: /var/lib/kubelet/volume-plugins
allowedUnsafeSysctls: [net.core.somaxconn]
featureGates: {%s}
`, a.path("ca", ".crt"), a.path("server", ".crt"), a.path("server", ".key"), state+"/static", state+"/resolv.conf", strings.ReplaceAll(gates, "=", ": "))
	must(t, os.WriteFile(state+"/resolv.conf", []byte("nameserver 10.96.0.10\n"), 0o644))
	must(t, os.WriteFile(state+"/kubelet.yaml", []byte(config), 0o644))
	must(t, os.WriteFile(state+"/kubelet.sh", []byte(`set -e
mount --make-private /proc
for file in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
	copy=`+state+`/sysctl/$file
	mkdir -p ${copy%/*}
	cat /proc/sys/$file > $copy
	mount --bind $copy /proc/sys/$file
done
exec "$@"
`), 0o644))
	c.kubelet = startDaemon(t, &daemon{
		name: "kubelet",
		args: []string{"unshare", "--mount", "--propagation", "unchanged", "sh", state + "/kubelet.sh", c.program("kubelet"), "--config=" + state + "/kubelet.yaml",
			"--kubeconfig=" + a.kubeconfig(t, "kubelet", "system:node:"+nodeName, "system:nodes"),
			"--hostname-override=" + nodeName, "--node-ip=" + nodeAddress, "--v=2"},
		ready: healthy("http://127.0.0.1:10248/healthz"),
	})
}

// command is one of kubectl.
func (c *cluster) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.program("kubectl"), append([]string{"--kubeconfig=" + c.kubeconfig, "--cache-dir=/run/kubectl"}, args...)...)
	cmd.WaitDelay = time.Second
	return cmd
}

// try runs kubectl with an input. What it prints beside its output is returned if it fails.
func (c *cluster) try(t testing.TB, input string, args ...string) (out string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := c.command(ctx, args...)
	if input != "" {
		cmd.Stdin = strings.NewReader(input)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	data := stdout.Bytes()
	if err != nil {
		data = append(data, stderr.Bytes()...)
	}
	if ctx.Err() != nil {
		t.Fatalf("kubectl %q has not ended after %v: %s", args, patience, data)
	}
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatalf("kubectl %q: %v", args, err)
	}
	return strings.TrimSpace(strings.ReplaceAll(string(data), "\r\n", "\n")), cmd.ProcessState.ExitCode()
}

// kubectl runs a command that must succeed.
func (c *cluster) kubectl(t testing.TB, args ...string) string {
	t.Helper()
	out, code := c.try(t, "", args...)
	if code != 0 {
		t.Fatalf("kubectl %q: exit status %d: %s", args, code, out)
	}
	return out
}

// create makes what a manifest describes.
func (c *cluster) create(t testing.TB, manifest string) {
	t.Helper()
	if out, code := c.try(t, manifest, "create", "-f", "-"); code != 0 {
		t.Fatalf("%s\n%s", out, manifest)
	}
}

// crictl runs a command of the CRI's client.
func (c *cluster) crictl(t testing.TB, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	endpoint := "unix://" + socket
	cmd := exec.CommandContext(ctx, *crictlPath, append([]string{"--config", os.DevNull, "--timeout", patience.String(), "--runtime-endpoint", endpoint, "--image-endpoint", endpoint}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("crictl %q: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}
