package main

import (
	"encoding/json"
	"io"

	"github.com/containerd/containerd/api/types"
	containerdversion "github.com/containerd/containerd/version"
	"github.com/rtcontainers/rt/libcontainer/seccomp"
	"github.com/rtcontainers/rt/spec"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// version and commit are set by the linker.
var version, commit = "unknown", ""

// setVersion makes containerd's package print the shim's version.
func setVersion() {
	containerdversion.Package = "github.com/rtcontainers/rt"
	containerdversion.Version, containerdversion.Revision = version, commit
}

// featuresType is how containerd calls the document of features.md.
const featuresType = "types.containerd.io/opencontainers/runtime-spec/1/features/Features"

// writeInfo answers containerd 2's question what the shim is and can do, with the
// options that it would be given.
func writeInfo(w io.Writer, options io.Reader) error {
	data, err := io.ReadAll(options)
	if err != nil {
		return err
	}
	given, err := readMessage(data)
	if err == nil {
		_, err = parseOptions(given)
	}
	if err != nil {
		return err
	}
	if len(data) == 0 {
		given = nil
	}
	features, err := json.Marshal(spec.Features(nil, seccomp.Architectures()))
	if err != nil {
		return err
	}
	info, err := proto.Marshal(&types.RuntimeInfo{
		Name:     runtimeName,
		Version:  &types.RuntimeVersion{Version: version, Revision: commit},
		Options:  given,
		Features: &anypb.Any{TypeUrl: featuresType, Value: features},
	})
	if err != nil {
		return err
	}
	_, err = w.Write(info)
	return err
}
