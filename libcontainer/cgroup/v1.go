package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"
	"github.com/moby/sys/userns"
	"github.com/opencontainers/cgroups"
	devices "github.com/opencontainers/cgroups/devices/config"
	"github.com/rtcontainers/rt/internal/sysfile"
	"golang.org/x/sys/unix"
)

// What every container on v1 needs is done here, and not by the library, which
// looks at each of the nine to fourteen hierarchies as if it were alone: it
// reads /proc/self/cgroup and the mounts once for each. What is unusual is left
// to the library.

// v1Paths works out the container's directory in every mounted hierarchy, by
// controller. The path inner is absolute below the mount points, or relative to
// rt's own cgroup.
func v1Paths(inner string) (map[string]string, error) {
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup"))
	if err != nil {
		return nil, err
	}
	own, err := cgroups.ParseCgroupFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	paths := map[string]string{}
	for _, m := range mounts {
		for controller := range strings.SplitSeq(m.VFSOptions, ",") {
			path, ok := own[controller]
			if _, seen := paths[controller]; !ok || seen {
				continue
			}
			if paths[controller], err = below(m.Mountpoint, m.Root, path, inner); err != nil {
				return nil, err
			}
		}
	}
	if path, ok := own[""]; ok && cgroups.IsCgroup2HybridMode() {
		paths[""], err = below(hybridMountpoint, "/", path, inner)
	}
	return paths, err
}

// Where cgroup v2 lies alone, and beside the hierarchies of v1.
const (
	unifiedRoot      = "/sys/fs/cgroup"
	hybridMountpoint = "/sys/fs/cgroup/unified"
)

// below joins a mount point with the container's path. A mount may show only a
// part of its hierarchy, whose path there is root.
func below(mountpoint, root, own, inner string) (string, error) {
	if filepath.IsAbs(inner) {
		return filepath.Join(mountpoint, inner), nil
	}
	relative, err := filepath.Rel(root, own)
	return filepath.Join(mountpoint, relative, inner), err
}

// errUnusual leaves a task to the library.
var errUnusual = errors.New("not for the short way")

// createV1 makes the directories whose parents exist.
func (c *Cgroup) createV1() error {
	if r := c.resources; r.CpuRtRuntime != 0 || r.CpuRtPeriod != 0 || c.Rootless {
		return errUnusual
	}
	seen := map[string]bool{} // a hierarchy can have several controllers
	for controller, path := range c.Paths {
		if seen[path] {
			continue
		}
		seen[path] = true
		err := unix.Mkdir(path, 0o755)
		switch {
		case err == unix.EEXIST:
			c.existed = true
		case err == unix.ENOENT:
			return errUnusual
		case err != nil && controller != "" && !strings.HasPrefix(controller, "name="):
			return &os.PathError{Op: "mkdir", Path: path, Err: err}
		}
	}
	return c.inheritCPUs()
}

// inheritCPUs fills cpuset.cpus and cpuset.mems, without which no process can
// enter: cpuset(7).
func (c *Cgroup) inheritCPUs() error {
	dir, ok := c.Paths["cpuset"]
	if !ok {
		return nil
	}
	for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
		file := filepath.Join(dir, name)
		if c.existed {
			if value, err := sysfile.Read(file); err == nil && len(value) > 1 {
				continue
			}
		}
		value, err := sysfile.Read(filepath.Join(filepath.Dir(dir), name))
		if err != nil || len(value) < 2 {
			return errUnusual
		}
		if err := sysfile.Write(file, value); err != nil {
			return err
		}
	}
	return nil
}

// limitDevicesV1 writes the device rules of a cgroup that nobody is in yet.
func (c *Cgroup) limitDevicesV1() error {
	dir := c.Paths["devices"]
	if dir == "" || c.existed || c.Rootless || userns.RunningInUserNS() {
		return errUnusual
	}
	all := devices.Rule{Type: devices.WildcardDevice, Major: devices.Wildcard, Minor: devices.Wildcard, Permissions: "rwm"}
	for _, rule := range append([]*devices.Rule{&all}, c.resources.Devices...) {
		name := "devices.deny"
		if rule.Allow {
			name = "devices.allow"
		}
		if err := sysfile.Write(filepath.Join(dir, name), []byte(rule.CgroupString())); err != nil {
			return err
		}
	}
	return nil
}
