package spec

import (
	"fmt"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// SeccompProblem is one thing wrong with a profile.
type SeccompProblem struct {
	// Field is the place in config.json, such as
	// "linux.seccomp.syscalls[3].args[0].op".
	Field string
	// Message says what is wrong, and what is allowed.
	Message string
}

// SeccompAction is what a filter returns for an action.
type SeccompAction struct {
	Value uint32
	// MaxErrno is the largest errnoRet, or 0 if the action takes none. The
	// kernel replaces larger error numbers by MAX_ERRNO (seccomp(2)).
	MaxErrno uint
}

const maxErrno = 4095

// SeccompActions are the actions of a profile.
var SeccompActions = Table[SeccompAction]{
	{string(specs.ActKill), SeccompAction{unix.SECCOMP_RET_KILL_THREAD, 0}},
	{string(specs.ActKillProcess), SeccompAction{unix.SECCOMP_RET_KILL_PROCESS, 0}},
	{string(specs.ActKillThread), SeccompAction{unix.SECCOMP_RET_KILL_THREAD, 0}},
	{string(specs.ActTrap), SeccompAction{unix.SECCOMP_RET_TRAP, 0}},
	{string(specs.ActErrno), SeccompAction{unix.SECCOMP_RET_ERRNO, maxErrno}},
	{string(specs.ActTrace), SeccompAction{unix.SECCOMP_RET_TRACE, unix.SECCOMP_RET_DATA}},
	{string(specs.ActAllow), SeccompAction{unix.SECCOMP_RET_ALLOW, 0}},
	{string(specs.ActLog), SeccompAction{unix.SECCOMP_RET_LOG, 0}},
	{string(specs.ActNotify), SeccompAction{unix.SECCOMP_RET_USER_NOTIF, 0}},
}

// SeccompOperators are those that a condition may have.
var SeccompOperators = []specs.LinuxSeccompOperator{
	specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual, specs.OpEqualTo,
	specs.OpGreaterEqual, specs.OpGreaterThan, specs.OpMaskedEqual,
}

// SeccompFlags are those of linux.seccomp.flags, and the bits of seccomp(2). The
// specification names TSYNC without having a constant for it.
var SeccompFlags = Table[uint64]{
	{"SECCOMP_FILTER_FLAG_TSYNC", unix.SECCOMP_FILTER_FLAG_TSYNC},
	{string(specs.LinuxSeccompFlagLog), unix.SECCOMP_FILTER_FLAG_LOG},
	{string(specs.LinuxSeccompFlagSpecAllow), unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW},
	{string(specs.LinuxSeccompFlagWaitKillableRecv), unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV},
}

// SeccompArchitectures are those that a profile may name, whatever the machine.
var SeccompArchitectures = []specs.Arch{
	specs.ArchX86, specs.ArchX86_64, specs.ArchX32, specs.ArchARM, specs.ArchAARCH64,
	specs.ArchMIPS, specs.ArchMIPS64, specs.ArchMIPS64N32,
	specs.ArchMIPSEL, specs.ArchMIPSEL64, specs.ArchMIPSEL64N32,
	specs.ArchPPC, specs.ArchPPC64, specs.ArchPPC64LE, specs.ArchS390, specs.ArchS390X,
	specs.ArchPARISC, specs.ArchPARISC64, specs.ArchRISCV64, specs.ArchLOONGARCH64,
	specs.ArchM68K, specs.ArchSH, specs.ArchSHEB,
}

// SyscallArguments is the number of a system call's arguments.
const SyscallArguments = 6

// seccompChecker collects what is wrong with a profile.
type seccompChecker struct{ problems []SeccompProblem }

func (c *seccompChecker) add(field, format string, args ...any) {
	c.problems = append(c.problems, SeccompProblem{"linux.seccomp" + field, fmt.Sprintf(format, args...)})
}

// CheckSeccomp reports everything that is wrong with linux.seccomp, in the order of its
// fields: config-linux.md, "Seccomp".
func CheckSeccomp(profile *specs.LinuxSeccomp) []SeccompProblem {
	c := &seccompChecker{}
	c.defaultAction(profile)
	for i, arch := range profile.Architectures {
		if !slices.Contains(SeccompArchitectures, arch) {
			c.add(fmt.Sprintf(".architectures[%d]", i), "%q is not an architecture; known are %s",
				arch, strings.Join(namesOf(SeccompArchitectures), ", "))
		}
	}
	for i, name := range profile.Flags {
		if !known(SeccompFlags, string(name)) {
			c.add(fmt.Sprintf(".flags[%d]", i), "%q is not a flag; known are %s",
				name, strings.Join(SeccompFlags.Names(), ", "))
		}
	}
	c.listener(profile)
	for i := range profile.Syscalls {
		c.rule(i, &profile.Syscalls[i])
	}
	return c.problems
}

// defaultAction: if every call of the process waited for an agent, it could not even send
// the agent its descriptor. runc refuses the action, too.
func (c *seccompChecker) defaultAction(profile *specs.LinuxSeccomp) {
	if profile.DefaultAction == "" {
		c.add(".defaultAction", "missing; it is required: use one of %s", strings.Join(SeccompActions.Names(), ", "))
		return
	}
	c.action(profile.DefaultAction, profile.DefaultErrnoRet, ".defaultAction", ".defaultErrnoRet")
	if profile.DefaultAction == specs.ActNotify {
		c.add(".defaultAction", "%s cannot be the default: nothing could send the listener to the agent", specs.ActNotify)
	}
}

func (c *seccompChecker) action(name specs.LinuxSeccompAction, errnoRet *uint, field, errnoField string) {
	a, ok := SeccompActions.Find(string(name))
	switch {
	case !ok:
		c.add(field, "%q is not an action; known are %s", name, strings.Join(SeccompActions.Names(), ", "))
	case errnoRet == nil:
	case a.MaxErrno == 0:
		c.add(errnoField, "%s takes no error number; only %s and %s do", name, specs.ActErrno, specs.ActTrace)
	case *errnoRet > a.MaxErrno:
		c.add(errnoField, "%d is too large for %s; the largest is %d", *errnoRet, name, a.MaxErrno)
	}
}

func (c *seccompChecker) listener(profile *specs.LinuxSeccomp) {
	if profile.ListenerPath != "" {
		return
	}
	if profile.ListenerMetadata != "" {
		c.add(".listenerMetadata", "must not be set without listenerPath")
	}
	if SeccompNotifies(profile) {
		c.add(".listenerPath", "missing; a rule with %s needs it", specs.ActNotify)
	}
}

// SeccompNotifies tells whether a profile needs an agent.
func SeccompNotifies(profile *specs.LinuxSeccomp) bool {
	return slices.ContainsFunc(profile.Syscalls, func(s specs.LinuxSyscall) bool {
		return s.Action == specs.ActNotify
	})
}

func (c *seccompChecker) rule(i int, rule *specs.LinuxSyscall) {
	if !known(SeccompActions, string(rule.Action)) || rule.ErrnoRet != nil {
		field := fmt.Sprintf(".syscalls[%d]", i)
		c.action(rule.Action, rule.ErrnoRet, field+".action", field+".errnoRet")
	}
	if len(rule.Names) == 0 {
		c.add(fmt.Sprintf(".syscalls[%d].names", i), "empty; a rule needs at least one name")
	}
	for j, name := range rule.Names {
		switch {
		case name == "":
			c.add(fmt.Sprintf(".syscalls[%d].names[%d]", i, j), "empty; it must be the name of a system call")
		case name == "write" && rule.Action == specs.ActNotify:
			// The calls that announce the listener must not wait for it. runc has the same
			// limit.
			c.add(fmt.Sprintf(".syscalls[%d].names[%d]", i, j), "%s cannot be used for write: "+
				"the process needs it before the listener has been handed over", specs.ActNotify)
		}
	}
	for j, arg := range rule.Args {
		c.arg(i, j, arg)
	}
}

func (c *seccompChecker) arg(i, j int, arg specs.LinuxSeccompArg) {
	if arg.Index >= SyscallArguments {
		c.add(fmt.Sprintf(".syscalls[%d].args[%d].index", i, j),
			"%d is too large; system calls have the arguments 0 to %d", arg.Index, SyscallArguments-1)
	}
	if !slices.Contains(SeccompOperators, arg.Op) {
		c.add(fmt.Sprintf(".syscalls[%d].args[%d].op", i, j),
			"%q is not an operator; known are %s", arg.Op, strings.Join(namesOf(SeccompOperators), ", "))
	}
}

func known[T any](t Table[T], name string) bool {
	_, ok := t.Find(name)
	return ok
}

func namesOf[N ~string](table []N) []string {
	list := make([]string, len(table))
	for i, name := range table {
		list[i] = string(name)
	}
	return list
}
