package main

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/containerd/api/types/runc/options"
	runtimeoptions "github.com/containerd/containerd/api/types/runtimeoptions/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Options of whatever form never crash the shim, and are the same after they were kept in
// the bundle.
func FuzzOptions(f *testing.F) {
	for _, m := range []proto.Message{
		&options.Options{Root: "/r", SystemdCgroup: true, IoUid: 7}, &runtimeoptions.Options{ConfigBody: []byte("Root = \"/r\"\nIoUid = 3\n")},
	} {
		packed, err := anypb.New(m)
		if err != nil {
			f.Fatal(err)
		}
		data, err := proto.Marshal(packed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	created, _ := proto.Marshal(&anypb.Any{TypeUrl: createOptions, Value: []byte{8, 1, 74, 1, 'x', 80, 5}})
	f.Add(created)
	f.Fuzz(func(t *testing.T, data []byte) {
		message, err := readMessage(data)
		if err != nil {
			return
		}
		if m, err := message.UnmarshalNew(); err == nil {
			if o, ok := m.(*runtimeoptions.Options); ok && o.ConfigPath != "" {
				return // it could be any file of this machine
			}
		}
		parsed, err := parseOptions(message)
		if err != nil {
			return
		}
		bundle := t.TempDir()
		if err := parsed.save(bundle); err != nil {
			t.Fatal(err)
		}
		if kept, err := loadOptions(bundle); err != nil || !reflect.DeepEqual(parsed, kept) {
			t.Errorf("%+v is after saving %+v, %v", parsed, kept, err)
		}
	})
}

// Whatever the CRI's own package reads, the shim reads in the same way.
func FuzzPodConfig(f *testing.F) {
	full, err := proto.Marshal(fullPodConfig())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(full)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := parsePodConfig(data)
		want := new(runtimeapi.PodSandboxConfig)
		if proto.Unmarshal(data, want) != nil {
			return // the shim does not look at all that it does not use
		}
		if err != nil {
			if strings.Contains(err.Error(), "userns_options") {
				return
			}
			t.Fatalf("refused: %v", err)
		}
		if got.Hostname != want.Hostname || got.Name != want.Metadata.GetName() || got.CgroupParent != want.Linux.GetCgroupParent() {
			t.Errorf("%+v\nwant %v", got, want)
		}
		namespaces := want.Linux.GetSecurityContext().GetNamespaceOptions()
		if int32(got.Network) != int32(namespaces.GetNetwork()) || int32(got.PID) != int32(namespaces.GetPid()) || int32(got.IPC) != int32(namespaces.GetIpc()) {
			t.Errorf("%+v\nwant %v", got, namespaces)
		}
		if !maps.Equal(got.Sysctls, want.Linux.GetSysctls()) && len(got.Sysctls)+len(want.Linux.GetSysctls()) > 0 {
			t.Errorf("%v\nwant %v", got.Sysctls, want.Linux.GetSysctls())
		}
		if !slices.Equal(got.SupplementalGroups, want.Linux.GetSecurityContext().GetSupplementalGroups()) {
			t.Errorf("%v", got.SupplementalGroups)
		}
	})
}
