package seccomp

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

const maxArgs = spec.SyscallArguments

const (
	// badArch is what libseccomp returns for architectures that are not in
	// the filter, unless its user chooses another action (seccomp_attr_set(3),
	// SCMP_FLTATR_ACT_BADARCH); runc does not.
	badArch = unix.SECCOMP_RET_KILL_THREAD

	noSuchCall = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
)

// result is the value that a filter returns for an action of a profile. Both
// actions that carry data have EPERM as their default.
func result(name specs.LinuxSeccompAction, errnoRet *uint) uint32 {
	a, _ := spec.SeccompActions.Find(string(name))
	switch {
	case a.MaxErrno == 0:
		return a.Value
	case errnoRet == nil:
		return a.Value | uint32(unix.EPERM)
	}
	return a.Value | uint32(*errnoRet)
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

// Architectures lists the architectures whose system calls a filter can tell
// apart on this machine. A profile may name others: see Compile.
func Architectures() []string {
	var names []string
	for _, a := range thisMachine().archs {
		names = append(names, string(a.name))
	}
	return names
}
