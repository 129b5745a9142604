package cgroup

import (
	"strings"

	"github.com/rtcontainers/rt/internal/sysfile"
	"github.com/rtcontainers/rt/libcontainer/compile"
)

// Facts describes the cgroup file systems for a container's cgroup mount.
func (c *Cgroup) Facts() (compile.Cgroup, error) {
	if dir := c.Unified(); dir != "" {
		return compile.Cgroup{Unified: dir}, nil
	}
	own, err := sysfile.Read("/proc/self/cgroup")
	if err != nil {
		return compile.Cgroup{}, err
	}
	var facts compile.Cgroup
	// cgroups(7): every line is ID:CONTROLLERS:PATH; v2 has no controllers.
	for _, line := range strings.Split(string(own), "\n") {
		parts := strings.SplitN(line, ":", 3)
		if len(parts) != 3 || parts[1] == "" {
			continue
		}
		if h := c.hierarchy(parts[1]); h != nil {
			facts.V1 = append(facts.V1, *h)
		}
	}
	return facts, nil
}

// hierarchy describes the v1 hierarchy with these controllers, if it is
// mounted and the container has a directory in it.
func (c *Cgroup) hierarchy(controllers string) *compile.Hierarchy {
	h := compile.Hierarchy{Name: strings.TrimPrefix(controllers, "name="), Options: strings.Split(controllers, ",")}
	for _, controller := range h.Options {
		if p, ok := c.Paths[controller]; ok {
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
