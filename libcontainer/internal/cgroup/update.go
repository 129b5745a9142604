package cgroup

import "github.com/opencontainers/cgroups"

// Update sets new limits, and the device rules if they changed.
func (c *Cgroup) Update(r *cgroups.Resources, devices bool) error {
	r.SkipDevices = !devices
	if r.CPUIdle != nil && *r.CPUIdle == 0 {
		// The kernel accepts no shares while cpu.idle is set, and the library sets the
		// shares first.
		if err := c.set(&cgroups.Resources{CPUIdle: r.CPUIdle, SkipDevices: true}, nil); err != nil {
			return err
		}
	}
	return c.set(r, nil)
}
