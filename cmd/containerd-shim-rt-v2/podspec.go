package main

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// nobody is whom the pod's program becomes unless the pod says otherwise, as the pause
// image does.
const nobody = 65535

// Kubernetes protects what holds a pod from being killed for lack of memory.
const podOOMScore = -998

// allowedOOMScore is the wanted value of oom_score_adj, or the shim's own if it may not
// give a lower one: proc_pid_oom_score_adj(5).
func allowedOOMScore(want int) (int, error) {
	var data [2]unix.CapUserData
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, os.NewSyscallError("capget", err)
	}
	if data[0].Effective&(1<<unix.CAP_SYS_RESOURCE) != 0 {
		return want, nil
	}
	text, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return 0, err
	}
	own, err := strconv.Atoi(strings.TrimSpace(string(text)))
	return max(own, want), err
}

// sysctls are those of the pod, and those that the CRI plugin sets in each by default, so
// that a process needs no capability for a port below 1024, or for ping.
func (p *podConfig) sysctls(o *taskOptions) map[string]string {
	all := maps.Clone(p.Sysctls)
	if p.Network == nodeNamespace {
		return all
	}
	for name, value := range map[string]string{"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"} {
		off := o.NoUnprivilegedPorts
		if strings.HasSuffix(name, "ping_group_range") {
			off = o.NoUnprivilegedICMP || p.UserNamespace != nil // its groups are not those of the namespace
		}
		if _, set := all[name]; !set && !off {
			all[name] = value
		}
	}
	return all
}

// spec is the configuration of the program that holds the pod's namespaces. What the CRI
// plugin gives a pause container and this program has not: an image, mounts, a seccomp
// profile, and labels of SELinux. It executes nothing, has no capability, and an empty
// root file system.
func (p *podConfig) spec(id, bundle, netns string, o *taskOptions) (*specs.Spec, error) {
	oom, err := allowedOOMScore(podOOMScore)
	if err != nil {
		return nil, err
	}
	shares := uint64(2)
	s := &specs.Spec{
		Version:     specs.Version,
		Root:        &specs.Root{Path: bundle, Readonly: true},
		Annotations: maps.Clone(p.Annotations),
		Process: &specs.Process{
			Args: []string{"pod"}, Cwd: "/", NoNewPrivileges: true, OOMScoreAdj: &oom,
			User: specs.User{UID: nobody, GID: nobody},
		},
		Linux: &specs.Linux{
			CgroupsPath: cgroupsPath(p.CgroupParent, id), Sysctl: p.sysctls(o),
			Resources: &specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: &shares}},
		},
	}
	for name, value := range map[string]string{
		"container-type": "sandbox", "sandbox-id": id, "sandbox-name": p.Name, "sandbox-namespace": p.Namespace, "sandbox-uid": p.UID,
	} {
		s.Annotations["io.kubernetes.cri."+name] = value
	}
	for number, to := range map[*int64]*uint32{p.RunAsUser: &s.Process.User.UID, p.RunAsGroup: &s.Process.User.GID} {
		if number == nil {
			continue
		}
		if *number < 0 || *number > int64(^uint32(0)) {
			return nil, fmt.Errorf("linux.security_context.run_as_user, run_as_group: %d is no id", *number)
		}
		*to = uint32(*number)
	}
	for _, g := range p.SupplementalGroups {
		s.Process.User.AdditionalGids = append(s.Process.User.AdditionalGids, uint32(g))
	}
	return s, p.addNamespaces(s, netns)
}

// addNamespaces adds those that the pod has for itself. The CRI plugin makes the network
// namespace, in the user namespace of the pod if that has one.
func (p *podConfig) addNamespaces(s *specs.Spec, netns string) error {
	add := func(kind specs.LinuxNamespaceType, path string) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: kind, Path: path})
	}
	add(specs.MountNamespace, "")
	if p.IPC != nodeNamespace {
		add(specs.IPCNamespace, "")
	}
	if p.PID != nodeNamespace {
		add(specs.PIDNamespace, "")
	}
	if p.Network != nodeNamespace {
		if netns == "" {
			return fmt.Errorf("the pod has a network namespace of its own, but there is no path of one")
		}
		add(specs.NetworkNamespace, netns)
		add(specs.UTSNamespace, "")
		s.Hostname = p.Hostname
	}
	if n := p.UserNamespace; n != nil {
		s.Linux.UIDMappings, s.Linux.GIDMappings = mappings(n.UIDs), mappings(n.GIDs)
		add(specs.UserNamespace, "")
	}
	return nil
}

func mappings(list []idMapping) []specs.LinuxIDMapping {
	var out []specs.LinuxIDMapping
	for _, m := range list {
		out = append(out, specs.LinuxIDMapping{HostID: m.Host, ContainerID: m.Container, Size: m.Size})
	}
	return out
}

// cgroupsPath is linux.cgroupsPath of the pod: below the parent that the kubelet names, a
// slice of systemd or a path.
func cgroupsPath(parent, id string) string {
	if parent == "" {
		return ""
	}
	if base := path.Base(parent); strings.HasSuffix(base, ".slice") {
		return strings.Join([]string{base, "cri-containerd", id}, ":")
	}
	return filepath.Join(parent, id)
}

// ownerOf opens the user namespace that a network namespace belongs to: ioctl_ns(2).
func ownerOf(netns string) (*os.File, error) {
	file, err := os.Open(netns)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	fd, err := unix.IoctlRetInt(int(file.Fd()), unix.NS_GET_USERNS)
	if err != nil {
		return nil, fmt.Errorf("the user namespace of %s: %w", netns, err)
	}
	return os.NewFile(uintptr(fd), "user namespace"), nil
}
