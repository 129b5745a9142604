package seccomp

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

const native = specs.ArchPPC64

var archs = [...]architecture{
	{name: specs.ArchPPC64, audit: unix.AUDIT_ARCH_PPC64, wide: true},
	{name: specs.ArchPPC, audit: unix.AUDIT_ARCH_PPC},
}
