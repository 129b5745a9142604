//go:build shim_tracing

package main

// With this tag, as with containerd's own shim, the shim sends the spans of its calls
// where the OTEL_ variables of its environment say. It takes too long at every start to
// be there by default.
import _ "github.com/containerd/containerd/v2/pkg/tracing/plugin"
