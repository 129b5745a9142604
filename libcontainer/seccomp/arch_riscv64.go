package seccomp

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

const native = specs.ArchRISCV64

var archs = [...]architecture{
	{name: specs.ArchRISCV64, audit: unix.AUDIT_ARCH_RISCV64, wide: true},
}
