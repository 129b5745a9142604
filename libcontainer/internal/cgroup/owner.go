package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/cgroups"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/spec"
)

// owner is the host's id of the user that may divide the container's cgroup further, or
// nil: config-linux.md, "Cgroup ownership". On v1 that would not be safe.
func owner(s *specs.Spec) *int {
	ns := spec.FindNamespace(s, specs.CgroupNamespace)
	if !cgroups.IsCgroup2UnifiedMode() || ns == nil || ns.Path != "" || s.Process == nil || !slices.ContainsFunc(s.Mounts, isWritableCgroup) {
		return nil
	}
	uid := s.Process.User.UID
	if ns := spec.FindNamespace(s, specs.UserNamespace); ns != nil && ns.Path != "" {
		return nil // whose maps are not known here
	} else if ns != nil {
		var mapped bool
		if uid, mapped = spec.HostID(s.Linux.UIDMappings, uid); !mapped {
			return nil
		}
	}
	id := int(uid)
	return &id
}

func isWritableCgroup(m specs.Mount) bool {
	return m.Source == "cgroup" && filepath.Clean(m.Destination) == "/sys/fs/cgroup" && !slices.Contains(m.Options, "ro")
}

// delegated are the files of a cgroup that its owner gets: cgroups(7).
func delegated() []string {
	list, err := os.ReadFile("/sys/kernel/cgroup/delegate")
	if err != nil {
		return []string{"cgroup.procs", "cgroup.subtree_control", "cgroup.threads"}
	}
	return strings.Fields(string(list))
}

// giveAway changes the owner of the directory and of the files that exist in it.
func (c *Cgroup) giveAway() error {
	if c.owner == nil || *c.owner == os.Geteuid() {
		return nil
	}
	for _, name := range append([]string{""}, delegated()...) {
		err := os.Chown(filepath.Join(c.Unified(), name), *c.owner, -1)
		if err != nil && !errors.Is(err, os.ErrNotExist) && !(c.Rootless && errors.Is(err, os.ErrPermission)) {
			return fmt.Errorf("linux.cgroupsPath: change the owner of the cgroup: %w", err)
		}
	}
	return nil
}
