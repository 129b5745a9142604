//go:build tools

// Package critest pins the CRI's conformance program and its client, which `make
// cri-test` builds and runs.
package critest

import (
	_ "sigs.k8s.io/cri-tools/cmd/crictl"
	_ "sigs.k8s.io/cri-tools/cmd/critest"
)
