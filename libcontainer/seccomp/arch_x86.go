//go:build amd64 || 386

package seccomp

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// x32Bit marks the numbers of x32 (arch/x86/include/uapi/asm/unistd.h,
// __X32_SYSCALL_BIT); its seccomp_data.arch is that of x86_64.
const x32Bit = 0x40000000

var archs = [...]architecture{
	{name: specs.ArchX86_64, audit: unix.AUDIT_ARCH_X86_64, wide: true},
	{name: specs.ArchX32, audit: unix.AUDIT_ARCH_X86_64, base: x32Bit},
	{name: specs.ArchX86, audit: unix.AUDIT_ARCH_I386},
}
