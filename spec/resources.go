package spec

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

const resourcesField = "linux.resources."

// resources checks linux.resources: config-linux.md, "Control groups". What
// only the kernel knows, such as how many CPUs there are, it decides itself.
func (v *validator) resources() {
	if v.s.Linux == nil || v.s.Linux.Resources == nil {
		return
	}
	r := v.s.Linux.Resources
	v.deviceRules(r.Devices)
	v.memory(r.Memory)
	v.cpu(r.CPU)
	v.blockIO(r.BlockIO)
	for i, h := range r.HugepageLimits {
		if !pageSize().MatchString(h.Pagesize) {
			v.add(fmt.Sprintf("%shugepageLimits[%d].pageSize", resourcesField, i), "%q is not a size such as 64KB, 2MB or 1GB", h.Pagesize)
		}
	}
	for name := range r.Unified {
		if strings.Contains(name, "/") || !strings.Contains(name, ".") {
			v.add(resourcesField+"unified", "%q is not the name of a file of cgroup v2, such as memory.high", name)
		}
	}
}

// Compiled when they are needed: most containers do not.
var (
	pageSize = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[1-9][0-9]*[KMG]B$`) })
	// cpuList is the list format of cpuset(7).
	cpuList = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^\s*\d+(-\d+(:\d+/\d+)?)?(\s*,\s*\d+(-\d+(:\d+/\d+)?)?)*\s*$`)
	})
)

func (v *validator) deviceRules(rules []specs.LinuxDeviceCgroup) {
	for i, d := range rules {
		field := fmt.Sprintf("%sdevices[%d]", resourcesField, i)
		if d.Type != "" && !strings.Contains("abcu", d.Type) || len(d.Type) > 1 {
			v.add(field+".type", "%q is not one of a, b, c", d.Type)
		}
		for j, letter := range d.Access {
			if !strings.ContainsRune("rwm", letter) || strings.ContainsRune(d.Access[:j], letter) {
				v.add(field+".access", "%q has other letters than r, w, m, or one twice", d.Access)
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
	}{
		{"limit", m.Limit}, {"reservation", m.Reservation}, {"swap", m.Swap}, {"kernel", m.Kernel}, {"kernelTCP", m.KernelTCP},
	} {
		if l.value != nil && *l.value < -1 {
			v.add(resourcesField+"memory."+l.name, "%d is neither a number of bytes nor -1 for no limit", *l.value)
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
	if c.Burst != nil && *c.Burst > 0 && (c.Quota == nil || *c.Quota <= 0) {
		v.add(resourcesField+"cpu.burst", "needs cpu.quota")
	}
	if c.Idle != nil && *c.Idle != 0 && *c.Idle != 1 {
		v.add(resourcesField+"cpu.idle", "%d is neither 0 nor 1", *c.Idle)
	}
	for _, l := range []struct{ name, list string }{{"cpus", c.Cpus}, {"mems", c.Mems}} {
		if l.list != "" && !cpuList().MatchString(l.list) {
			v.add(resourcesField+"cpu."+l.name, "%q is not a list such as 0-3,7", l.list)
		}
	}
}

// blockIO: a weight is 10 to 1000, 0 for none.
func (v *validator) blockIO(b *specs.LinuxBlockIO) {
	if b == nil {
		return
	}
	weight := func(field string, w *uint16) {
		if w != nil && *w != 0 && (*w < 10 || *w > 1000) {
			v.add(resourcesField+"blockIO."+field, "%d is outside 10 to 1000", *w)
		}
	}
	weight("weight", b.Weight)
	weight("leafWeight", b.LeafWeight)
	for i, d := range b.WeightDevice {
		weight(fmt.Sprintf("weightDevice[%d].weight", i), d.Weight)
		weight(fmt.Sprintf("weightDevice[%d].leafWeight", i), d.LeafWeight)
	}
}
