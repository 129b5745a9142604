package seccomp

import (
	"encoding/binary"
	"fmt"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/seccomp/simulate"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// MaxInstructions is the kernel's limit for one filter (BPF_MAXINSNS).
const MaxInstructions = 4096

// Filter is a compiled profile.
type Filter struct {
	// Instructions is the program for seccomp(SECCOMP_SET_MODE_FILTER).
	Instructions []unix.SockFilter
	// Flags are that call's flags (SECCOMP_FILTER_FLAG_*).
	Flags uint64
	// Listener says that the call returns a descriptor for an agent, because
	// a rule has SCMP_ACT_NOTIFY. Flags then has NEW_LISTENER.
	Listener bool
	// Unknown are the names of system calls that were skipped, because no
	// architecture of this machine has them.
	Unknown []string
	// Warnings are parts of the profile that do not do what they seem to.
	Warnings []string
}

// Passes tells whether a system call of the machine's own architecture gets
// through to the kernel, or at least to somebody who may let it: SCMP_ACT_ALLOW,
// LOG and NOTIFY. Of a tracer nobody knows: without one, TRACE is ENOSYS.
func (f *Filter) Passes(number uint32, args [6]uint64) bool {
	p, err := simulate.New(f.Instructions, binary.NativeEndian)
	if err != nil {
		return true // the kernel will say so
	}
	result, _ := p.Run(nativeCall(number, args))
	switch result & unix.SECCOMP_RET_ACTION_FULL {
	case unix.SECCOMP_RET_ALLOW, unix.SECCOMP_RET_LOG, unix.SECCOMP_RET_USER_NOTIF:
		return true
	}
	return false
}

// Call is a system call of the machine's own architecture of which not all is known.
type Call struct {
	Number  uint32
	Args    [6]uint64
	Unknown [6]bool // arguments that may be anything
}

// Allows tells whether all of the calls are done whatever their unknown arguments
// are, and without waiting for anybody: SCMP_ACT_ALLOW and LOG.
func (f *Filter) Allows(calls []Call) bool {
	p, err := simulate.New(f.Instructions, binary.NativeEndian)
	if err != nil {
		return false
	}
	return !slices.ContainsFunc(calls, func(c Call) bool {
		result, known := p.RunKnown(nativeCall(c.Number, c.Args), c.Unknown)
		action := result & unix.SECCOMP_RET_ACTION_FULL
		return !known || action != unix.SECCOMP_RET_ALLOW && action != unix.SECCOMP_RET_LOG
	})
}

// nativeCall is a call of the machine's own architecture as a filter sees it.
func nativeCall(number uint32, args [6]uint64) *simulate.Data {
	m := thisMachine()
	i := slices.IndexFunc(m.archs, func(a architecture) bool { return a.name == m.native })
	return &simulate.Data{Number: int32(m.archs[i].base + number), Arch: m.archs[i].audit, Args: args}
}

// Bytes is the program as an array of struct sock_filter in the machine's
// byte order.
func (f *Filter) Bytes() []byte {
	b := make([]byte, 0, 8*len(f.Instructions))
	for _, i := range f.Instructions {
		b = binary.NativeEndian.AppendUint16(b, i.Code)
		b = append(b, i.Jt, i.Jf)
		b = binary.NativeEndian.AppendUint32(b, i.K)
	}
	return b
}

// Compile translates a profile for the machine that rt was built for. The
// package comment has the rules. An error of type Invalid names the fields
// that are wrong.
func Compile(profile *specs.LinuxSeccomp) (*Filter, error) {
	return thisMachine().compile(profile)
}

func (m *machine) compile(profile *specs.LinuxSeccomp) (*Filter, error) {
	if problems := Check(profile); len(problems) > 0 {
		return nil, Invalid(problems)
	}
	f := &Filter{Listener: spec.SeccompNotifies(profile)}
	f.setFlags(profile)
	for i, arch := range profile.Architectures {
		if !m.has(arch) {
			f.warn("linux.seccomp.architectures[%d]: rt cannot tell %s apart on this machine: ignored", i, arch)
		}
	}
	c := &compiler{machine: m, filter: f, listed: m.listed(profile)}
	c.readRules(profile)
	f.Instructions = c.program()
	if n := len(f.Instructions); n > MaxInstructions {
		return nil, fmt.Errorf("linux.seccomp: the profile needs a filter of %d instructions; the kernel allows %d",
			n, MaxInstructions)
	}
	return f, nil
}

func (f *Filter) warn(format string, args ...any) {
	f.Warnings = append(f.Warnings, fmt.Sprintf(format, args...))
}

// setFlags: without any list of flags SPEC_ALLOW is set, as by runc since 1.2
// and by crun: before Linux 5.16 the kernel would otherwise switch on the
// mitigation of speculative store bypass, which costs much and helps little.
func (f *Filter) setFlags(profile *specs.LinuxSeccomp) {
	if profile.Flags == nil {
		f.Flags = unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW
	}
	for _, name := range profile.Flags {
		bit, _ := spec.SeccompFlags.Find(string(name))
		f.Flags |= bit
	}
	if f.Listener {
		f.Flags |= unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
		if f.Flags&unix.SECCOMP_FILTER_FLAG_TSYNC != 0 {
			// The kernel takes both only with this flag: with it an error of
			// TSYNC is not a thread's number that looks like a descriptor.
			f.Flags |= unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH
		}
		return
	}
	if f.Flags&unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV != 0 {
		// EINVAL without a listener; libseccomp leaves it out, too.
		f.Flags &^= unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
		i := slices.Index(profile.Flags, specs.LinuxSeccompFlagWaitKillableRecv)
		f.warn("linux.seccomp.flags[%d]: no rule has %s: %s ignored", i, specs.ActNotify, profile.Flags[i])
	}
}
