package cgroup

import (
	"github.com/opencontainers/cgroups"
	devices "github.com/opencontainers/cgroups/devices/config"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Resources translates linux.resources, which is already checked, for the library.
func Resources(s *specs.Spec) *cgroups.Resources {
	c := &cgroups.Resources{}
	var r *specs.LinuxResources
	if s.Linux != nil {
		r = s.Linux.Resources
	}
	if r == nil {
		r = &specs.LinuxResources{}
	}
	addDevices(c, r)
	addMemory(c, r.Memory)
	addCPU(c, r.CPU)
	if r.Pids != nil {
		c.PidsLimit = r.Pids.Limit
	}
	addBlockIO(c, r.BlockIO)
	for _, h := range r.HugepageLimits {
		c.HugetlbLimit = append(c.HugetlbLimit, &cgroups.HugepageLimit{Pagesize: h.Pagesize, Limit: h.Limit})
	}
	if r.Network != nil {
		if r.Network.ClassID != nil {
			c.NetClsClassid = *r.Network.ClassID
		}
		for _, p := range r.Network.Priorities {
			c.NetPrioIfpriomap = append(c.NetPrioIfpriomap, &cgroups.IfPrioMap{Interface: p.Name, Priority: int64(p.Priority)})
		}
	}
	if len(r.Rdma) > 0 {
		c.Rdma = map[string]cgroups.LinuxRdma{}
		for name, l := range r.Rdma {
			c.Rdma[name] = cgroups.LinuxRdma{HcaHandles: l.HcaHandles, HcaObjects: l.HcaObjects}
		}
	}
	if len(r.Unified) > 0 {
		c.Unified = r.Unified
	}
	return c
}

// allowed are the devices that every container may use, besides those of
// linux.resources.devices: config-linux.md, "Default Devices", and /dev/net/tun, as with
// runc and crun. A container may make any device node, but not open it.
var allowed = []devices.Rule{
	{Type: devices.CharDevice, Major: devices.Wildcard, Minor: devices.Wildcard, Permissions: "m", Allow: true},
	{Type: devices.BlockDevice, Major: devices.Wildcard, Minor: devices.Wildcard, Permissions: "m", Allow: true},
	{Type: devices.CharDevice, Major: 1, Minor: 3, Permissions: "rwm", Allow: true},
	{Type: devices.CharDevice, Major: 1, Minor: 5, Permissions: "rwm", Allow: true},
	{Type: devices.CharDevice, Major: 1, Minor: 7, Permissions: "rwm", Allow: true},
	{Type: devices.CharDevice, Major: 1, Minor: 8, Permissions: "rwm", Allow: true},
	{Type: devices.CharDevice, Major: 1, Minor: 9, Permissions: "rwm", Allow: true},
	{Type: devices.CharDevice, Major: 5, Minor: 0, Permissions: "rwm", Allow: true},
	{Type: devices.CharDevice, Major: 5, Minor: 2, Permissions: "rwm", Allow: true},
	{Type: devices.CharDevice, Major: 10, Minor: 200, Permissions: "rwm", Allow: true}, // tun
	{Type: devices.CharDevice, Major: 136, Minor: devices.Wildcard, Permissions: "rwm", Allow: true},
}

// onlyDevices tells whether a configuration limits nothing but access to devices.
func onlyDevices(s *specs.Spec) bool {
	if s.Linux == nil || s.Linux.Resources == nil {
		return true
	}
	r := s.Linux.Resources
	return r.Memory == nil && r.CPU == nil && r.Pids == nil && r.BlockIO == nil && len(r.HugepageLimits) == 0 &&
		r.Network == nil && len(r.Rdma) == 0 && len(r.Unified) == 0
}

func addDevices(c *cgroups.Resources, r *specs.LinuxResources) {
	for _, d := range r.Devices {
		rule := devices.Rule{Type: devices.WildcardDevice, Major: devices.Wildcard, Minor: devices.Wildcard,
			Permissions: devices.Permissions(d.Access), Allow: d.Allow}
		switch d.Type {
		case "c", "u":
			rule.Type = devices.CharDevice
		case "b":
			rule.Type = devices.BlockDevice
		}
		if d.Access == "" {
			rule.Permissions = "rwm"
		}
		if d.Major != nil {
			rule.Major = *d.Major
		}
		if d.Minor != nil {
			rule.Minor = *d.Minor
		}
		c.Devices = append(c.Devices, &rule)
	}
	for i := range allowed {
		c.Devices = append(c.Devices, &allowed[i])
	}
}

func addMemory(c *cgroups.Resources, m *specs.LinuxMemory) {
	if m == nil {
		return
	}
	set(&c.Memory, m.Limit)
	set(&c.MemoryReservation, m.Reservation)
	set(&c.MemorySwap, m.Swap)
	set(&c.OomKillDisable, m.DisableOOMKiller)
	set(&c.MemoryCheckBeforeUpdate, m.CheckBeforeUpdate)
	c.MemorySwappiness = m.Swappiness
}

func addCPU(c *cgroups.Resources, p *specs.LinuxCPU) {
	if p == nil {
		return
	}
	set(&c.CpuShares, p.Shares)
	if p.Shares != nil {
		c.CpuWeight = cgroups.ConvertCPUSharesToCgroupV2Value(*p.Shares)
	}
	set(&c.CpuQuota, p.Quota)
	set(&c.CpuPeriod, p.Period)
	set(&c.CpuRtRuntime, p.RealtimeRuntime)
	set(&c.CpuRtPeriod, p.RealtimePeriod)
	c.CpuBurst, c.CPUIdle = p.Burst, p.Idle
	c.CpusetCpus, c.CpusetMems = p.Cpus, p.Mems
}

func addBlockIO(c *cgroups.Resources, b *specs.LinuxBlockIO) {
	if b == nil {
		return
	}
	set(&c.BlkioWeight, b.Weight)
	set(&c.BlkioLeafWeight, b.LeafWeight)
	for _, d := range b.WeightDevice {
		var weight, leaf uint16
		set(&weight, d.Weight)
		set(&leaf, d.LeafWeight)
		c.BlkioWeightDevice = append(c.BlkioWeightDevice, cgroups.NewWeightDevice(d.Major, d.Minor, weight, leaf))
	}
	for _, t := range []struct {
		to   *[]*cgroups.ThrottleDevice
		from []specs.LinuxThrottleDevice
	}{
		{&c.BlkioThrottleReadBpsDevice, b.ThrottleReadBpsDevice}, {&c.BlkioThrottleWriteBpsDevice, b.ThrottleWriteBpsDevice},
		{&c.BlkioThrottleReadIOPSDevice, b.ThrottleReadIOPSDevice}, {&c.BlkioThrottleWriteIOPSDevice, b.ThrottleWriteIOPSDevice},
	} {
		for _, d := range t.from {
			*t.to = append(*t.to, cgroups.NewThrottleDevice(d.Major, d.Minor, d.Rate))
		}
	}
}

// set copies a value if it is set.
func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}
