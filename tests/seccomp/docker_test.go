package seccomp

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/seccomp/simulate"
	"golang.org/x/sys/unix"
)

// privileged are calls that engines add to their default profile for
// containers with more capabilities.
var privileged = []string{
	"bpf", "clone", "clone3", "fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick",
	"mount", "mount_setattr", "move_mount", "open_tree", "perf_event_open", "quotactl",
	"setdomainname", "sethostname", "setns", "syslog", "umount", "umount2", "unshare",
	"open_by_handle_at", "chroot", "reboot", "ptrace", "kcmp", "acct", "settimeofday",
	"stime", "vhangup", "iopl", "ioperm", "bind", "semop", "shmget",
}

var archLists = [][]specs.Arch{
	nil,
	{specs.ArchX86_64},
	{specs.ArchX86},
	{specs.ArchX32},
	{specs.ArchX86_64, specs.ArchX86},
	{specs.ArchX86_64, specs.ArchX86, specs.ArchX32},
}

func uintPointer(n uint) *uint { return &n }

// variants are Docker's profile as it is, with more calls, with other default
// actions, turned into a list of forbidden calls, and for other architectures.
func variants(t *testing.T, visit func(string, *specs.LinuxSeccomp)) {
	more := specs.LinuxSyscall{Names: privileged, Action: specs.ActAllow}
	for _, fallback := range []specs.LinuxSeccompAction{
		specs.ActErrno, specs.ActKill, specs.ActKillProcess, specs.ActTrap,
		specs.ActLog, specs.ActTrace, specs.ActAllow,
	} {
		for _, errno := range []*uint{nil, uintPointer(38), uintPointer(0)} {
			if errno != nil && fallback != specs.ActErrno && fallback != specs.ActTrace {
				continue
			}
			for i, archs := range archLists {
				for _, extra := range []bool{false, true} {
					p := dockerProfile(t)
					p.DefaultAction, p.DefaultErrnoRet, p.Architectures = fallback, errno, archs
					if extra {
						p.Syscalls = append(p.Syscalls, more)
					}
					if fallback == specs.ActAllow {
						forbid(p)
					}
					visit(fmt.Sprintf("docker %s %d extra=%t", fallback, i, extra), p)
				}
			}
		}
	}
}

func forbid(p *specs.LinuxSeccomp) {
	p.Syscalls = slices.Clone(p.Syscalls)
	for i := range p.Syscalls {
		p.Syscalls[i].Action, p.Syscalls[i].ErrnoRet = specs.ActErrno, nil
	}
}

func TestDockerVariants(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	c := &tally{explained: map[string]int{}}
	variants(t, func(name string, p *specs.LinuxSeccomp) { c.compare(t, name, p, r, len(boundary)) })
	c.report(t)
}

// TestNewerCalls: calls that libseccomp does not know yet must not change anything else.
func TestNewerCalls(t *testing.T) {
	for _, name := range newer {
		if _, ok := resolve(name, specs.ArchX86_64); ok {
			t.Errorf("libseccomp knows %s: take it out of the list", name)
		}
	}
	if number, _ := resolve("map_shadow_stack", specs.ArchX32); number >= 0 {
		t.Errorf("libseccomp knows map_shadow_stack on x32: %d", number)
	}
	r := rand.New(rand.NewPCG(1, 2))
	c := &tally{explained: map[string]int{}}
	p := dockerProfile(t)
	p.Syscalls = append(p.Syscalls, specs.LinuxSyscall{Names: newer, Action: specs.ActAllow})
	c.compare(t, "docker with newer calls", p, r, len(boundary))
	c.report(t)
}

// TestSize prints how large and how deep the filters are.
func TestSize(t *testing.T) {
	b, err := compile(dockerProfile(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("rt: %d instructions, longest path %d, on average %.1f", b.size[0], b.rt.Depth(), average(b.rt))
	t.Logf("libseccomp with runc's options, without runc's prologue: %d instructions, longest path %d, on average %.1f",
		b.size[1], b.lib.Depth(), average(b.lib))
	if b.size[0] > b.size[1] || b.rt.Depth() > b.lib.Depth() {
		t.Error("rt's filter is larger than libseccomp's")
	}
}

// average is the mean path over the numbers of x86_64.
func average(p *simulate.Program) float64 {
	const numbers = 450
	sum := 0
	for n := range int32(numbers) {
		_, steps := p.Run(&simulate.Data{Arch: unix.AUDIT_ARCH_X86_64, Number: n})
		sum += steps
	}
	return float64(sum) / numbers
}
