package seccomp

import (
	"math/rand/v2"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/spec"
)

var callNames = []string{
	"read", "write", "open", "openat", "ioctl", "personality", "clone", "clone3", "socket",
	"socketcall", "bind", "accept", "recv", "ipc", "semop", "semget", "shmat", "mmap", "mmap2",
	"execve", "execveat", "ptrace", "readv", "preadv2", "rt_sigaction", "close_range", "openat2",
	"futex_waitv", "chown32", "umount", "_llseek", "no_such_call", "breakpoint", "memfd_secret",
	"setsockopt", "getsockopt", "sendmmsg", "waitid", "uselib", "set_thread_area",
}

var randomActions = []specs.LinuxSeccompAction{
	specs.ActErrno, specs.ActAllow, specs.ActLog, specs.ActKill, specs.ActKillProcess,
	specs.ActTrap, specs.ActTrace,
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// randomProfile has one action for each call: libseccomp refuses contradictions.
func randomProfile(r *rand.Rand) *specs.LinuxSeccomp {
	p := &specs.LinuxSeccomp{DefaultAction: pick(r, randomActions), Architectures: pick(r, archLists)}
	actions := map[string]specs.LinuxSeccompAction{}
	// See realCallFirst: a call of all architectures must have a rule.
	getpid := specs.LinuxSyscall{Names: []string{"getpid"}, Action: specs.ActLog}
	if p.DefaultAction == specs.ActLog {
		getpid.Action = specs.ActAllow
	}
	p.Syscalls = append(p.Syscalls, getpid)
	ops := spec.SeccompOperators
	for range 1 + r.IntN(30) {
		name := pick(r, callNames)
		if actions[name] == "" {
			actions[name] = pick(r, randomActions)
		}
		s := specs.LinuxSyscall{Names: []string{name}, Action: actions[name]}
		for range max(0, r.IntN(5)-1) {
			s.Args = append(s.Args, specs.LinuxSeccompArg{
				Index: uint(r.IntN(3)), Op: pick(r, ops),
				Value: pick(r, boundary), ValueTwo: pick(r, boundary),
			})
		}
		p.Syscalls = append(p.Syscalls, s)
	}
	return p
}

func TestRandomProfiles(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 3))
	c := &tally{explained: map[string]int{}}
	refused := 0
	for range 300 {
		p := randomProfile(r)
		if _, err := build(p); err != nil {
			refused++
			continue
		}
		c.compare(t, "random", p, r, len(boundary))
	}
	t.Logf("%d profiles refused by libseccomp", refused)
	c.report(t)
}
