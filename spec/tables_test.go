package spec

import (
	"fmt"
	"slices"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestTablesHaveTheNamesOfTheSpecification(t *testing.T) {
	for _, c := range []struct {
		table string
		got   []string
		want  []string
	}{
		{"policies", SchedulerPolicies.Names(), names(specs.SchedOther, specs.SchedFIFO, specs.SchedRR, specs.SchedBatch, specs.SchedIdle, specs.SchedDeadline)},
		{"scheduler flags", SchedulerFlags.Names(), names(specs.SchedFlagResetOnFork, specs.SchedFlagReclaim, specs.SchedFlagDLOverrun,
			specs.SchedFlagKeepPolicy, specs.SchedFlagKeepParams, specs.SchedFlagUtilClampMin, specs.SchedFlagUtilClampMax)},
		{"classes", IOPriorityClasses.Names(), names(specs.IOPRIO_CLASS_RT, specs.IOPRIO_CLASS_BE, specs.IOPRIO_CLASS_IDLE)},
		{"modes", MemoryPolicyModes.Names(), names(specs.MpolDefault, specs.MpolPreferred, specs.MpolBind, specs.MpolInterleave, specs.MpolLocal,
			specs.MpolPreferredMany, specs.MpolWeightedInterleave)},
		{"memory flags", MemoryPolicyFlags.Names(), names(specs.MpolFNumaBalancing, specs.MpolFRelativeNodes, specs.MpolFStaticNodes)},
		{"domains", PersonalityDomains.Names(), names(specs.PerLinux, specs.PerLinux32)},
		{"hooks", Hooks.Names(), []string{"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"}},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s: got %v, want %v", c.table, c.got, c.want)
		}
	}
}

func names[T ~string](list ...T) []string {
	s := make([]string, len(list))
	for i, n := range list {
		s[i] = string(n)
	}
	return s
}

// The numbers are those of the kernel's headers: sched.h, ioprio.h,
// mempolicy.h, personality.h.
func TestTablesHaveTheNumbersOfTheKernel(t *testing.T) {
	for name, want := range map[string]uint64{
		"SCHED_OTHER": 0, "SCHED_FIFO": 1, "SCHED_RR": 2, "SCHED_BATCH": 3, "SCHED_IDLE": 5, "SCHED_DEADLINE": 6,
		"SCHED_FLAG_RESET_ON_FORK": 1, "SCHED_FLAG_RECLAIM": 2, "SCHED_FLAG_DL_OVERRUN": 4, "SCHED_FLAG_KEEP_POLICY": 8,
		"SCHED_FLAG_KEEP_PARAMS": 16, "SCHED_FLAG_UTIL_CLAMP_MIN": 32, "SCHED_FLAG_UTIL_CLAMP_MAX": 64,
		"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3,
		"MPOL_DEFAULT": 0, "MPOL_PREFERRED": 1, "MPOL_BIND": 2, "MPOL_INTERLEAVE": 3, "MPOL_LOCAL": 4, "MPOL_PREFERRED_MANY": 5,
		"MPOL_WEIGHTED_INTERLEAVE": 6, "MPOL_F_NUMA_BALANCING": 0x2000, "MPOL_F_RELATIVE_NODES": 0x4000, "MPOL_F_STATIC_NODES": 0x8000,
		"LINUX": 0, "LINUX32": 8,
	} {
		if got, ok := kernelNumber(name); !ok || got != want {
			t.Errorf("%s is %d (%t), not %d", name, got, ok, want)
		}
	}
}

func kernelNumber(name string) (uint64, bool) {
	for _, t := range []Table[uint32]{SchedulerPolicies, IOPriorityClasses, MemoryPolicyFlags} {
		if n, ok := t.Find(name); ok {
			return uint64(n), true
		}
	}
	for _, t := range []Table[uint64]{SchedulerFlags, PersonalityDomains} {
		if n, ok := t.Find(name); ok {
			return n, true
		}
	}
	mode, ok := MemoryPolicyModes.Find(name)
	return uint64(mode.Number), ok
}

func TestParseList(t *testing.T) {
	for list, want := range map[string]string{
		"0": "[0]", "0-3,7": "[0 1 2 3 7]", "7,0-1,1": "[0 1 7]", " 2 , 3\n": "[2 3]", "0-10:2/4": "[0 1 4 5 8 9]", "5-5": "[5]", "8191": "[8191]",
		"": "", ",": "", "0,": "", "3-1": "", "-1": "", "a": "", "0-": "", "1:1/2": "", "0-3:0/2": "", "0-3:3/2": "", "0-3:1": "", "8192": "", "0-4294967295": "",
		"all": "", "+1": "", "0x1": "",
	} {
		got, err := ParseList(list)
		if (err == nil) != (want != "") || err == nil && fmt.Sprint(got) != want {
			t.Errorf("%q: got %v (%v), want %q", list, got, err, want)
		}
	}
}

func TestSysctlPath(t *testing.T) {
	for name, want := range map[string]string{
		"net.ipv4.ip_forward": "net/ipv4/ip_forward", "net/ipv4/ip_forward": "net/ipv4/ip_forward",
		"net.ipv4.conf.eth0/1.forwarding": "net/ipv4/conf/eth0.1/forwarding", "net/ipv4/conf/eth0.1/forwarding": "net/ipv4/conf/eth0.1/forwarding",
		"kernel.sem": "kernel/sem", "one": "one",
		"": "", ".": "", "..": "", "/": "", "net/../x": "", "net..x": "", "net.": "", "net/": "", "/net": "", ".net": "", "../x": "", "net.\x00": "", "net.x//y": "net/x..y",
	} {
		if got, ok := SysctlPath(name); ok != (want != "") || ok && got != want {
			t.Errorf("%q: got %q (%t), want %q", name, got, ok, want)
		}
	}
}
