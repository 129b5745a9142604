package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bootstrap "github.com/containerd/containerd/api/runtime/bootstrap/v1"
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
	want := taskOptions{SystemdCgroup: true, Root: "/root", IoUID: 7, ShimCgroup: "/shims", BinaryName: "runc"}
	table := "SystemdCgroup = true\nRoot = \"/root\"\nIoUid = 7\nShimCgroup = \"/shims\"\nBinaryName = \"runc\"\n"
	file := filepath.Join(t.TempDir(), "options.toml")
	if err := os.WriteFile(file, []byte(table), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, message := range map[string]*anypb.Any{
		"runc's":       packed(t, &options.Options{SystemdCgroup: true, Root: "/root", IoUid: 7, ShimCgroup: "/shims", BinaryName: "runc"}),
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
		sockets := "/sockets"
		params := &bootstrap.BootstrapParams{
			InstanceID: "id", Namespace: "ns", ContainerdGrpcAddress: "/socket", LogLevel: bootstrap.LogLevel_LOG_LEVEL_DEBUG,
			ContainerdVersion: "2.4.2", SocketDir: &sockets,
		}
		must(t, params.AddExtension(&emptypb.Empty{}))
		must(t, params.AddExtension(message))
		given, err := proto.Marshal(params)
		must(t, err)
		for version, stdin := range map[int][]byte{addressOnly: data, withBootstrap: given} {
			args := []string{"-namespace", "ns", "-debug", "-address", "/socket", "-publish-binary", "containerd", "-id", "id", "start"}
			p, v, err := readStart(args, bytes.NewReader(stdin))
			must(t, err)
			if o, err := startOptions(p); err != nil || *o != want {
				t.Errorf("%s, version %d: %+v, %v", name, version, o, err)
			}
			if v != version || p.InstanceID != "id" || p.Namespace != "ns" || p.ContainerdGrpcAddress != "/socket" ||
				p.LogLevel != bootstrap.LogLevel_LOG_LEVEL_DEBUG || p.GetSocketDir() != "" != (version == withBootstrap) {
				t.Errorf("%s, version %d, not %d: %v", name, v, version, p)
			}
		}
	}
}

// The type of options that containerd 2 does not know any more.
func TestCreateOptions(t *testing.T) {
	var data []byte
	for number, value := range map[protowire.Number]uint64{1: 1, 2: 1, 8: 1, 10: 7, 11: 8} {
		data = protowire.AppendVarint(protowire.AppendTag(data, number, protowire.VarintType), value)
	}
	for number, value := range map[protowire.Number]string{6: "pid", 9: "/shims", 12: "/work"} {
		data = protowire.AppendString(protowire.AppendTag(data, number, protowire.BytesType), value)
	}
	message := &anypb.Any{TypeUrl: createOptions, Value: data}
	want := taskOptions{NoPivotRoot: true, NoNewKeyring: true, ShimCgroup: "/shims", IoUID: 7, IoGID: 8}
	if o, err := parseOptions(message); err != nil || *o != want || !isOptions(message) {
		t.Errorf("%+v, %v", o, err)
	}
	message.Value = data[:len(data)-1]
	if o, err := parseOptions(message); err == nil {
		t.Errorf("%+v", o)
	}
}

// Nobody is to believe that their runtime makes the containers.
func TestOptionsWithoutEffect(t *testing.T) {
	for name, o := range map[string]*taskOptions{"": {SystemdCgroup: true, Root: "/root"}, `BinaryName "/usr/bin/runc"`: {BinaryName: "/usr/bin/runc"}} {
		var remarks []string
		o.remarks(func(message string) { remarks = append(remarks, message) })
		if got := strings.Join(remarks, "\n"); (got == "") != (name == "") || !strings.Contains(got, name) {
			t.Errorf("%q, not %q", got, name)
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
		if got, err := new(taskOptions).group("id"); err != nil || got != want {
			t.Errorf("%s: %q, %v", config, got, err)
		}
	}
}

// The environment has options that those of a request, of whatever type, do not replace.
func TestOptionsOfTheEnvironment(t *testing.T) {
	t.Setenv(optionsEnv, `{Grouping = "node", SystemdCgroup = true, NoUnprivilegedICMP = true}`)
	pods := taskOptions{Grouping: groupingNode, NoUnprivilegedICMP: true, SystemdCgroup: true}
	with := func(change func(*taskOptions)) taskOptions {
		o := pods
		change(&o)
		return o
	}
	table, err := pack(&runtimeoptions.Options{ConfigBody: []byte("Root = \"/r\"\nCRIRoot = \"/c\"")})
	must(t, err)
	runc, err := pack(&options.Options{Root: "/r"})
	must(t, err)
	for name, test := range map[string]struct {
		message *anypb.Any
		want    taskOptions
	}{
		"none":     {nil, pods},
		"a table":  {table, with(func(o *taskOptions) { o.Root, o.CRIRoot = "/r", "/c" })},
		"of runc":  {runc, with(func(o *taskOptions) { o.Root = "/r" })},
		"of 1.x's": {&anypb.Any{TypeUrl: createOptions, Value: []byte{8, 1}}, with(func(o *taskOptions) { o.NoPivotRoot = true })},
	} {
		if got, err := parseOptions(test.message); err != nil || *got != test.want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for _, wrong := range []string{"Grouping", `{Grouping = "no"}`, "{Root = 1}", `{Groupin = "node"}`} {
		t.Setenv(optionsEnv, wrong)
		if _, err := parseOptions(nil); err == nil || !strings.Contains(err.Error(), strings.Trim(strings.Fields(wrong)[0], "{")) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}
