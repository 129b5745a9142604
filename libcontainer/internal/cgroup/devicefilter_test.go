package cgroup

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	devices "github.com/opencontainers/cgroups/devices/config"
	"golang.org/x/sys/unix"
)

// access is an access to a device.
type access struct {
	kind         uint32
	bits         uint32
	major, minor uint32
}

// run executes a filter as linux/bpf.h describes its instructions.
func run(t *testing.T, program []instruction, a access) bool {
	t.Helper()
	memory := map[int16]uint32{ctxAccess: a.bits<<16 | a.kind, ctxMajor: a.major, ctxMinor: a.minor}
	var r [11]uint32
	for pc := 0; pc >= 0 && pc < len(program); pc++ {
		in := program[pc]
		dst, src := &r[in.registers&15], in.registers>>4
		imm := uint32(in.immediate)
		jump := false
		switch in.code {
		case unix.BPF_LDX | unix.BPF_MEM | unix.BPF_W:
			value, ok := memory[in.offset]
			if !ok || src != input {
				t.Fatalf("instruction %d reads %d of r%d", pc, in.offset, src)
			}
			*dst = value
		case unix.BPF_ALU | unix.BPF_MOV | unix.BPF_X:
			*dst = r[src]
		case unix.BPF_ALU | unix.BPF_MOV | unix.BPF_K:
			*dst = imm
		case unix.BPF_ALU | unix.BPF_RSH | unix.BPF_K:
			*dst >>= imm
		case unix.BPF_ALU | unix.BPF_LSH | unix.BPF_K:
			*dst <<= imm
		case unix.BPF_ALU | unix.BPF_OR | unix.BPF_X:
			*dst |= r[src]
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			*dst &= imm
		case unix.BPF_JMP32 | unix.BPF_JNE | unix.BPF_K:
			jump = *dst != imm
		case unix.BPF_JMP32 | unix.BPF_JEQ | unix.BPF_K:
			jump = *dst == imm
		case unix.BPF_JMP32 | unix.BPF_JSET | unix.BPF_K:
			jump = *dst&imm != 0
		case unix.BPF_JMP | unix.BPF_EXIT:
			return r[verdict] == 1
		default:
			t.Fatalf("instruction %d: unknown code %#x", pc, in.code)
		}
		if jump {
			pc += int(in.offset)
		}
	}
	t.Fatal("the program does not end")
	return false
}

// decide says what rules mean: the last rule about a kind of access allows or forbids it.
func decide(rules []*devices.Rule, a access) bool {
	for _, bit := range []int32{unix.BPF_DEVCG_ACC_MKNOD, unix.BPF_DEVCG_ACC_READ, unix.BPF_DEVCG_ACC_WRITE} {
		if a.bits&uint32(bit) == 0 {
			continue
		}
		allowed := false
		for _, r := range rules {
			if (r.Type == devices.WildcardDevice || uint32(deviceKinds[r.Type]) == a.kind) && accesses(r.Permissions)&bit != 0 &&
				(r.Major == devices.Wildcard || r.Major == int64(a.major)) && (r.Minor == devices.Wildcard || r.Minor == int64(a.minor)) {
				allowed = r.Allow
			}
		}
		if !allowed {
			return false
		}
	}
	return true
}

func TestDeviceFilterDecidesAsTheRules(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...int64) int64 { return list[r.IntN(len(list))] }
	var allowed, refused int
	for range 3000 {
		var rules []*devices.Rule
		for range r.IntN(8) {
			rules = append(rules, &devices.Rule{
				Type: []devices.Type{devices.WildcardDevice, devices.CharDevice, devices.BlockDevice}[r.IntN(3)],
				// No device has the last ones.
				Major:       pick(devices.Wildcard, devices.Wildcard, 1, 8, 1<<12-1, 1<<12|8, math.MaxUint32),
				Minor:       pick(devices.Wildcard, devices.Wildcard, 0, 3, 1<<20-1, 1<<20|3),
				Permissions: []devices.Permissions{"rwm", "rwm", "rw", "r", "w", "m", ""}[r.IntN(7)], Allow: r.IntN(2) == 0,
			})
		}
		program, err := deviceFilter(rules)
		if err != nil {
			t.Fatal(err)
		}
		for range 60 {
			a := access{uint32(pick(1, 2)), uint32(r.IntN(8)), uint32(pick(0, 1, 2, 8, 1<<12-1)), uint32(pick(0, 1, 3, 1<<20-1))}
			if a.bits == 0 {
				continue // nobody asks for nothing
			}
			want := decide(rules, a)
			if got := run(t, program, a); got != want {
				text := ""
				for _, rule := range rules {
					text += fmt.Sprintf("\n\t%v %s", rule.Allow, ruleText(rule))
				}
				t.Fatalf("%+v: %v, the rules say %v:%s", a, got, want, text)
			}
			if want {
				allowed++
			} else {
				refused++
			}
		}
	}
	if allowed < 1000 || refused < 1000 {
		t.Errorf("one-sided: %d allowed, %d refused", allowed, refused)
	}
}

func TestDeviceFilterErrors(t *testing.T) {
	for _, r := range []devices.Rule{
		{Type: 'x', Major: 1, Minor: 1, Permissions: "r"},
		{Type: devices.CharDevice, Major: 1 << 32, Minor: 1, Permissions: "r"},
		{Type: devices.CharDevice, Major: 1, Minor: -2, Permissions: "r"},
	} {
		if _, err := deviceFilter([]*devices.Rule{&r}); err == nil {
			t.Errorf("%+v: no error", r)
		}
	}
}

// manyRules are conditional rules that alternately allow and deny.
func manyRules(n int) []*devices.Rule {
	rules := make([]*devices.Rule, n)
	for i := range rules {
		rules[i] = &devices.Rule{Type: devices.CharDevice, Major: int64(i / 200), Minor: int64(i % 200), Permissions: "rwm", Allow: i%2 == 0}
	}
	return rules
}

// Jumps of a filter have 16 bits. Rules that need longer jumps are refused.
func TestDeviceFilterSize(t *testing.T) {
	if _, err := deviceFilter(manyRules(40_000)); err == nil || !strings.Contains(err.Error(), "40000 rules need a filter of more than") {
		t.Errorf("too many rules: %v", err)
	}
	program, err := deviceFilter(manyRules(30_000))
	if err != nil {
		t.Fatal(err)
	}
	for i, ins := range program {
		if to := i + 1 + int(ins.offset); ins.code&7 == unix.BPF_JMP32 && (to <= i || to >= len(program)) {
			t.Fatalf("instruction %d jumps to %d of %d", i, to, len(program))
		}
	}
}

// The kernel accepts every possible program, including those that allow nothing or
// everything.
func TestKernelTakesDeviceFilters(t *testing.T) {
	if unix.Geteuid() != 0 {
		t.Skip("loading a device filter takes root")
	}
	all := func(allow bool) *devices.Rule {
		return &devices.Rule{Type: devices.WildcardDevice, Major: devices.Wildcard, Minor: devices.Wildcard, Permissions: "rwm", Allow: allow}
	}
	null := devices.Rule{Type: devices.CharDevice, Major: 1, Minor: 3, Permissions: "rw", Allow: true}
	notNull := null
	notNull.Allow = false
	defaults := []*devices.Rule{}
	for i := range allowed {
		defaults = append(defaults, &allowed[i])
	}
	for _, rules := range [][]*devices.Rule{
		nil, {all(true)}, {all(false)}, {&null}, {&notNull}, {all(true), &null}, {all(true), &notNull}, {all(false), &null, &notNull},
		slices.Concat([]*devices.Rule{all(false)}, defaults), manyRules(1000),
	} {
		program, err := deviceFilter(rules)
		if err != nil {
			t.Fatal(err)
		}
		fd, err := loadFilter(program)
		if err != nil {
			t.Errorf("%d rules: %v", len(rules), err)
			continue
		}
		unix.Close(fd)
	}
}

func TestDeviceProperties(t *testing.T) {
	rules := []*devices.Rule{
		{Type: devices.CharDevice, Major: 9, Minor: 9, Permissions: "r", Allow: true}, // void
		{Type: devices.WildcardDevice, Major: devices.Wildcard, Minor: devices.Wildcard, Permissions: "rwm"},
		{Type: devices.CharDevice, Major: 1, Minor: 3, Permissions: "rw", Allow: true},
		{Type: devices.BlockDevice, Major: 8, Minor: devices.Wildcard, Permissions: "r", Allow: true},
		{Type: devices.CharDevice, Major: devices.Wildcard, Minor: devices.Wildcard, Permissions: "m", Allow: true},
		{Type: devices.CharDevice, Major: devices.Wildcard, Minor: 7, Permissions: "m", Allow: true}, // no words for it
	}
	text := ""
	for _, p := range deviceProperties(rules) {
		text += fmt.Sprintln(p.Name, p.Value.Value())
	}
	want := "DeviceAllow []\nDevicePolicy strict\nDeviceAllow [{/dev/char/1:3 rw} {block-8 r} {char-* m}]\n"
	if text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	for _, p := range deviceProperties(append(rules, &devices.Rule{Type: devices.WildcardDevice, Major: devices.Wildcard, Minor: devices.Wildcard, Permissions: "rwm", Allow: true})) {
		if p.Name == "DevicePolicy" && p.Value.Value() != "auto" {
			t.Error(p.Value)
		}
	}
}
