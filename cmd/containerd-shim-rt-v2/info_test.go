package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/containerd/containerd/api/types/runc/options"
	runtimeoptions "github.com/containerd/containerd/api/types/runtimeoptions/v1"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go/features"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
)

func TestInfo(t *testing.T) {
	info, err := manager{}.Info(t.Context(), strings.NewReader(""))
	must(t, err)
	var f features.Features
	if err := json.Unmarshal(info.Features.Value, &f); err != nil {
		t.Fatal(err)
	}
	if info.Name != "io.containerd.rt.v2" || f.Linux == nil || len(f.MountOptions) == 0 {
		t.Errorf("%v, %+v", info, f)
	}
}

// The options that containerd would give are told, or refused.
func TestInfoWithOptions(t *testing.T) {
	given := packed(t, &options.Options{SystemdCgroup: true})
	data, err := proto.Marshal(given)
	must(t, err)
	info, err := manager{}.Info(t.Context(), bytes.NewReader(data))
	must(t, err)
	if !proto.Equal(info.Options, given) {
		t.Errorf("%v", info.Options)
	}
	data, err = proto.Marshal(packed(t, &runtimeoptions.Options{ConfigBody: []byte("Root = ")}))
	must(t, err)
	if _, err := (manager{}).Info(t.Context(), bytes.NewReader(data)); err == nil {
		t.Error("faulty options are not told")
	}
}

// containerd asks for the counters of a container that is ending, and takes NotFound alone for
// an answer to that.
func TestCountersOfAnEndingContainer(t *testing.T) {
	for _, err := range []error{&os.PathError{Op: "read", Path: "memory.kmem.max_usage_in_bytes", Err: unix.ENODEV}, os.ErrNotExist} {
		_, got := metrics(func() (proto.Message, error) { return nil, err })
		if !is(toGRPC(got), errdefs.ErrNotFound) {
			t.Errorf("%v", got)
		}
	}
}
