package seccomp

import (
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/seccomp/simulate"
)

// reference decides about a system call by reading the profile, with nothing
// of the compiler but its tables: slow, and simple enough to be believed.
type reference struct {
	machine *machine
	profile *specs.LinuxSeccomp
	numbers map[string][maxArchs]int32
}

func newReference(m *machine, p *specs.LinuxSeccomp) *reference {
	r := &reference{m, p, map[string][maxArchs]int32{}}
	for _, s := range m.syscalls {
		r.numbers[s.name] = s.numbers
	}
	return r
}

func (r *reference) decide(d *simulate.Data) uint32 {
	number := uint32(d.Number)
	arch := r.arch(d.Arch, number)
	if arch < 0 {
		return 0
	}
	fallback := value(r.profile.DefaultAction, r.profile.DefaultErrnoRet)
	a := r.machine.archs[arch]
	if !r.covers(a) {
		sibling := slices.ContainsFunc(r.machine.archs, func(b architecture) bool {
			return a.audit == b.audit && r.covers(b)
		})
		if sibling && a.base != 0 && number == 0xffffffff {
			return fallback
		}
		return 0
	}
	enosys := false
	switch r.profile.DefaultAction {
	case specs.ActErrno, specs.ActKill, specs.ActKillProcess, specs.ActKillThread, specs.ActTrap:
		largest := r.largest(arch)
		enosys = largest > 0 && (number > largest && !r.named(number, arch) || a.setup && number == 0)
	}
	if a.setup && enosys && number == 0 {
		return 0x00050000 | 38
	}
	if found := r.firstRule(arch, number, d, fallback); found != nil {
		return value(found.Action, found.ErrnoRet)
	}
	if enosys {
		return 0x00050000 | 38
	}
	return fallback
}

func (r *reference) covers(a architecture) bool {
	return a.name == r.machine.native || slices.Contains(r.profile.Architectures, a.name)
}

// arch is the architecture that a number belongs to.
func (r *reference) arch(audit, number uint32) int {
	found := -1
	for i, a := range r.machine.archs {
		if a.audit == audit && number >= a.base {
			found = i
		}
	}
	return found
}

func (r *reference) largest(arch int) (largest uint32) {
	for _, s := range r.profile.Syscalls {
		for _, name := range s.Names {
			for _, c := range socketCalls {
				if n, ok := r.number("socketcall", arch); ok && c.name == name {
					largest = max(largest, n)
				}
			}
			for _, c := range ipcCalls {
				if n, ok := r.number("ipc", arch); ok && c.name == name {
					largest = max(largest, n)
				}
			}
			number, ok := r.number(name, arch)
			if private := r.machine.archs[arch].private; ok && (private == 0 || number < private) {
				largest = max(largest, number)
			}
		}
	}
	return largest
}

func (r *reference) named(number uint32, arch int) bool {
	return slices.ContainsFunc(r.profile.Syscalls, func(s specs.LinuxSyscall) bool {
		return slices.ContainsFunc(s.Names, func(name string) bool {
			n, ok := r.number(name, arch)
			return ok && n == number
		})
	})
}

func (r *reference) number(name string, arch int) (uint32, bool) {
	numbers, ok := r.numbers[name]
	if !ok || numbers[arch] < 0 {
		return 0, false
	}
	return r.machine.archs[arch].base + uint32(numbers[arch]), true
}

// firstRule looks for an unconditional rule first, then for one that holds.
func (r *reference) firstRule(arch int, number uint32, d *simulate.Data, fallback uint32) *specs.LinuxSyscall {
	for _, unconditional := range []bool{true, false} {
		for i := range r.profile.Syscalls {
			s := &r.profile.Syscalls[i]
			if value(s.Action, s.ErrnoRet) == fallback {
				continue
			}
			for _, name := range s.Names {
				if r.matches(s, name, arch, number, d, unconditional) {
					return s
				}
			}
		}
	}
	return nil
}

func (r *reference) matches(s *specs.LinuxSyscall, name string, arch int, number uint32, d *simulate.Data, unconditional bool) bool {
	if n, ok := r.number(name, arch); ok && n == number {
		if r.unconditional(s.Args, arch) {
			return true
		}
		return !unconditional && r.hold(s.Args, arch, d)
	}
	if unconditional {
		return false
	}
	socketcall, hasSocketcall := r.number("socketcall", arch)
	for _, c := range socketCalls {
		if hasSocketcall && socketcall == number && c.name == name {
			mask := uint64(0xffffffff)
			if r.machine.archs[arch].wide {
				mask = ^uint64(0)
			}
			return d.Args[0]&mask == uint64(c.number)
		}
	}
	ipc, hasIPC := r.number("ipc", arch)
	for _, c := range ipcCalls {
		if hasIPC && ipc == number && c.name == name {
			return uint16(d.Args[0]) == uint16(c.number)
		}
	}
	return false
}

// repeated says that two conditions name the same argument: one is enough.
func repeated(args []specs.LinuxSeccompArg) bool {
	for i := range args {
		for j := range i {
			if args[i].Index == args[j].Index {
				return true
			}
		}
	}
	return false
}

func (r *reference) unconditional(args []specs.LinuxSeccompArg, arch int) bool {
	void := 0
	for _, arg := range args {
		mask := arg.Value
		if !r.machine.archs[arch].wide {
			mask = uint64(uint32(mask))
		}
		if arg.Op == specs.OpMaskedEqual && mask == 0 {
			void++
		}
	}
	return void == len(args) || repeated(args) && void > 0
}

func (r *reference) hold(args []specs.LinuxSeccompArg, arch int, d *simulate.Data) bool {
	n := 0
	for _, arg := range args {
		a, v, w := d.Args[arg.Index], arg.Value, arg.ValueTwo
		if !r.machine.archs[arch].wide {
			a, v, w = uint64(uint32(a)), uint64(uint32(v)), uint64(uint32(w))
		}
		if holds(arg.Op, a, v, w) {
			n++
		}
	}
	return n == len(args) || repeated(args) && n > 0
}

func holds(op specs.LinuxSeccompOperator, a, v, w uint64) bool {
	switch op {
	case specs.OpNotEqual:
		return a != v
	case specs.OpLessThan:
		return a < v
	case specs.OpLessEqual:
		return a <= v
	case specs.OpEqualTo:
		return a == v
	case specs.OpGreaterEqual:
		return a >= v
	case specs.OpGreaterThan:
		return a > v
	case specs.OpMaskedEqual:
		return a&v == w&v
	}
	panic("unknown operator " + op)
}

// value is include/uapi/linux/seccomp.h, written down once more.
func value(action specs.LinuxSeccompAction, errno *uint) uint32 {
	data := uint32(1)
	if errno != nil {
		data = uint32(*errno)
	}
	switch action {
	case specs.ActKillProcess:
		return 0x80000000
	case specs.ActKill, specs.ActKillThread:
		return 0
	case specs.ActTrap:
		return 0x00030000
	case specs.ActErrno:
		return 0x00050000 | data
	case specs.ActNotify:
		return 0x7fc00000
	case specs.ActTrace:
		return 0x7ff00000 | data
	case specs.ActLog:
		return 0x7ffc0000
	case specs.ActAllow:
		return 0x7fff0000
	}
	panic("unknown action " + action)
}
