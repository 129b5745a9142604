package spec

import (
	"math"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

const resourcesField = "linux.resources."

// resources checks linux.resources: config-linux.md, "Control groups". The kernel checks
// what only it knows, such as the number of CPUs.
func (v *validator) resources(r *specs.LinuxResources) {
	if r == nil {
		return
	}
	v.deviceRules(r.Devices)
	v.memory(r.Memory)
	v.cpu(r.CPU)
	v.blockIO(r.BlockIO)
	v.hugepages(r.HugepageLimits)
	v.network(r.Network)
	v.rdma(r.Rdma)
	v.unified(r.Unified)
}

// limit requires a non-negative number, or -1 for no limit.
func (v *validator) limit(field string, n int64, what string) {
	if n < -1 {
		v.add(resourcesField+field, "%d is neither %s nor -1 for no limit", n, what)
	}
}

func (v *validator) deviceRules(rules []specs.LinuxDeviceCgroup) {
	for i, d := range rules {
		field := entry(resourcesField+"devices", i)
		if d.Type != "" && !strings.Contains("abcu", d.Type) || len(d.Type) > 1 {
			v.add(field+".type", "%q is not one of a, b, c", d.Type)
		}
		// -1 is what tools in between write for "all".
		if d.Major != nil {
			v.within(field+".major", *d.Major, -1, math.MaxUint32)
		}
		if d.Minor != nil {
			v.within(field+".minor", *d.Minor, -1, math.MaxUint32)
		}
		for j, letter := range d.Access {
			if !strings.ContainsRune("rwm", letter) || strings.ContainsRune(d.Access[:j], letter) {
				v.add(field+".access", "%q may contain only the letters r, w and m, each once", d.Access)
				break
			}
		}
	}
}

// memory: the limits are bytes, -1 for none.
func (v *validator) memory(m *specs.LinuxMemory) {
	if m == nil {
		return
	}
	for _, l := range []struct {
		name  string
		value *int64
		gone  bool
	}{
		{"limit", m.Limit, false}, {"reservation", m.Reservation, false}, {"swap", m.Swap, false},
		{"kernel", m.Kernel, true}, {"kernelTCP", m.KernelTCP, true},
	} {
		if l.value == nil {
			continue
		}
		v.limit("memory."+l.name, *l.value, "a number of bytes")
		if l.gone && *l.value >= 0 {
			v.warn(resourcesField+"memory."+l.name, "is ignored; the specification does not recommend it, and memory.limit counts the kernel's memory, too")
		}
	}
	if m.Swap != nil && *m.Swap > 0 && (m.Limit == nil || *m.Limit > *m.Swap) {
		v.add(resourcesField+"memory.swap", "%d is the limit of memory and swap together: it must be at least memory.limit, which must be set", *m.Swap)
	}
	if m.Swappiness != nil && *m.Swappiness > 100 {
		v.add(resourcesField+"memory.swappiness", "%d is above 100", *m.Swappiness)
	}
}

func (v *validator) cpu(c *specs.LinuxCPU) {
	if c == nil {
		return
	}
	v.bandwidth(c)
	v.realtime(c)
	v.list(resourcesField+"cpu.cpus", c.Cpus)
	v.list(resourcesField+"cpu.mems", c.Mems)
	if c.Idle != nil && *c.Idle != 0 && *c.Idle != 1 {
		v.add(resourcesField+"cpu.idle", "%d is neither 0 nor 1", *c.Idle)
	}
}

// The bounds of a quota and its period in microseconds: the kernel's
// sched-bwc.rst.
const (
	minBandwidth = 1000
	maxPeriod    = 1000000
)

// bandwidth: 0 leaves a value as it is, a negative quota is none.
func (v *validator) bandwidth(c *specs.LinuxCPU) {
	limited := c.Quota != nil && *c.Quota > 0
	if limited && *c.Quota < minBandwidth {
		v.add(resourcesField+"cpu.quota", "%d is below the kernel's minimum of %d microseconds", *c.Quota, minBandwidth)
	}
	// A burst without a quota is for a quota that may be set later.
	if limited && c.Burst != nil && *c.Burst > uint64(*c.Quota) {
		v.add(resourcesField+"cpu.burst", "%d is above cpu.quota, %d", *c.Burst, *c.Quota)
	}
	if p := c.Period; p != nil && *p != 0 && (*p < minBandwidth || *p > maxPeriod) {
		v.add(resourcesField+"cpu.period", "%d is outside %d to %d microseconds", *p, minBandwidth, maxPeriod)
	}
}

func (v *validator) realtime(c *specs.LinuxCPU) {
	if c.RealtimeRuntime == nil {
		return
	}
	runtime := *c.RealtimeRuntime
	v.limit("cpu.realtimeRuntime", runtime, "a number of microseconds")
	if p := c.RealtimePeriod; p != nil && *p > 0 && runtime > 0 && uint64(runtime) > *p {
		v.add(resourcesField+"cpu.realtimeRuntime", "%d is above cpu.realtimePeriod, %d", runtime, *p)
	}
}

// plainResources rewrites the numbers of older engines: -1 in an unsigned field means that
// the field is not set, and any negative pids limit means no limit.
func plainResources(r *specs.LinuxResources) {
	if r == nil {
		return
	}
	unset := func(fields ...**uint64) {
		for _, f := range fields {
			if *f != nil && **f == math.MaxUint64 {
				*f = nil
			}
		}
	}
	if c := r.CPU; c != nil {
		unset(&c.Shares, &c.Period, &c.Burst, &c.RealtimePeriod)
	}
	if m := r.Memory; m != nil {
		unset(&m.Swappiness)
	}
	if p := r.Pids; p != nil && p.Limit != nil && *p.Limit < 0 {
		none := int64(-1)
		p.Limit = &none
	}
}
