package seccomp

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/seccomp/simulate"
	"golang.org/x/sys/unix"
)

const (
	x32Bit = 0x40000000

	i386socketcall = 102
	i386ipc        = 117

	noSuchCall = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
)

// stub is the prologue that runc puts before libseccomp's filter: numbers
// above the largest one of the profile get ENOSYS.
type stub struct {
	active  bool
	largest map[specs.Arch]uint32 // without entry: not covered
}

// onI386 are the calls that libseccomp reports under the number of their
// multiplexer, with their own (arch/x86/entry/syscalls/syscall_32.tbl). For
// runc neither number counts as the largest, so that a profile of nothing but
// sockets forbids them; for rt both do.
var onI386 = map[string]uint32{
	"socket": 359, "socketpair": 360, "bind": 361, "connect": 362, "listen": 363,
	"accept4": 364, "getsockopt": 365, "setsockopt": 366, "getsockname": 367,
	"getpeername": 368, "sendto": 369, "sendmsg": 370, "recvfrom": 371,
	"recvmsg": 372, "shutdown": 373, "recvmmsg": 337, "sendmmsg": 345,
	"semget": 393, "semctl": 394, "shmget": 395, "shmctl": 396, "shmat": 397,
	"shmdt": 398, "msgget": 399, "msgsnd": 400, "msgrcv": 401, "msgctl": 402,
}

func newStub(p *specs.LinuxSeccomp) stub {
	s := stub{largest: map[specs.Arch]uint32{}}
	switch p.DefaultAction {
	case specs.ActAllow, specs.ActLog, specs.ActTrace:
		return s
	}
	s.active = true
	for _, arch := range append([]specs.Arch{specs.ArchX86_64}, p.Architectures...) {
		largest := 0
		for _, rule := range p.Syscalls {
			for _, name := range rule.Names {
				if number, ok := resolve(name, arch); ok {
					largest = max(largest, number)
				}
				if arch == specs.ArchX86 {
					largest = max(largest, int(onI386[name]), multiplexer(name))
				}
			}
		}
		if largest > 0 {
			s.largest[arch] = uint32(largest)
		}
	}
	return s
}

// multiplexer is the number of i386 through which a call can be made: 0 if it
// cannot.
func multiplexer(name string) int {
	number, _ := resolve(name, specs.ArchX86)
	switch {
	case number <= -100 && number >= -120:
		return i386socketcall
	case number <= -200 && number >= -224:
		return i386ipc
	}
	return 0
}

// hit says that the stub answers the call.
func (s stub) hit(d *simulate.Data) bool {
	if !s.active {
		return false
	}
	arch := specs.ArchX86
	if d.Arch == unix.AUDIT_ARCH_X86_64 {
		arch = specs.ArchX86_64
		if d.Number&x32Bit != 0 {
			arch = specs.ArchX32
		}
	} else if d.Arch != unix.AUDIT_ARCH_I386 {
		return false
	}
	largest, ok := s.largest[arch]
	return ok && uint32(d.Number) > largest
}
