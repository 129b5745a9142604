package seccomp

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

const native = specs.ArchPPC64LE

var archs = [...]architecture{
	{name: specs.ArchPPC64LE, audit: unix.AUDIT_ARCH_PPC64LE, wide: true},
}
