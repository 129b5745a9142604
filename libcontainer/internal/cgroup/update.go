package cgroup

import "github.com/opencontainers/cgroups"

// Update sets new limits, and device rules if they are others.
func (c *Cgroup) Update(r *cgroups.Resources, devices bool) error {
	r.SkipDevices = !devices
	if r.CPUIdle != nil && *r.CPUIdle == 0 {
		// The kernel takes no shares as long as the cgroup is idle, and the library
		// sets them first.
		if err := c.set(&cgroups.Resources{CPUIdle: r.CPUIdle, SkipDevices: true}); err != nil {
			return err
		}
	}
	return c.set(r)
}
