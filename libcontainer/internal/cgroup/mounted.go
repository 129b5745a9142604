package cgroup

import (
	"path/filepath"
	"strings"

	"github.com/opencontainers/cgroups"
	"golang.org/x/sys/unix"
)

// Mounted describes the cgroup file systems for a container's cgroup mounts.
type Mounted struct {
	// Unified is the path of the container's directory in cgroup v2; empty
	// when the machine mounts v1 hierarchies.
	Unified string
	// V2 is where the host has mounted cgroup v2, alone or beside v1. It is empty if the
	// host has not.
	V2 string
	// V1 are the mounted v1 hierarchies.
	V1 []Hierarchy
}

// Hierarchy is one cgroup v1 hierarchy.
type Hierarchy struct {
	// Name is the directory below /sys/fs/cgroup, such as "cpu,cpuacct".
	Name string
	// Options select the hierarchy when it is mounted: controllers or name=X.
	Options []string
	// Path is the container's directory.
	Path string
	// Aliases are symlinks to Name.
	Aliases []string
}

// Facts describes the cgroup file systems for the cgroup mount of a container that New was
// called for.
func (c *Cgroup) Facts() (Mounted, error) {
	if dir := c.Unified(); dir != "" {
		return Mounted{Unified: dir, V2: unifiedRoot}, nil
	}
	if c.none && cgroups.IsCgroup2UnifiedMode() {
		return Mounted{Unified: unifiedRoot, V2: unifiedRoot}, nil
	}
	var facts Mounted
	var st unix.Statfs_t
	if unix.Statfs(hybridMountpoint, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC {
		facts.V2 = hybridMountpoint
	}
	paths, err := c.shownPaths()
	if err != nil {
		return facts, err
	}
	for _, m := range c.v1.own {
		if m.controllers == "" {
			continue // v2
		}
		if h := hierarchy(m.controllers, paths); h != nil {
			facts.V1 = append(facts.V1, *h)
		}
	}
	return facts, nil
}

// shownPaths are the directories that the container sees, by controller: rt's own if the
// user may not make one.
func (c *Cgroup) shownPaths() (map[string]string, error) {
	if c.none {
		return c.v1.paths("")
	}
	if !c.Rootless {
		return c.Paths, nil
	}
	own, err := c.v1.paths("")
	if err != nil {
		return nil, err
	}
	shown := map[string]string{}
	for controller, path := range c.Paths {
		if shown[controller] = path; !canExist(path) {
			shown[controller] = own[controller]
		}
	}
	return shown, nil
}

// canExist tells whether a directory exists or can be made.
func canExist(path string) bool {
	if unix.Access(path, unix.F_OK) == nil {
		return true
	}
	for path != "/" {
		path = filepath.Dir(path)
		if unix.Access(path, unix.F_OK) == nil {
			break
		}
	}
	return unix.Access(path, unix.W_OK) == nil
}

// hierarchy describes the v1 hierarchy with these controllers, if it is
// mounted and the container has a directory in it.
func hierarchy(controllers string, paths map[string]string) *Hierarchy {
	h := Hierarchy{Name: strings.TrimPrefix(controllers, "name="), Options: strings.Split(controllers, ",")}
	for _, controller := range h.Options {
		if p, ok := paths[controller]; ok {
			h.Path = p
		}
	}
	if h.Path == "" {
		return nil
	}
	if len(h.Options) > 1 {
		h.Aliases = h.Options
	}
	return &h
}
