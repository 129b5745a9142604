package seccomp

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// action is an action's value for a filter to return.
type action struct {
	name  specs.LinuxSeccompAction
	value uint32
	// maxData is the largest errnoRet, or 0 if the action takes none. The
	// kernel replaces larger error numbers by MAX_ERRNO (seccomp(2)).
	maxData uint
}

const maxErrno = 4095

var actions = [...]action{
	{specs.ActKill, unix.SECCOMP_RET_KILL_THREAD, 0},
	{specs.ActKillProcess, unix.SECCOMP_RET_KILL_PROCESS, 0},
	{specs.ActKillThread, unix.SECCOMP_RET_KILL_THREAD, 0},
	{specs.ActTrap, unix.SECCOMP_RET_TRAP, 0},
	{specs.ActErrno, unix.SECCOMP_RET_ERRNO, maxErrno},
	{specs.ActTrace, unix.SECCOMP_RET_TRACE, unix.SECCOMP_RET_DATA},
	{specs.ActAllow, unix.SECCOMP_RET_ALLOW, 0},
	{specs.ActLog, unix.SECCOMP_RET_LOG, 0},
	{specs.ActNotify, unix.SECCOMP_RET_USER_NOTIF, 0},
}

const (
	// badArch is what libseccomp returns for architectures that are not in
	// the filter, unless its user chooses another action (seccomp_attr_set(3),
	// SCMP_FLTATR_ACT_BADARCH); runc does not.
	badArch = unix.SECCOMP_RET_KILL_THREAD

	noSuchCall = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
)

func findAction(name specs.LinuxSeccompAction) *action {
	for i := range actions {
		if actions[i].name == name {
			return &actions[i]
		}
	}
	return nil
}

// result is the value that a filter returns for an action of a profile. Both
// actions that carry data have EPERM as their default.
func result(name specs.LinuxSeccompAction, errnoRet *uint) uint32 {
	a := findAction(name)
	switch {
	case a.maxData == 0:
		return a.value
	case errnoRet == nil:
		return a.value | uint32(unix.EPERM)
	}
	return a.value | uint32(*errnoRet)
}

// permissive says that a default action leaves calls that the profile cannot
// know to somebody who can answer for himself: the kernel or a tracer.
func permissive(value uint32) bool {
	switch value & unix.SECCOMP_RET_ACTION_FULL {
	case unix.SECCOMP_RET_ALLOW, unix.SECCOMP_RET_LOG, unix.SECCOMP_RET_TRACE:
		return true
	}
	return false
}

var operators = [...]specs.LinuxSeccompOperator{
	specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual, specs.OpEqualTo,
	specs.OpGreaterEqual, specs.OpGreaterThan, specs.OpMaskedEqual,
}

type flag struct {
	name  specs.LinuxSeccompFlag
	value uint64
}

// The specification names TSYNC without having a constant for it.
var flags = [...]flag{
	{"SECCOMP_FILTER_FLAG_TSYNC", unix.SECCOMP_FILTER_FLAG_TSYNC},
	{specs.LinuxSeccompFlagLog, unix.SECCOMP_FILTER_FLAG_LOG},
	{specs.LinuxSeccompFlagSpecAllow, unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW},
	{specs.LinuxSeccompFlagWaitKillableRecv, unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV},
}

// knownArchs are the architectures that a profile may name, whatever the
// machine.
var knownArchs = [...]specs.Arch{
	specs.ArchX86, specs.ArchX86_64, specs.ArchX32, specs.ArchARM, specs.ArchAARCH64,
	specs.ArchMIPS, specs.ArchMIPS64, specs.ArchMIPS64N32,
	specs.ArchMIPSEL, specs.ArchMIPSEL64, specs.ArchMIPSEL64N32,
	specs.ArchPPC, specs.ArchPPC64, specs.ArchPPC64LE, specs.ArchS390, specs.ArchS390X,
	specs.ArchPARISC, specs.ArchPARISC64, specs.ArchRISCV64, specs.ArchLOONGARCH64,
	specs.ArchM68K, specs.ArchSH, specs.ArchSHEB,
}

// Actions lists the actions that a profile may name, for `rt features`.
func Actions() []string {
	return names(actions[:], func(a action) specs.LinuxSeccompAction { return a.name })
}

// Operators lists the operators that a condition may have.
func Operators() []string {
	return names(operators[:], func(o specs.LinuxSeccompOperator) specs.LinuxSeccompOperator { return o })
}

// Flags lists the flags that a profile may have.
func Flags() []string {
	return names(flags[:], func(f flag) specs.LinuxSeccompFlag { return f.name })
}

// Architectures lists the architectures whose system calls a filter can tell
// apart on this machine. A profile may name others: see Compile.
func Architectures() []string {
	return names(thisMachine().archs, func(a architecture) specs.Arch { return a.name })
}

func names[T any, N ~string](table []T, name func(T) N) []string {
	list := make([]string, len(table))
	for i, entry := range table {
		list[i] = string(name(entry))
	}
	return list
}
