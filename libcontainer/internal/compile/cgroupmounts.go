package compile

import (
	"cmp"
	"fmt"
	"path"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// cgroupMount shows the container its cgroups. In a cgroup namespace it makes new mounts,
// which begin at the container's own cgroup. Without one it shows v2 as a whole, and of v1
// bind mounts of the container's own cgroups. On v1 the mount is a tmpfs with a directory
// for every hierarchy.
func (c *compiler) cgroupMount(field string, m *specs.Mount, o mountOptions) {
	o.set, o.clear, o.rset, o.rclear = o.set|o.rset, o.clear|o.rclear, 0, 0
	if defence.Off(defence.CgroupMount) {
		o.set &^= unix.MOUNT_ATTR_RDONLY
	}
	if c.host.Cgroup.Unified != "" || m.Type == "cgroup2" {
		mount := c.cgroup2(field, o)
		c.attach(m, inRoot, mount)
		c.covered(path.Clean("/" + m.Destination))
		c.close(mount)
		return
	}
	top := c.newMount("tmpfs", "tmpfs", mountOptions{
		set: o.set &^ unix.MOUNT_ATTR_RDONLY, propagation: o.propagation, recursive: o.recursive, data: []string{"mode=755"},
	})
	c.attach(m, inRoot, top)
	c.covered(path.Clean("/" + m.Destination))
	for _, h := range c.host.Cgroup.V1 {
		c.Source(field, fmt.Sprintf("mount the cgroup hierarchy %s on %q", h.Name, path.Join(m.Destination, h.Name)))
		c.hierarchy(field, top, h, o)
	}
	if o.set&unix.MOUNT_ATTR_RDONLY != 0 {
		c.setAttributes(top, unix.MOUNT_ATTR_RDONLY, 0, 0, false)
	}
	c.close(top)
}

// hostCgroups tells whether the container sees the cgroups as the host does.
func (c *compiler) hostCgroups() bool {
	return spec.FindNamespace(c.spec, specs.CgroupNamespace) == nil || c.host.Cgroup.Joined
}

// cgroup2 shows all of the hierarchy if there is no cgroup namespace, because the paths in
// /proc/self/cgroup begin at its root. It is a copy of the host's mount. In the first
// cgroup namespace a new mount would set the options of the whole hierarchy again, such as
// nsdelegate, and wait for an RCU grace period (apply_cgroup_root_flags in
// kernel/cgroup/cgroup.c); a user namespace may not do that at all.
func (c *compiler) cgroup2(field string, o mountOptions) program.Reg {
	host := c.host.Cgroup.V2
	if c.hostCgroups() {
		// The host's mount has them, or not, and a container cannot change that.
		o.data = slices.DeleteFunc(slices.Clone(o.data), func(option string) bool { return slices.Contains(spec.CgroupOptions, option) })
	}
	if !c.hostCgroups() || host == "" || len(o.data)+len(o.super) > 0 || defence.Off(defence.HostCgroups) {
		return c.newMount("cgroup2", "cgroup", o)
	}
	inUser := spec.FindNamespace(c.spec, specs.UserNamespace) != nil
	tree := c.tree(field, host, inUser) // a user namespace must not see what is hidden there
	if !inUser {
		c.setAttributes(tree, o.set, o.clear|exactAttributes&^o.set, cmp.Or(o.propagation, unix.MS_PRIVATE), false)
		return tree
	}
	c.attributesOf(tree, o.set, o.clear, true)
	return tree
}

func (c *compiler) hierarchy(field string, top program.Reg, h Hierarchy, o mountOptions) {
	var mount program.Reg
	if !c.hostCgroups() {
		mount = c.newMount("cgroup", "cgroup", mountOptions{set: o.set, propagation: o.propagation, data: h.Options})
	} else {
		own := h.Path
		if defence.Off(defence.CgroupMount) {
			own = "/sys/fs/cgroup/" + h.Name
		}
		mount = c.tree(field, own, false)
		c.attributes(mount, mountOptions{set: o.set, clear: o.clear, propagation: o.propagation})
	}
	dir := c.Reg()
	c.Do(program.Mkdirat, program.R(top), c.Str(h.Name), program.Imm(0o755))
	c.openat2(dir, program.R(top), h.Name, unix.O_PATH|unix.O_DIRECTORY, inRootExact)
	c.moveMount(mount, dir)
	c.close(dir, mount)
	for _, alias := range h.Aliases {
		c.Do(program.Symlinkat, c.Str(h.Name), program.R(top), c.Str(alias))
	}
}
