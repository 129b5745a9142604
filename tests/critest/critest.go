//go:build tools

// Package critest pins the CRI's conformance program, which `make cri-test`
// builds and runs.
package critest

import _ "sigs.k8s.io/cri-tools/cmd/critest"
