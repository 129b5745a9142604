package main

import (
	"context"
	"encoding/json"
	"io"

	"github.com/containerd/containerd/api/types"
	containerdversion "github.com/containerd/containerd/v2/version"
	"github.com/rtcontainers/rt/libcontainer/seccomp"
	"github.com/rtcontainers/rt/spec"
	"google.golang.org/protobuf/types/known/anypb"
)

// version and commit are set by the linker.
var version, commit = "unknown", ""

// setVersion makes containerd's package print the shim's version.
func setVersion() {
	containerdversion.Version, containerdversion.Revision = version, commit
}

// featuresType is how containerd calls the document of features.md.
const featuresType = "types.containerd.io/opencontainers/runtime-spec/1/features/Features"

// Info answers containerd 2's question what the shim is and can do, with the options
// that it would be given.
func (manager) Info(_ context.Context, options io.Reader) (*types.RuntimeInfo, error) {
	data, err := io.ReadAll(options)
	if err != nil {
		return nil, err
	}
	given, err := readMessage(data)
	if err == nil {
		_, err = parseOptions(given)
	}
	if err != nil {
		return nil, err
	}
	if len(data) == 0 {
		given = nil
	}
	features, err := json.Marshal(spec.Features(nil, seccomp.Architectures()))
	if err != nil {
		return nil, err
	}
	return &types.RuntimeInfo{
		Name:     runtimeName,
		Version:  &types.RuntimeVersion{Version: version, Revision: commit},
		Options:  given,
		Features: &anypb.Any{TypeUrl: featuresType, Value: features},
	}, nil
}
