package main

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/opencontainers/runtime-tools/cgroups"
)

// removeCgroups removes the cgroups of the suite that a program left, and counts them. Runtimes do
// not remove the parents of a container's cgroup, even if they made them.
func removeCgroups() (int, error) {
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return 0, err
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return 0, err
	}
	removed := 0
	for _, dir := range suiteCgroups(parseMounts(mountinfo), string(own)) {
		// This removes neither files nor a cgroup that is in use.
		if syscall.Rmdir(dir) == nil {
			removed++
		}
	}
	return removed, nil
}

// suiteCgroups returns where the cgroups of the suite can be, children first. A relative path may
// be taken to begin at the root of a hierarchy or at one of the cgroups that are given in the form
// of /proc/PID/cgroup.
func suiteCgroups(mounts []mount, own string) []string {
	bases := []string{"/"}
	for line := range strings.Lines(own) {
		if fields := strings.SplitN(strings.TrimSpace(line), ":", 3); len(fields) == 3 && fields[2] != "/" {
			bases = append(bases, fields[2])
		}
	}
	var dirs []string
	for _, m := range mounts {
		if m.kind != "cgroup" && m.kind != "cgroup2" {
			continue
		}
		dirs = append(dirs, filepath.Join(m.point, cgroups.AbsCgroupPath))
		for _, base := range bases {
			for rel := path.Clean(cgroups.RelCgroupPath); rel != "."; rel = path.Dir(rel) {
				dirs = append(dirs, filepath.Join(m.point, base, rel))
			}
		}
	}
	return dirs
}
