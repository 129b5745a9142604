package cgroup

import (
	"strings"

	"github.com/opencontainers/cgroups"
	devices "github.com/opencontainers/cgroups/devices/config"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Resources translates linux.resources, which is already checked, for the library.
func Resources(s *specs.Spec) *cgroups.Resources {
	c, r := new(cgroups.Resources), limitsOf(s)
	addDevices(c, r)
	for i := range limits {
		limits[i].translate(c, r)
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
		// Where all nodes may be made but some, it stays so.
		if d := &allowed[i]; d.Major != devices.Wildcard || !allowsNodes(r.Devices) {
			c.Devices = append(c.Devices, d)
		}
	}
}

// allowsNodes tells whether the last rule about all devices lets their nodes be made.
func allowsNodes(rules []specs.LinuxDeviceCgroup) (allow bool) {
	for _, d := range rules {
		if (d.Type == "" || d.Type == "a") && d.Major == nil && d.Minor == nil && (d.Access == "" || strings.Contains(d.Access, "m")) {
			allow = d.Allow
		}
	}
	return allow
}
