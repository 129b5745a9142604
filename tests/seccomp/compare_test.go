package seccomp

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/seccomp"
	"github.com/rtcontainers/rt/libcontainer/seccomp/simulate"
	"golang.org/x/sys/unix"
)

// pair is one profile, compiled by both.
type pair struct {
	rt, lib *simulate.Program
	stub    stub
	size    [2]int

	profile      *specs.LinuxSeccomp
	tangledCalls map[call]bool
	plain        *pair // see explainMultiplexed
}

func compile(p *specs.LinuxSeccomp) (*pair, error) {
	f, err := seccomp.Compile(p)
	if err != nil {
		return nil, fmt.Errorf("rt: %w", err)
	}
	code, err := build(p)
	if err != nil {
		return nil, fmt.Errorf("libseccomp: %w", err)
	}
	b := &pair{profile: p, stub: newStub(p), size: [2]int{len(f.Instructions), len(code)}}
	if b.rt, err = simulate.New(f.Instructions, binary.NativeEndian); err != nil {
		return nil, fmt.Errorf("rt's filter: %w", err)
	}
	if b.lib, err = simulate.New(code, binary.NativeEndian); err != nil {
		return nil, fmt.Errorf("libseccomp's filter: %w", err)
	}
	return b, nil
}

// decide is what both filters say.
func (b *pair) decide(d *simulate.Data) (rt, runc uint32) {
	rt, _ = b.rt.Run(d)
	if b.stub.hit(d) {
		return rt, noSuchCall
	}
	runc, _ = b.lib.Run(d)
	return rt, runc
}

// boundary are argument values around which comparisons can go wrong.
var boundary = []uint64{
	0, 1, 2, 5, 8, 9, 20, 0x1ffff, 0x20000, 0x20008, 0x10002, 0x7e020000, 0x7fffffff, 0x80000000,
	0xfffffffe, 0xffffffff, 0x100000000, 0x100000001, 0x1ffffffff,
	0x8000000000000000, 0xffffffff00000000, 0xfffffffffffffffe, 0xffffffffffffffff,
}

// calls visits every number of every architecture, with arguments.
func calls(r *rand.Rand, each int, visit func(*simulate.Data)) {
	numbers := []uint32{0x3fffffff, 0x7fffffff, 0x80000000, 0xbfffffff, 0xc0000000, 0xfffffffe, 0xffffffff}
	for n := range uint32(600) {
		numbers = append(numbers, n, n+x32Bit)
	}
	for _, audit := range []uint32{unix.AUDIT_ARCH_X86_64, unix.AUDIT_ARCH_I386, unix.AUDIT_ARCH_AARCH64} {
		for _, number := range numbers {
			for i := range each {
				d := &simulate.Data{Arch: audit, Number: int32(number)}
				d.Args[0] = boundary[i%len(boundary)]
				for j := range d.Args[1:] {
					d.Args[j+1] = boundary[r.IntN(len(boundary))]
				}
				visit(d)
			}
		}
	}
}

// tally counts decisions and sorts differences by their explanation.
type tally struct {
	decisions int
	explained map[string]int
}

func (c *tally) compare(t *testing.T, name string, p *specs.LinuxSeccomp, r *rand.Rand, each int) *pair {
	t.Helper()
	b, err := compile(p)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	wrong := 0
	calls(r, each, func(d *simulate.Data) {
		c.decisions++
		rt, runc := b.decide(d)
		if rt == runc {
			return
		}
		if why := explain(b, d, rt, runc); why != "" {
			c.explained[why]++
		} else if wrong++; wrong <= 5 {
			t.Errorf("%s: arch %#x number %#x args %#x: rt %#x, runc %#x\n%s",
				name, d.Arch, uint32(d.Number), d.Args, rt, runc, rulesFor(p, d))
		}
	})
	return b
}

func dockerProfile(t testing.TB) *specs.LinuxSeccomp {
	t.Helper()
	text, err := os.ReadFile("../testdata/docker/seccomp.json")
	if err != nil {
		t.Fatal(err)
	}
	p := &specs.LinuxSeccomp{}
	if err := json.Unmarshal(text, p); err != nil {
		t.Fatal(err)
	}
	return p
}

func (c *tally) report(t *testing.T) {
	t.Logf("%d decisions compared, differences explained: %v", c.decisions, c.explained)
}

// rulesFor are the rules of a profile that name the call.
func rulesFor(p *specs.LinuxSeccomp, d *simulate.Data) (list string) {
	for i, s := range p.Syscalls {
		for _, name := range s.Names {
			for _, arch := range []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32} {
				n, _ := resolve(name, arch)
				muxed := d.Arch == unix.AUDIT_ARCH_I386 && n < -99 && n > -225
				if uint32(n) == uint32(d.Number) || muxed {
					list += fmt.Sprintf("  syscalls[%d] %s %s %+v\n", i, name, s.Action, s.Args)
					break
				}
			}
		}
	}
	return list
}
