package cgroup

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ParseBelow reads where below a container's cgroup a process belongs: each value is a
// path for all controllers, or CONTROLLER[,CONTROLLER]:PATH. The result is by controller,
// "" for all others.
func ParseBelow(values []string) (map[string]string, error) {
	below := map[string]string{}
	for _, v := range values {
		controllers, path, named := strings.Cut(v, ":")
		if !named {
			controllers, path = "", v
		}
		for controller := range strings.SplitSeq(controllers, ",") {
			if _, twice := below[controller]; twice {
				return nil, fmt.Errorf("%q: given twice", v)
			}
			below[controller] = path
		}
	}
	return below, nil
}

// PlacementBelow is where a further process of the container is born: in the container's
// cgroup, or in an existing one below it.
func (c *Cgroup) PlacementBelow(below map[string]string) (*Placement, error) {
	named, err := c.byHierarchy(below)
	if err != nil {
		return nil, err
	}
	var problems []error
	p, err := c.placement(c.Paths, func(_, path string) string {
		sub, ok := named[path]
		if !ok {
			sub = below[""]
		}
		place, err := inside(path, sub)
		if err != nil && !slices.ContainsFunc(problems, func(e error) bool { return e.Error() == err.Error() }) {
			problems = append(problems, err) // once, not for each hierarchy
		}
		return place
	})
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	p.withoutHalting()
	return p, err
}

// byHierarchy is below by the container's directories. Controllers of cgroup v1 may share
// a hierarchy, as cpu and cpuacct do: a process has one place there.
func (c *Cgroup) byHierarchy(below map[string]string) (map[string]string, error) {
	named, by := map[string]string{}, map[string]string{}
	for _, controller := range slices.Sorted(maps.Keys(below)) {
		dir, ok := c.Paths[controller]
		switch sub, twice := named[dir]; {
		case controller == "":
			continue
		case !ok || c.Unified() != "":
			return nil, fmt.Errorf("--cgroup: the container has no cgroup of the controller %q", controller)
		case twice && filepath.Clean("/"+sub) != filepath.Clean("/"+below[controller]):
			return nil, fmt.Errorf("--cgroup: %s and %s share a hierarchy: give them the same path, or only one of them", by[dir], controller)
		}
		named[dir], by[dir] = below[controller], controller
	}
	return named, nil
}

// PlacementOf is where a process is that may have moved below the container's cgroup. On
// v2, a container that enables controllers for cgroups below its own cannot have processes
// in its own any more: cgroups(7), "no internal processes".
func (c *Cgroup) PlacementOf(pid int) (*Placement, error) {
	theirs, err := memberships(strconv.Itoa(pid))
	if err != nil {
		return nil, err
	}
	path, _ := find(theirs, "")
	place := filepath.Join(unifiedRoot, path)
	if !strings.HasPrefix(place, c.Unified()+"/") {
		return nil, fmt.Errorf("process %d is not in a cgroup below %s", pid, c.Unified())
	}
	p, err := c.placement(c.Paths, func(string, string) string { return place })
	if err == nil && p.Dir == nil {
		return nil, &os.PathError{Op: "open", Path: place, Err: os.ErrNotExist}
	}
	return p, err
}

// inside joins a cgroup's directory and a path below it that must exist.
func inside(dir, sub string) (string, error) {
	place := filepath.Join(dir, sub)
	if place != dir && !strings.HasPrefix(place, dir+"/") {
		return "", fmt.Errorf("--cgroup: %q leads out of the container's cgroup", sub)
	}
	if sub == "" {
		return place, nil
	}
	if _, err := os.Stat(place); err != nil {
		return "", fmt.Errorf("--cgroup: %w", err)
	}
	return place, nil
}
