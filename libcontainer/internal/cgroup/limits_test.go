package cgroup

import (
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/cgroups"
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
		// What engines give without meaning it.
		{specs.LinuxResources{
			Memory: &specs.LinuxMemory{DisableOOMKiller: ptr(false)}, BlockIO: weights(0), Network: &specs.LinuxNetwork{},
			CPU: &specs.LinuxCPU{RealtimeRuntime: ptr(int64(0)), RealtimePeriod: ptr(uint64(0))},
		}, ""},
	} {
		err := checkVersion(&c.r, true)
		if (err == nil) != (c.field == "") || err != nil && !strings.Contains(err.Error(), "linux.resources."+c.field+": ") {
			t.Errorf("%v, want %q", err, c.field)
		}
	}
}

// Every member of the library's Resources that is a limit belongs to one row, and each
// row translates just those.
func TestEveryLimitHasOneRow(t *testing.T) {
	elsewhere := []string{"Devices", "Freezer", "SkipDevices", "SkipFreezeOnSet"}
	rows := map[string]int{}
	var r specs.LinuxResources
	fill(reflect.ValueOf(&r).Elem(), new(int))
	for _, l := range limits {
		var c cgroups.Resources
		if !l.translate(&c, &r) {
			t.Errorf("%s: nothing is given", l.field)
		}
		for i, v := 0, reflect.ValueOf(c); i < v.NumField(); i++ {
			name := v.Type().Field(i).Name
			if mine := slices.Contains(strings.Fields(l.library), name); mine == v.Field(i).IsZero() {
				t.Errorf("%s: %s is %v", l.field, name, v.Field(i))
			}
		}
		for _, name := range strings.Fields(l.library) {
			rows[name]++
		}
	}
	for f := range reflect.TypeFor[cgroups.Resources]().Fields() {
		if (rows[f.Name] != 1) != slices.Contains(elsewhere, f.Name) {
			t.Errorf("%s has %d rows", f.Name, rows[f.Name])
		}
	}
}

// An error is about the file that it names, or about the first limit that fails by itself.
func TestFieldsOfErrors(t *testing.T) {
	failing := func(fails func(*cgroups.Resources) bool) func(*cgroups.Resources) error {
		return func(r *cgroups.Resources) error {
			if fails(r) {
				return errors.New("no")
			}
			return nil
		}
	}
	r := &cgroups.Resources{Memory: 1, MemorySwap: 2, CpuShares: 3, CpuWeight: 4}
	// The library refuses a limit of swap without one of memory.
	unified := &cgroups.Resources{Memory: 1, MemorySwap: 2, Unified: map[string]string{"cpu.weight": "0"}}
	for want, got := range map[string]string{
		"linux.resources.unified": fieldOf(errors.New("x"), unified, failing(func(r *cgroups.Resources) bool {
			return r.MemorySwap != 0 && r.Memory == 0 || r.Unified != nil
		})),
		"linux.resources.pids.limit":   fieldOf(&os.PathError{Path: "/x/pids.max", Err: os.ErrInvalid}, unified, nil),
		"linux.resources.memory.limit": fieldOf(&os.PathError{Path: "/x/memory.max", Err: os.ErrInvalid}, r, nil),
		"linux.resources.cpu.burst":    fieldOf(&os.PathError{Path: "/x/cpu.max.burst", Err: os.ErrInvalid}, r, nil),
		"linux.resources.memory.swap":  fieldOf(errors.New("x"), r, failing(func(r *cgroups.Resources) bool { return r.MemorySwap != 0 })),
		"linux.resources.cpu.shares":   fieldOf(errors.New("x"), r, failing(func(r *cgroups.Resources) bool { return r.CpuShares != 0 && r.CpuWeight != 0 })),
		"linux.resources":              fieldOf(errors.New("x"), r, failing(func(r *cgroups.Resources) bool { return r.Memory != 0 && r.CpuShares != 0 })),
		"linux.resources.blockIO.throttleWriteIOPSDevice": fieldOf(&os.PathError{Path: "/x/io.max"},
			&cgroups.Resources{BlkioThrottleWriteIOPSDevice: []*cgroups.ThrottleDevice{{}}}, nil),
		// Where processes run nothing is tried.
		"linux.resources.pids.limit ":    fieldOf(errors.New("x"), &cgroups.Resources{PidsLimit: ptr(int64(1))}, nil) + " ",
		"linux.resources ":               fieldOf(errors.New("x"), r, nil) + " ",
		"linux.resources.blockIO.weight": fieldOf(&os.PathError{Path: "/x/io.bfq.weight"}, r, nil),
	} {
		if got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
}
