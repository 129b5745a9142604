package main

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/containerd/containerd/api/types"
	"github.com/opencontainers/runtime-spec/specs-go/features"
	"google.golang.org/protobuf/proto"
)

func TestInfo(t *testing.T) {
	var b bytes.Buffer
	if err := writeInfo(&b); err != nil {
		t.Fatal(err)
	}
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
