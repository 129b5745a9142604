package cgroup

import "github.com/opencontainers/cgroups"

// Update sets new limits, and the device rules if they changed.
func (c *Cgroup) Update(r *cgroups.Resources, devices bool) error {
	r.SkipDevices = !devices
	if r.CPUIdle != nil && *r.CPUIdle == 0 {
		// The kernel accepts no shares while cpu.idle is set, and the library sets the
		// shares first.
		if err := c.set(&cgroups.Resources{CPUIdle: r.CPUIdle, SkipDevices: true}); err != nil {
			return err
		}
	}
	return c.set(r)
}

// Complete sets limits that are not set to the kernel's default if other limits set them,
// so that they can be reset.
func Complete(before, other *cgroups.Resources) {
	none := func(to *int64, other int64) {
		if *to == 0 && other != 0 {
			*to = -1
		}
	}
	none(&before.Memory, other.Memory)
	none(&before.MemorySwap, other.MemorySwap)
	none(&before.MemoryReservation, other.MemoryReservation)
	none(&before.CpuQuota, other.CpuQuota)
	if before.PidsLimit == nil && other.PidsLimit != nil {
		unlimited := int64(-1)
		before.PidsLimit = &unlimited
	}
	if before.CpuPeriod == 0 && other.CpuPeriod != 0 {
		before.CpuPeriod = 100_000
	}
	if before.CpuShares == 0 && other.CpuShares != 0 {
		before.CpuShares, before.CpuWeight = 1024, 100
	}
	if before.CPUIdle == nil && other.CPUIdle != nil {
		before.CPUIdle = new(int64)
	}
	if before.CpuBurst == nil && other.CpuBurst != nil {
		before.CpuBurst = new(uint64)
	}
}
