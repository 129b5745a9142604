package cgroup

import (
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestOnlyV1(t *testing.T) {
	weights := func(leaf uint16) *specs.LinuxBlockIO {
		d := specs.LinuxWeightDevice{Weight: ptr(uint16(100)), LeafWeight: &leaf}
		return &specs.LinuxBlockIO{Weight: ptr(uint16(100)), WeightDevice: []specs.LinuxWeightDevice{d}}
	}
	for _, c := range []struct {
		r     specs.LinuxResources
		field string
	}{
		{specs.LinuxResources{Memory: &specs.LinuxMemory{Swappiness: ptr(uint64(0))}}, "memory.swappiness"},
		{specs.LinuxResources{Memory: &specs.LinuxMemory{DisableOOMKiller: ptr(true)}}, "memory.disableOOMKiller"},
		{specs.LinuxResources{CPU: &specs.LinuxCPU{RealtimeRuntime: ptr(int64(1))}}, "cpu.realtimeRuntime"},
		{specs.LinuxResources{CPU: &specs.LinuxCPU{RealtimePeriod: ptr(uint64(1))}}, "cpu.realtimePeriod"},
		{specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{LeafWeight: ptr(uint16(10))}}, "blockIO.leafWeight"},
		{specs.LinuxResources{BlockIO: weights(10)}, "blockIO.weightDevice[0].leafWeight"},
		{specs.LinuxResources{Network: &specs.LinuxNetwork{ClassID: ptr(uint32(1))}}, "network.classID"},
		{specs.LinuxResources{Network: &specs.LinuxNetwork{Priorities: make([]specs.LinuxInterfacePriority, 1)}}, "network.priorities"},
		// Engines set these without meaning them.
		{specs.LinuxResources{
			Memory: &specs.LinuxMemory{DisableOOMKiller: ptr(false)}, BlockIO: weights(0), Network: &specs.LinuxNetwork{},
			CPU: &specs.LinuxCPU{RealtimeRuntime: ptr(int64(0)), RealtimePeriod: ptr(uint64(0))},
		}, ""},
	} {
		err := onlyV1(&c.r)
		if (err == nil) != (c.field == "") || err != nil && !strings.Contains(err.Error(), "linux.resources."+c.field+": ") {
			t.Errorf("%v, want %q", err, c.field)
		}
	}
}
