package cgroup

import (
	"fmt"

	"github.com/opencontainers/cgroups"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// CheckSupported refuses limits that this system's version of cgroups does not have;
// otherwise they would be ignored. If only a controller is missing, the kernel itself
// refuses the limit.
func CheckSupported(s *specs.Spec) error {
	if s.Linux == nil || s.Linux.Resources == nil {
		return nil
	}
	if cgroups.IsCgroup2UnifiedMode() {
		return onlyV1(s.Linux.Resources)
	}
	if len(s.Linux.Resources.Unified) > 0 {
		return fmt.Errorf("linux.resources.unified: needs cgroup v2, and this system has v1")
	}
	return nil
}

// onlyV1 names a limit that cgroup v2 has no file for.
func onlyV1(r *specs.LinuxResources) error {
	for _, l := range []struct {
		field string
		given bool
	}{
		{"memory.swappiness", r.Memory != nil && r.Memory.Swappiness != nil},
		{"memory.disableOOMKiller", r.Memory != nil && isSet(r.Memory.DisableOOMKiller)},
		{"cpu.realtimeRuntime", r.CPU != nil && isSet(r.CPU.RealtimeRuntime)},
		{"cpu.realtimePeriod", r.CPU != nil && isSet(r.CPU.RealtimePeriod)},
		{"blockIO.leafWeight", r.BlockIO != nil && isSet(r.BlockIO.LeafWeight)},
		{"network.classID", r.Network != nil && isSet(r.Network.ClassID)},
		{"network.priorities", r.Network != nil && len(r.Network.Priorities) > 0},
	} {
		if l.given {
			return fmt.Errorf("linux.resources.%s: cgroup v2 has no such limit", l.field)
		}
	}
	if r.BlockIO != nil {
		for i, d := range r.BlockIO.WeightDevice {
			if isSet(d.LeafWeight) {
				return fmt.Errorf("linux.resources.blockIO.weightDevice[%d].leafWeight: cgroup v2 has no such limit", i)
			}
		}
	}
	return nil
}

// isSet tells whether a value is set and has an effect.
func isSet[T comparable](v *T) bool {
	var zero T
	return v != nil && *v != zero
}
