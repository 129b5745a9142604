//go:build mipsle || mips64le

package seccomp

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// n32 is missing: golang.org/x/sys has no table of it. Its calls meet the
// action for unlisted architectures.
var archs = [...]architecture{
	{name: specs.ArchMIPSEL64, audit: unix.AUDIT_ARCH_MIPSEL64, wide: true},
	{name: specs.ArchMIPSEL, audit: unix.AUDIT_ARCH_MIPSEL},
}
