package seccomp

import (
	"encoding/binary"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

//go:generate go run ./internal/gen

// maxArchs is the largest number of system call tables that one kernel has
// (x86_64, i386 and x32).
const maxArchs = 3

// architecture is one system call table of a kernel.
type architecture struct {
	name specs.Arch
	// audit is the AUDIT_ARCH_ value that seccomp_data.arch has.
	audit uint32
	// base is added to the table's numbers. The range of numbers up to the
	// next architecture with the same audit value belongs to this one.
	base uint32
	// wide says that arguments are compared with all of their 64 bits.
	// libseccomp looks at the lower half only on 32-bit architectures and on
	// x32, and so does rt: the kernel ignores the upper one, or nearly.
	wide bool
	// private, if not zero, is where numbers begin that lie outside of the
	// table and do not count as its largest number.
	private uint32
	// setup says that number 0, setup(2), is what the kernel reports for
	// numbers that it does not know (s390).
	setup bool
}

// machine is what Compile needs to know of a machine.
type machine struct {
	archs     []architecture // grouped by audit, ascending by base
	native    specs.Arch
	syscalls  []syscall // sorted by name
	bigEndian bool
}

// thisMachine is what rt was built for. It is not a variable: the slices would
// have to be made at every start of the program.
func thisMachine() *machine {
	return &machine{
		archs: archs[:], native: native, syscalls: syscalls[:],
		bigEndian: binary.NativeEndian.Uint16([]byte{0, 1}) == 1,
	}
}

// syscall is a name with its number in each of the machine's architectures,
// in their order, without their base. -1: does not exist there.
type syscall struct {
	name    string
	numbers [maxArchs]int32
}

// lookup finds the numbers of a name, or returns nil.
func (m *machine) lookup(name string) *[maxArchs]int32 {
	i, found := slices.BinarySearchFunc(m.syscalls, name, func(s syscall, name string) int {
		return strings.Compare(s.name, name)
	})
	if !found {
		return nil
	}
	return &m.syscalls[i].numbers
}

// number is the number of a name in the architecture with this index.
func (m *machine) number(name string, arch int) (uint32, bool) {
	if numbers := m.lookup(name); numbers != nil && numbers[arch] >= 0 {
		return m.archs[arch].base + uint32(numbers[arch]), true
	}
	return 0, false
}

// listed says for each architecture of the machine whether the profile covers
// it. The native one always is, as with libseccomp.
func (m *machine) listed(profile *specs.LinuxSeccomp) (listed [maxArchs]bool) {
	for i, a := range m.archs {
		listed[i] = a.name == m.native || slices.Contains(profile.Architectures, a.name)
	}
	return listed
}

func (m *machine) has(name specs.Arch) bool {
	return slices.ContainsFunc(m.archs, func(a architecture) bool { return a.name == name })
}
