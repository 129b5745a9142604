package seccomp

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

const native = specs.ArchS390X

var archs = [...]architecture{
	{name: specs.ArchS390X, audit: unix.AUDIT_ARCH_S390X, wide: true, setup: true},
}
