package seccomp

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/seccomp/simulate"
	"github.com/rtcontainers/rt/spec"
)

// generator makes valid profiles and the calls that tell them apart.
type generator struct {
	*rand.Rand
	machine *machine
}

func pick[T any](g *generator, list []T) T { return list[g.IntN(len(list))] }

// interesting are values around which 64-bit comparisons go wrong.
var interesting = []uint64{
	0, 1, 2, 5, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff,
	0x100000000, 0x100000001, 0x1ffffffff, 0x200000000, 0x7fffffffffffffff,
	0x8000000000000000, 0xffffffff00000000, 0xfffffffffffffffe, 0xffffffffffffffff,
}

func (g *generator) action() (specs.LinuxSeccompAction, *uint) {
	a := pick(g, spec.SeccompActions)
	name := specs.LinuxSeccompAction(a.Name)
	if name == specs.ActNotify || a.Value.MaxErrno == 0 || g.IntN(2) == 0 {
		return name, nil
	}
	errno := uint(g.IntN(4))
	return name, &errno
}

func (g *generator) name() string {
	switch g.IntN(12) {
	case 0:
		return "no_such_call"
	case 1:
		return pick(g, socketCalls[:]).name
	case 2:
		return pick(g, ipcCalls[:]).name
	}
	return pick(g, g.machine.syscalls).name
}

func (g *generator) rule(names []string) specs.LinuxSyscall {
	s := specs.LinuxSyscall{}
	for range 1 + g.IntN(4) {
		s.Names = append(s.Names, pick(g, names))
	}
	s.Action, s.ErrnoRet = g.action()
	for range max(0, g.IntN(6)-2) {
		s.Args = append(s.Args, specs.LinuxSeccompArg{
			Index: uint(g.IntN(maxArgs)), Value: pick(g, interesting),
			ValueTwo: pick(g, interesting), Op: pick(g, spec.SeccompOperators),
		})
	}
	return s
}

func (g *generator) profile() *specs.LinuxSeccomp {
	p := &specs.LinuxSeccomp{ListenerPath: "/run/agent.sock"}
	for p.DefaultAction == "" || p.DefaultAction == specs.ActNotify {
		p.DefaultAction, p.DefaultErrnoRet = g.action()
	}
	for _, a := range g.machine.archs {
		if g.IntN(3) > 0 {
			p.Architectures = append(p.Architectures, a.name)
		}
	}
	var names []string
	for range 1 + g.IntN(25) {
		names = append(names, g.name())
	}
	for range g.IntN(30) {
		p.Syscalls = append(p.Syscalls, g.rule(names))
	}
	// NOTIFY is not allowed for write.
	for i := range p.Syscalls {
		if len(Check(&specs.LinuxSeccomp{
			DefaultAction: specs.ActAllow, ListenerPath: "/", Syscalls: p.Syscalls[i : i+1],
		})) > 0 {
			p.Syscalls[i].Action, p.Syscalls[i].ErrnoRet = specs.ActLog, nil
		}
	}
	return p
}

// calls are the numbers of a profile with their neighbours in every
// architecture, each with some arguments.
func (g *generator) calls(p *specs.LinuxSeccomp, visit func(*simulate.Data)) {
	audits := []uint32{0, 1}
	numbers := []uint32{0, 1, 0x3fffffff, 0x40000000, 0x40000001, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff}
	for i, a := range g.machine.archs {
		audits = append(audits, a.audit)
		for _, s := range p.Syscalls {
			for _, name := range append(s.Names, "socketcall", "ipc") {
				if n, ok := g.machine.number(name, i); ok {
					numbers = append(numbers, n-1, n, n+1)
				}
			}
		}
	}
	slices.Sort(numbers)
	numbers = slices.Compact(numbers)
	for _, audit := range audits {
		for _, number := range numbers {
			for range 3 {
				d := &simulate.Data{Arch: audit, Number: int32(number)}
				for i := range d.Args {
					d.Args[i] = pick(g, interesting) + uint64(g.IntN(3)) - 1
				}
				if g.IntN(2) == 0 {
					d.Args[0] = uint64(g.IntN(26)) | uint64(g.IntN(2))<<16
				}
				visit(d)
			}
		}
	}
}

// compare holds a compiled profile against the reference.
func compare(t *testing.T, g *generator, p *specs.LinuxSeccomp) (decisions int) {
	t.Helper()
	f, err := g.machine.compile(p)
	if err != nil {
		t.Fatalf("%v\n%+v", err, p)
	}
	var order binary.ByteOrder = binary.LittleEndian
	if g.machine.bigEndian {
		order = binary.BigEndian
	}
	filter, ref := program(t, f, order), newReference(g.machine, p)
	g.calls(p, func(d *simulate.Data) {
		decisions++
		if got, _ := filter.Run(d); got != ref.decide(d) {
			t.Fatalf("%+v: filter %#x, reference %#x\nprofile %+v", *d, got, ref.decide(d), *p)
		}
	})
	return decisions
}

func machines() map[string]*machine {
	return map[string]*machine{"this": thisMachine(), "s390x": &fakeS390, "arm64": &fakeARM}
}

func TestRandomProfilesAgainstReference(t *testing.T) {
	for name, m := range machines() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			decisions := 0
			for seed := range uint64(100) {
				g := &generator{rand.New(rand.NewPCG(seed, 1)), m}
				decisions += compare(t, g, g.profile())
			}
			t.Logf("%d decisions", decisions)
		})
	}
}

func FuzzCompile(f *testing.F) {
	for seed := range uint64(16) {
		f.Add(seed, uint64(2))
	}
	f.Fuzz(func(t *testing.T, a, b uint64) {
		g := &generator{rand.New(rand.NewPCG(a, b)), thisMachine()}
		compare(t, g, g.profile())
	})
}
