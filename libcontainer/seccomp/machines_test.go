package seccomp

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// fakeS390 and fakeARM have a few calls of machines that the test does not run
// on: big-endian arguments and setup(2), and private numbers.
var fakeS390 = machine{
	native:    specs.ArchS390X,
	bigEndian: true,
	archs:     []architecture{{name: specs.ArchS390X, audit: unix.AUDIT_ARCH_S390X, wide: true, setup: true}},
	syscalls: []syscall{
		{"bind", [maxArchs]int32{361, -1, -1}},
		{"ipc", [maxArchs]int32{117, -1, -1}},
		{"openat", [maxArchs]int32{288, -1, -1}},
		{"setup", [maxArchs]int32{0, -1, -1}},
		{"shmget", [maxArchs]int32{395, -1, -1}},
		{"socket", [maxArchs]int32{359, -1, -1}},
		{"socketcall", [maxArchs]int32{102, -1, -1}},
		{"write", [maxArchs]int32{4, -1, -1}},
	},
}

var fakeARM = machine{
	native: specs.ArchAARCH64,
	archs: []architecture{
		{name: specs.ArchAARCH64, audit: unix.AUDIT_ARCH_AARCH64, wide: true},
		{name: specs.ArchARM, audit: unix.AUDIT_ARCH_ARM, private: 0x0f0000},
	},
	syscalls: []syscall{
		{"cacheflush", [maxArchs]int32{-1, 0x0f0002, -1}},
		{"ioctl", [maxArchs]int32{29, 54, -1}},
		{"openat", [maxArchs]int32{56, 322, -1}},
		{"set_tls", [maxArchs]int32{-1, 0x0f0005, -1}},
		{"write", [maxArchs]int32{64, 4, -1}},
	},
}
