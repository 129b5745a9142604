package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/api/types/runc/options"
	runtimeoptions "github.com/containerd/containerd/api/types/runtimeoptions/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
)

func packed(t *testing.T, m proto.Message) *anypb.Any {
	t.Helper()
	a, err := pack(m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// The options of runc's shim are the same from all who give them.
func TestOptions(t *testing.T) {
	want := taskOptions{SystemdCgroup: true, Root: "/root", IoUID: 7, ShimCgroup: "/shims"}
	table := "SystemdCgroup = true\nRoot = \"/root\"\nIoUid = 7\nShimCgroup = \"/shims\"\nBinaryName = \"ignored\"\n"
	file := filepath.Join(t.TempDir(), "options.toml")
	if err := os.WriteFile(file, []byte(table), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, message := range map[string]*anypb.Any{
		"runc's":       packed(t, &options.Options{SystemdCgroup: true, Root: "/root", IoUid: 7, ShimCgroup: "/shims"}),
		"inline table": packed(t, &runtimeoptions.Options{ConfigBody: []byte(table)}),
		"file":         packed(t, &runtimeoptions.Options{ConfigPath: file}),
	} {
		o, err := parseOptions(message)
		if err != nil || *o != want {
			t.Errorf("%s: %+v, %v", name, o, err)
		}
		data, err := proto.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := readStart(bytes.NewReader(data), "ns", "id"); err != nil || *p.options != want || p.version != addressOnly {
			t.Errorf("%s, at the start: %+v, %v", name, p, err)
		}
		var params []byte
		for number, value := range map[protowire.Number][]byte{1: []byte("id"), 2: []byte("ns"), 4: []byte("2.4.2"), 9: []byte("/sockets")} {
			params = protowire.AppendBytes(protowire.AppendTag(params, number, protowire.BytesType), value)
		}
		params = protowire.AppendVarint(protowire.AppendTag(params, 3, protowire.VarintType), 4)
		extension := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), data)
		params = protowire.AppendBytes(protowire.AppendTag(params, 8, protowire.BytesType), extension)
		p, err := readStart(bytes.NewReader(params), "ns", "id")
		if err != nil || *p.options != want || p.version != withBootstrap || p.socketDir != "/sockets" {
			t.Errorf("%s, since containerd 2.3: %+v, %v", name, p, err)
		}
	}
}

func TestOptionsThatAreNotGiven(t *testing.T) {
	o, err := parseOptions(nil)
	if err != nil || *o != (taskOptions{}) {
		t.Errorf("%+v, %v", o, err)
	}
	if root := o.root("k8s.io"); root != "/run/containerd/rt/k8s.io" {
		t.Error(root)
	}
}

func TestFaultyOptions(t *testing.T) {
	unknown := packed(t, &emptypb.Empty{})
	unknown.Value = []byte{8, 1}
	for word, message := range map[string]*anypb.Any{
		"google.protobuf.Empty": unknown,
		"ConfigPath":            packed(t, &runtimeoptions.Options{ConfigPath: "/no/such"}),
		"toml":                  packed(t, &runtimeoptions.Options{ConfigBody: []byte("Root = ")}),
	} {
		if o, err := parseOptions(message); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("no %q in: %v (%+v)", word, err, o)
		}
	}
}

// Whoever cleans up after a dead shim finds the options.
func TestSavedOptions(t *testing.T) {
	dir := t.TempDir()
	if o, err := loadOptions(dir); err != nil || *o != (taskOptions{}) {
		t.Errorf("%+v, %v", o, err)
	}
	want := taskOptions{Root: "/root", NoPivotRoot: true}
	if err := want.save(dir); err != nil {
		t.Fatal(err)
	}
	if o, err := loadOptions(dir); err != nil || *o != want {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestGroup(t *testing.T) {
	t.Chdir(t.TempDir())
	for config, want := range map[string]string{
		`{}`: "id",
		`{"annotations": {"io.kubernetes.cri.sandbox-id": "pod"}}`:                                         "pod",
		`{"annotations": {"io.kubernetes.cri.sandbox-id": "pod", "io.containerd.runc.v2.group": "group"}}`: "group",
	} {
		if err := os.WriteFile("config.json", []byte(config), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := group("id"); err != nil || got != want {
			t.Errorf("%s: %q, %v", config, got, err)
		}
	}
}
