//go:build mips || mips64

package seccomp

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// n32 is missing: golang.org/x/sys has no table of it. Its calls meet the
// action for unlisted architectures.
var archs = [...]architecture{
	{name: specs.ArchMIPS64, audit: unix.AUDIT_ARCH_MIPS64, wide: true},
	{name: specs.ArchMIPS, audit: unix.AUDIT_ARCH_MIPS},
}
