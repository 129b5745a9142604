package seccomp

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/seccomp/simulate"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

const (
	allow  = unix.SECCOMP_RET_ALLOW
	kill   = unix.SECCOMP_RET_KILL_THREAD
	eperm  = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	enosys = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)

	x86_64 = unix.AUDIT_ARCH_X86_64
	i386   = unix.AUDIT_ARCH_I386
)

// testX86 is a machine with tables that the tests can be read against.
var testX86 = machine{
	native: specs.ArchX86_64,
	archs: []architecture{
		{name: specs.ArchX86_64, audit: x86_64, wide: true},
		{name: specs.ArchX32, audit: x86_64, base: 0x40000000},
		{name: specs.ArchX86, audit: i386},
	},
	syscalls: []syscall{
		{"ioctl", [maxArchs]int32{16, 514, 54}},
		{"ipc", [maxArchs]int32{-1, -1, 117}},
		{"listns", [maxArchs]int32{470, 470, 470}},
		{"read", [maxArchs]int32{0, 0, 3}},
		{"shmget", [maxArchs]int32{29, 29, 395}},
		{"socket", [maxArchs]int32{41, 41, 359}},
		{"socketcall", [maxArchs]int32{-1, -1, 102}},
		{"umount", [maxArchs]int32{-1, -1, 22}},
		{"write", [maxArchs]int32{1, 1, 4}},
	},
}

var allX86 = []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32}

func rule1(action specs.LinuxSeccompAction, names string, args ...specs.LinuxSeccompArg) specs.LinuxSyscall {
	return specs.LinuxSyscall{Names: strings.Fields(names), Action: action, Args: args}
}

func arg(index uint, op specs.LinuxSeccompOperator, value uint64, second ...uint64) specs.LinuxSeccompArg {
	a := specs.LinuxSeccompArg{Index: index, Op: op, Value: value}
	if len(second) > 0 {
		a.ValueTwo = second[0]
	}
	return a
}

// decision is a call and what the filter must say.
type decision struct {
	arch   uint32
	number uint32
	args   []uint64
	want   uint32
}

func check(t *testing.T, p *specs.LinuxSeccomp, decisions []decision) *Filter {
	t.Helper()
	f, err := testX86.compile(p)
	if err != nil {
		t.Fatal(err)
	}
	filter := program(t, f, binary.LittleEndian)
	for _, d := range decisions {
		data := &simulate.Data{Arch: d.arch, Number: int32(d.number)}
		copy(data.Args[:], d.args)
		if got, _ := filter.Run(data); got != d.want {
			t.Errorf("arch %#x number %#x args %#x: %#x, want %#x", d.arch, d.number, d.args, got, d.want)
		}
	}
	return f
}

func TestOperatorsCompare64Bits(t *testing.T) {
	values := []uint64{0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x100000001,
		0x1ffffffff, 0x8000000000000000, math.MaxUint64 - 1, math.MaxUint64}
	for _, op := range spec.SeccompOperators {
		for _, value := range values {
			p := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{
				rule1(specs.ActAllow, "ioctl", arg(1, op, value, 0x100000001)),
			}}
			var decisions []decision
			for _, v := range values {
				for _, a := range []uint64{v - 1, v, v + 1} {
					want := eperm
					if holds(op, a, value, 0x100000001) {
						want = allow
					}
					decisions = append(decisions, decision{x86_64, 16, []uint64{0, a}, want})
				}
			}
			t.Run(fmt.Sprintf("%s %#x", op, value), func(t *testing.T) { check(t, p, decisions) })
		}
	}
}

func TestWhichRuleDecides(t *testing.T) {
	one, two := arg(0, specs.OpEqualTo, 1), arg(0, specs.OpEqualTo, 2)
	for _, test := range []struct {
		name  string
		rules []specs.LinuxSyscall
		want  [3]uint32 // for a first argument of 0, 1, 2
	}{
		{"default", nil, [3]uint32{eperm, eperm, eperm}},
		{"first of two", []specs.LinuxSyscall{
			rule1(specs.ActAllow, "write"), rule1(specs.ActTrap, "write"),
		}, [3]uint32{allow, allow, allow}},
		{"unconditional after conditional", []specs.LinuxSyscall{
			rule1(specs.ActTrap, "write", one), rule1(specs.ActAllow, "write"),
		}, [3]uint32{allow, allow, allow}},
		{"first that holds", []specs.LinuxSyscall{
			rule1(specs.ActTrap, "write", one), rule1(specs.ActAllow, "write", arg(0, specs.OpLessEqual, 1)),
		}, [3]uint32{allow, unix.SECCOMP_RET_TRAP, eperm}},
		{"rules with the default action are ignored", []specs.LinuxSyscall{
			rule1(specs.ActErrno, "write", one), rule1(specs.ActAllow, "write"),
		}, [3]uint32{allow, allow, allow}},
		{"one argument twice: one is enough", []specs.LinuxSyscall{
			rule1(specs.ActAllow, "write", one, two),
		}, [3]uint32{eperm, allow, allow}},
		{"several arguments: all", []specs.LinuxSyscall{
			rule1(specs.ActAllow, "write", one, arg(1, specs.OpEqualTo, 1)),
		}, [3]uint32{eperm, eperm, eperm}},
		{"mask 0 is no condition", []specs.LinuxSyscall{
			rule1(specs.ActAllow, "write", arg(0, specs.OpMaskedEqual, 0, 7)),
		}, [3]uint32{allow, allow, allow}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: test.rules}
			var decisions []decision
			for i, want := range test.want {
				decisions = append(decisions, decision{x86_64, 1, []uint64{uint64(i)}, want})
			}
			check(t, p, decisions)
		})
	}
}

func TestArchitectures(t *testing.T) {
	p := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{rule1(specs.ActAllow, "ioctl")}}
	check(t, p, []decision{ // the native one is always covered
		{x86_64, 16, nil, allow}, {x86_64, 15, nil, eperm}, {i386, 54, nil, kill}, {0, 16, nil, kill},
		{x86_64, 0x40000000 + 514, nil, kill}, {x86_64, 0x40000010, nil, kill},
		{x86_64, math.MaxUint32, nil, eperm}, {x86_64, math.MaxUint32 - 1, nil, kill},
	})
	p.Architectures = allX86
	check(t, p, []decision{
		{x86_64, 16, nil, allow}, {i386, 54, nil, allow}, {i386, 16, nil, eperm}, {1, 16, nil, kill},
		{x86_64, 0x40000000 + 514, nil, allow}, {x86_64, 0x40000010, nil, eperm},
		{x86_64, math.MaxUint32, nil, enosys},
	})
	p.Architectures = []specs.Arch{specs.ArchX32, specs.ArchAARCH64, specs.ArchS390}
	f := check(t, p, []decision{
		{x86_64, 16, nil, allow}, {i386, 54, nil, kill}, {x86_64, 0x40000000 + 514, nil, allow},
	})
	if len(f.Warnings) != 2 || !strings.HasPrefix(f.Warnings[0], "linux.seccomp.architectures[1]: ") {
		t.Errorf("warnings %q", f.Warnings)
	}
}

func TestUnknownCallsGetENOSYS(t *testing.T) {
	for _, test := range []struct {
		action specs.LinuxSeccompAction
		want   uint32
	}{
		{specs.ActErrno, enosys}, {specs.ActKill, enosys}, {specs.ActKillProcess, enosys},
		{specs.ActKillThread, enosys}, {specs.ActTrap, enosys},
		{specs.ActLog, unix.SECCOMP_RET_LOG}, {specs.ActTrace, unix.SECCOMP_RET_TRACE | 1},
		{specs.ActAllow, allow},
	} {
		p := &specs.LinuxSeccomp{DefaultAction: test.action, Syscalls: []specs.LinuxSyscall{
			rule1(specs.ActErrno, "write"), rule1(test.action, "ioctl"), // redundant, but it counts
		}}
		check(t, p, []decision{
			{x86_64, 15, nil, result(test.action, nil)}, {x86_64, 16, nil, result(test.action, nil)},
			{x86_64, 17, nil, test.want}, {x86_64, 0x3fffffff, nil, test.want}, {x86_64, 0x40000000, nil, kill},
		})
	}
	only := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Architectures: allX86,
		Syscalls: []specs.LinuxSyscall{rule1(specs.ActAllow, "umount no_such_call")}}
	f := check(t, only, []decision{{i386, 23, nil, enosys}, {x86_64, 500, nil, eperm}, {x86_64, 0x40000000 + 600, nil, eperm}})
	if len(f.Unknown) != 1 || f.Unknown[0] != "no_such_call" {
		t.Errorf("unknown names %q", f.Unknown)
	}
}

func TestMultiplexedCalls(t *testing.T) {
	p := &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Architectures: allX86, Syscalls: []specs.LinuxSyscall{
		rule1(specs.ActErrno, "socket", arg(0, specs.OpEqualTo, 40)), rule1(specs.ActErrno, "shmget"),
	}}
	f := check(t, p, []decision{
		{i386, 359, []uint64{40}, eperm}, {i386, 359, []uint64{1}, allow}, {i386, 395, nil, eperm},
		{i386, 102, []uint64{1}, eperm}, {i386, 102, []uint64{2}, allow},
		{i386, 117, []uint64{23}, eperm}, {i386, 117, []uint64{0x10017}, eperm}, {i386, 117, []uint64{24}, allow},
		{x86_64, 102, []uint64{1}, allow},
	})
	if len(f.Warnings) != 1 || !strings.HasPrefix(f.Warnings[0], "linux.seccomp.syscalls[0].args: ") {
		t.Errorf("warnings %q", f.Warnings)
	}
}

// TestLongJumps has more conditions than a conditional jump can skip.
func TestLongJumps(t *testing.T) {
	p := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Architectures: allX86}
	var decisions []decision
	for i := range uint64(300) {
		p.Syscalls = append(p.Syscalls, rule1(specs.ActAllow, "ioctl write",
			arg(0, specs.OpEqualTo, i<<32|i), arg(1, specs.OpGreaterThan, i)))
		decisions = append(decisions, decision{x86_64, 16, []uint64{i<<32 | i, i + 1}, allow},
			decision{x86_64, 1, []uint64{i<<32 | i, i}, eperm}, decision{i386, 4, []uint64{i, i + 1}, allow})
	}
	if f := check(t, p, decisions); len(f.Instructions) < 1000 {
		t.Errorf("only %d instructions: the test is pointless", len(f.Instructions))
	}
}

// What the kernel would not take is found out soon, and so are rules of which many
// say the same.
func TestManyRules(t *testing.T) {
	const n = 100_000
	began := time.Now()
	p := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno}
	for i := range uint64(n) {
		p.Syscalls = append(p.Syscalls, rule1(specs.ActAllow, "ioctl", arg(0, specs.OpEqualTo, i%1000), arg(1, specs.OpEqualTo, i)))
	}
	if _, err := testX86.compile(p); err == nil || !strings.Contains(err.Error(), "the kernel allows 4096") {
		t.Errorf("error %v", err)
	}
	for i := range p.Syscalls {
		p.Syscalls[i].Args = []specs.LinuxSeccompArg{arg(0, specs.OpEqualTo, uint64(i%100))}
	}
	p.Syscalls[0].Names = slices.Repeat(p.Syscalls[0].Names, n)
	if _, err := testX86.compile(p); err != nil {
		t.Error(err)
	}
	p.Syscalls = []specs.LinuxSyscall{rule1(specs.ActAllow, "ioctl")}
	for i := range uint64(n) {
		p.Syscalls[0].Args = append(p.Syscalls[0].Args, arg(0, specs.OpEqualTo, i%100))
	}
	if _, err := testX86.compile(p); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it takes %v", took)
	}
}

func TestTooLarge(t *testing.T) {
	p := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno}
	for i := range uint64(1000) {
		p.Syscalls = append(p.Syscalls, rule1(specs.ActAllow, "ioctl", arg(0, specs.OpGreaterThan, i<<32|i), arg(1, specs.OpEqualTo, 1)))
	}
	_, err := testX86.compile(p)
	if err == nil || !strings.Contains(err.Error(), "the kernel allows 4096") {
		t.Errorf("error %v", err)
	}
}
