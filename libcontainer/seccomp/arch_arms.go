//go:build arm64 || arm

package seccomp

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// armPrivate is __ARM_NR_BASE (arch/arm/include/uapi/asm/unistd.h).
const armPrivate = 0x0f0000

var archs = [...]architecture{
	{name: specs.ArchAARCH64, audit: unix.AUDIT_ARCH_AARCH64, wide: true},
	{name: specs.ArchARM, audit: unix.AUDIT_ARCH_ARM, private: armPrivate},
}
