package seccomp

import (
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/seccomp/simulate"
	"golang.org/x/sys/unix"
)

const (
	lastKnown = 456 // futex_requeue, the newest call of Debian's libseccomp 2.5.4
	listns    = 470 // the newest of the calls below
)

func namesNewer(p *specs.LinuxSeccomp) bool {
	return slices.ContainsFunc(p.Syscalls, func(s specs.LinuxSyscall) bool {
		return slices.ContainsFunc(s.Names, func(name string) bool {
			return slices.Contains(newer, name)
		})
	})
}

// newer are calls that libseccomp 2.5.4 does not know.
var newer = []string{"mseal", "setxattrat", "listns", "uretprobe"}

// Two have numbers between older ones. The second libseccomp does not know on
// x32 only.
const (
	uretprobe           = 335
	mapShadowStackOfX32 = x32Bit | 453
)

// explain names the reason of a difference, if it is one of those that are
// meant. Each is as narrow as it can be.
func explain(b *pair, d *simulate.Data, rt, runc uint32) string {
	number := uint32(d.Number)
	switch {
	case namesNewer(b.profile) && number&^x32Bit <= listns && (b.stub.hit(d) || number&^x32Bit > lastKnown || number&^x32Bit == uretprobe || number == mapShadowStackOfX32):
		// libseccomp skips the name; runc's largest number is smaller.
		return "calls newer than libseccomp 2.5.4"
	case d.Arch == unix.AUDIT_ARCH_X86_64 && number>>30 == 2 && !b.lists(specs.ArchX32):
		// Without x32 in the profile rt treats all numbers from 0x40000000 on
		// alike. runc's prologue tests bit 30 and takes these for numbers of
		// x86_64. No kernel has calls here.
		if rt == unix.SECCOMP_RET_KILL_THREAD && runc == noSuchCall {
			return "x86_64 numbers 0x80000000 to 0xbfffffff"
		}
	case d.Arch == unix.AUDIT_ARCH_I386 && (number == i386ipc || number == i386socketcall):
		if why := b.explainMultiplexed(d, rt); why != "" {
			return why
		}
	}
	if b.tangled(d) {
		return "libseccomp's tree of several rules with several conditions"
	}
	return ""
}

// explainMultiplexed has two reasons. libseccomp keeps conditions on all but
// the first argument of, say, bind, and applies them to the arguments of
// socketcall, where they mean nothing; rt drops them. And rt ignores the version
// in the upper half of ipc's first argument, as the kernel does. Without both,
// rt and libseccomp must agree.
func (b *pair) explainMultiplexed(d *simulate.Data, rt uint32) string {
	plain := *d
	if d.Number == i386ipc {
		plain.Args[0] &= 0xffff
	}
	if _, lib := b.decide(&plain); lib == rt {
		return "ipc(2) with a version"
	}
	if b.plain == nil {
		b.plain, _ = compile(withoutMultiplexed(b.profile))
	}
	if b.plain != nil {
		if _, lib := b.plain.decide(&plain); lib == rt {
			return "conditions of a multiplexed call"
		}
	}
	return ""
}

// withoutMultiplexed is a profile without conditions of the calls that
// socketcall and ipc can make.
func withoutMultiplexed(p *specs.LinuxSeccomp) *specs.LinuxSeccomp {
	q := *p
	q.Syscalls = slices.Clone(p.Syscalls)
	for i, s := range q.Syscalls {
		if multiplexer(s.Names[0]) != 0 {
			q.Syscalls[i].Args = nil
		}
	}
	return &q
}

func (b *pair) lists(arch specs.Arch) bool { return slices.Contains(b.profile.Architectures, arch) }

// tangled: libseccomp merges the rules for one call into one tree of
// comparisons. With several rules, one of which has more than a test for
// equality, it does not always go on to the next rule when only the first
// condition of one holds. rt's decision is that of the profile read rule by
// rule: libcontainer/seccomp tests that.
func (b *pair) tangled(d *simulate.Data) bool {
	if b.tangledCalls == nil {
		b.tangledCalls = tangledCalls(b.profile)
	}
	return b.tangledCalls[call{d.Arch, uint32(d.Number)}]
}

type call struct{ audit, number uint32 }

func tangledCalls(p *specs.LinuxSeccomp) map[call]bool {
	count, complicated := map[call]int{}, map[call]bool{}
	note := func(c call, args []specs.LinuxSeccompArg) {
		count[c]++
		if repeated(args) {
			count[c] += len(args) // each condition becomes a rule
		}
		if len(args) > 1 || len(args) == 1 && args[0].Op != specs.OpEqualTo {
			complicated[c] = true
		}
	}
	for _, s := range p.Syscalls {
		for _, name := range s.Names {
			for arch, audit := range map[specs.Arch]uint32{
				specs.ArchX86_64: unix.AUDIT_ARCH_X86_64, specs.ArchX32: unix.AUDIT_ARCH_X86_64,
				specs.ArchX86: unix.AUDIT_ARCH_I386,
			} {
				number, ok := resolve(name, arch)
				switch {
				case ok && number >= 0:
					note(call{audit, uint32(number)}, s.Args)
				case arch == specs.ArchX86 && multiplexer(name) != 0:
					note(call{audit, uint32(multiplexer(name))}, nil)
				}
				if direct, ok := onI386[name]; ok && arch == specs.ArchX86 {
					note(call{audit, direct}, s.Args)
				}
			}
		}
	}
	for c := range complicated {
		complicated[c] = count[c] > 1
	}
	return complicated
}
