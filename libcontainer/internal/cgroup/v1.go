package cgroup

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/moby/sys/mountinfo"
	"github.com/opencontainers/cgroups"
	"github.com/rtcontainers/rt/internal/sysfile"
	"golang.org/x/sys/unix"
)

// This file does what every container on v1 needs. The library handles each of the nine to
// fourteen hierarchies on its own, and reads /proc/self/cgroup and the mounts once for
// each. Unusual cases are left to the library.

// hierarchies are those of cgroup v1 on this host, and rt's own cgroups in them.
type hierarchies struct {
	own []membership
	// mounts reads the mounts once: the kernel takes long where many containers run.
	mounts func() ([]*mountinfo.Info, error)
}

func newHierarchies(own []membership) hierarchies {
	return hierarchies{own, sync.OnceValues(v1Mounts)}
}

func v1Mounts() ([]*mountinfo.Info, error) {
	// The library would lock the goroutine to its thread, and the Go runtime would start
	// another one.
	text, err := sysfile.Read("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	// Of the many mounts of a host with many containers, only these are parsed.
	var lines []byte
	for line := range bytes.Lines(text) {
		if bytes.Contains(line, []byte(" - cgroup ")) {
			lines = append(lines, line...)
		}
	}
	return mountinfo.GetMountsFromReader(bytes.NewReader(lines), mountinfo.FSTypeFilter("cgroup"))
}

// paths works out the container's directory in every mounted hierarchy, by controller. The
// path inner is absolute below the mount points, or relative to rt's own cgroups.
func (h hierarchies) paths(inner string) (map[string]string, error) {
	if len(h.own) == 0 {
		return map[string]string{}, nil // nil would tell the library to find them itself
	}
	mounts, err := h.mounts()
	if err != nil {
		return nil, err
	}
	paths := map[string]string{}
	for _, m := range mounts {
		for controller := range strings.SplitSeq(m.VFSOptions, ",") {
			path, ok := find(h.own, controller)
			if _, seen := paths[controller]; !ok || seen {
				continue
			}
			if paths[controller], err = below(m.Mountpoint, m.Root, path, inner); err != nil {
				return nil, err
			}
		}
	}
	if path, ok := find(h.own, ""); ok && cgroups.IsCgroup2HybridMode() {
		paths[""], err = below(hybridMountpoint, "/", path, inner)
	}
	return paths, err
}

// membership is a hierarchy that a process is in: cgroups(7), /proc/PID/cgroup.
type membership struct {
	// controllers are joined by commas, "" in v2; name=NAME without any.
	controllers, path string
}

// memberships are the cgroups of a process, by its name in /proc.
func memberships(pid string) ([]membership, error) {
	text, err := sysfile.Read("/proc/" + pid + "/cgroup")
	if err != nil {
		return nil, err
	}
	var list []membership
	for line := range strings.Lines(string(text)) {
		// ID:CONTROLLERS:PATH
		if parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3); len(parts) == 3 {
			list = append(list, membership{parts[1], parts[2]})
		}
	}
	return list, nil
}

// find returns the cgroup of a controller, "" being v2.
func find(list []membership, controller string) (path string, ok bool) {
	for _, m := range list {
		for c := range strings.SplitSeq(m.controllers, ",") {
			if c == controller {
				return m.path, true
			}
		}
	}
	return "", false
}

// Where cgroup v2 is mounted: alone, or beside the hierarchies of v1.
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

// inheritCPUs fills cpuset.cpus and cpuset.mems; without them no process can enter:
// cpuset(7).
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
