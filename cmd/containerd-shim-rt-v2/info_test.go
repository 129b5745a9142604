package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/containerd/containerd/api/types"
	"github.com/containerd/containerd/api/types/runc/options"
	runtimeoptions "github.com/containerd/containerd/api/types/runtimeoptions/v1"
	"github.com/opencontainers/runtime-spec/specs-go/features"
	"google.golang.org/protobuf/proto"
)

func TestInfo(t *testing.T) {
	var b bytes.Buffer
	must(t, writeInfo(&b, strings.NewReader("")))
	var info types.RuntimeInfo
	if err := proto.Unmarshal(b.Bytes(), &info); err != nil {
		t.Fatal(err)
	}
	var f features.Features
	if err := json.Unmarshal(info.Features.Value, &f); err != nil {
		t.Fatal(err)
	}
	if info.Name != "io.containerd.rt.v2" || f.Linux == nil || len(f.MountOptions) == 0 {
		t.Errorf("%v, %+v", &info, f)
	}
}

// The options that containerd would give are told, or refused.
func TestInfoWithOptions(t *testing.T) {
	given := packed(t, &options.Options{SystemdCgroup: true})
	data, err := proto.Marshal(given)
	must(t, err)
	var b bytes.Buffer
	must(t, writeInfo(&b, bytes.NewReader(data)))
	var info types.RuntimeInfo
	must(t, proto.Unmarshal(b.Bytes(), &info))
	if !proto.Equal(info.Options, given) {
		t.Errorf("%v", info.Options)
	}
	data, err = proto.Marshal(packed(t, &runtimeoptions.Options{ConfigBody: []byte("Root = ")}))
	must(t, err)
	if err := writeInfo(&b, bytes.NewReader(data)); err == nil {
		t.Error("faulty options are not told")
	}
}
