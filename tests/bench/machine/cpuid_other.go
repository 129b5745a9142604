//go:build !amd64

package machine

import "time"

// cpuid is an instruction of amd64 only.
func cpuid() (time.Duration, error) { return 0, nil }
