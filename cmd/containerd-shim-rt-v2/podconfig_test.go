package main

import (
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// fullPodConfig has something in each field that the shim uses, and in others.
func fullPodConfig() *runtimeapi.PodSandboxConfig {
	return &runtimeapi.PodSandboxConfig{
		Metadata: &runtimeapi.PodSandboxMetadata{Name: "n", Uid: "u", Namespace: "ns", Attempt: 3},
		Hostname: "box", LogDirectory: "/log",
		DnsConfig:    &runtimeapi.DNSConfig{Servers: []string{"1.1.1.1", "2.2.2.2"}, Searches: []string{"a.b"}, Options: []string{"ndots:5"}},
		PortMappings: []*runtimeapi.PortMapping{{HostPort: 1}},
		Labels:       map[string]string{"l": "v"}, Annotations: map[string]string{"a": "b", "c": ""},
		Linux: &runtimeapi.LinuxPodSandboxConfig{
			CgroupParent: "/kubepods/pod1",
			SecurityContext: &runtimeapi.LinuxSandboxSecurityContext{
				NamespaceOptions: &runtimeapi.NamespaceOption{
					Network: runtimeapi.NamespaceMode_NODE, Pid: runtimeapi.NamespaceMode_CONTAINER, Ipc: runtimeapi.NamespaceMode_POD, TargetId: "x",
					UsernsOptions: &runtimeapi.UserNamespace{
						Mode: runtimeapi.NamespaceMode_POD,
						Uids: []*runtimeapi.IDMapping{{HostId: 100000, ContainerId: 0, Length: 65536}},
						Gids: []*runtimeapi.IDMapping{{HostId: 200000, ContainerId: 1, Length: 7}, {HostId: 5, Length: 1}},
					},
				},
				RunAsUser: &runtimeapi.Int64Value{Value: 1000}, RunAsGroup: &runtimeapi.Int64Value{},
				SupplementalGroups: []int64{7, 4294967295}, Privileged: true, SelinuxOptions: &runtimeapi.SELinuxOption{User: "u"},
			},
			Sysctls:   map[string]string{"kernel.shmmax": "1"},
			Resources: &runtimeapi.LinuxContainerResources{CpuShares: 7},
		},
	}
}

// The shim reads a pod's configuration as the CRI's own package writes it.
func TestPodConfig(t *testing.T) {
	full := fullPodConfig()
	want := &podConfig{
		Name: "n", UID: "u", Namespace: "ns", Hostname: "box",
		DNS:         &dnsConfig{Servers: []string{"1.1.1.1", "2.2.2.2"}, Searches: []string{"a.b"}, Options: []string{"ndots:5"}},
		Annotations: map[string]string{"a": "b", "c": ""}, CgroupParent: "/kubepods/pod1", Sysctls: map[string]string{"kernel.shmmax": "1"},
		Network: nodeNamespace, PID: containerNamespace, IPC: podNamespace,
		UserNamespace: &userNamespace{UIDs: []idMapping{{100000, 0, 65536}}, GIDs: []idMapping{{200000, 1, 7}, {5, 0, 1}}},
		RunAsUser:     ptr[int64](1000), RunAsGroup: ptr[int64](0), SupplementalGroups: []int64{7, 4294967295},
	}
	hostUsers := proto.CloneOf(full)
	hostUsers.Linux.SecurityContext.NamespaceOptions.UsernsOptions.Mode = runtimeapi.NamespaceMode_NODE
	wantHost := *want
	wantHost.UserNamespace = nil
	for name, test := range map[string]struct {
		config *runtimeapi.PodSandboxConfig
		want   *podConfig
	}{
		"full": {full, want}, "host's users": {hostUsers, &wantHost},
		"empty": {new(runtimeapi.PodSandboxConfig), &podConfig{Annotations: map[string]string{}, Sysctls: map[string]string{}}},
	} {
		data, err := proto.Marshal(test.config)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parsePodConfig(data); err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %+v, %v\nwant %+v", name, got, err, test.want)
		}
		for n := range data {
			_, _ = parsePodConfig(data[:n]) // an error, or less: never a crash
		}
	}
	for name, change := range map[string]func(*runtimeapi.UserNamespace){
		"the user namespace of another container": func(u *runtimeapi.UserNamespace) { u.Mode = runtimeapi.NamespaceMode_TARGET },
		"no root":       func(u *runtimeapi.UserNamespace) { u.Uids[0].ContainerId = 1 },
		"no root group": func(u *runtimeapi.UserNamespace) { u.Gids = u.Gids[:1] },
	} {
		wrong := proto.CloneOf(full)
		change(wrong.Linux.SecurityContext.NamespaceOptions.UsernsOptions)
		data, _ := proto.Marshal(wrong)
		if _, err := parsePodConfig(data); err == nil {
			t.Errorf("accepted: %s", name)
		}
	}
}

func ptr[T any](v T) *T { return &v }
