package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const cgroupRoot = "/sys/fs/cgroup"

// hierarchies are the directories where cgroups are mounted: one for each controller of cgroup v1,
// or the root of cgroup v2.
func hierarchies() ([]string, error) {
	if isCgroup(cgroupRoot) {
		return []string{cgroupRoot}, nil
	}
	entries, err := os.ReadDir(cgroupRoot)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, e := range entries {
		if path := filepath.Join(cgroupRoot, e.Name()); e.IsDir() && isCgroup(path) {
			found = append(found, path)
		}
	}
	return found, nil
}

func isCgroup(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && (st.Type == unix.CGROUP_SUPER_MAGIC || st.Type == unix.CGROUP2_SUPER_MAGIC)
}

// makeCgroups makes the cgroups of the node and of its pods, as the kubelet does.
func (w *world) makeCgroups() error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range roots {
		for _, name := range []string{"", "node", "pods"} {
			path := filepath.Join(root, w.name, name)
			if err := os.Mkdir(path, 0o755); err != nil {
				return err
			}
			// A cgroup of v1's cpuset has no CPUs until it is given some.
			for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
				data, err := os.ReadFile(filepath.Join(filepath.Dir(path), file))
				if err == nil && filepath.Base(root) == "cpuset" {
					err = os.WriteFile(filepath.Join(path, file), data, 0o644)
				}
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
			}
		}
	}
	return nil
}

// accounting is the hierarchy that accounts CPU time.
func accounting() string {
	if path := filepath.Join(cgroupRoot, "cpuacct"); isCgroup(path) {
		return path
	}
	return cgroupRoot
}

// cpuTime is the CPU time of everything that ever ran in the world's cgroups.
func (w *world) cpuTime() (time.Duration, error) {
	dir := filepath.Join(accounting(), w.name)
	if data, err := os.ReadFile(filepath.Join(dir, "cpuacct.usage")); err == nil {
		ns, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
		return time.Duration(ns), err
	}
	data, err := os.ReadFile(filepath.Join(dir, "cpu.stat"))
	if err != nil {
		return 0, err
	}
	return parseCPUStat(string(data))
}

// parseCPUStat reads the line usage_usec of cgroup v2's cpu.stat.
func parseCPUStat(text string) (time.Duration, error) {
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == "usage_usec" {
			us, err := strconv.ParseInt(fields[1], 10, 64)
			return time.Duration(us) * time.Microsecond, err
		}
	}
	return 0, errors.New("cpu.stat: usage_usec is missing")
}

// cgroupsBelow lists what is below a world's cgroups in all hierarchies, children before their parents.
// In a v1 view of a hybrid layout crun writes plain directories where the v2 hierarchy was mounted;
// those are not cgroups.
func cgroupsBelow(name string) ([]string, error) {
	roots, err := filepath.Glob(filepath.Join(cgroupRoot, "*", name))
	if err != nil {
		return nil, err
	}
	if isCgroup(cgroupRoot) {
		roots = []string{filepath.Join(cgroupRoot, name)}
	}
	var found []string
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err == nil && entry.IsDir() {
				found = append(found, path)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Reverse(found)
	return found, nil
}

// removeCgroups removes a world's cgroups after everything in them has been killed. The kernel needs a
// moment to take the dead out of them.
func removeCgroups(name string) error {
	paths, err := cgroupsBelow(name)
	if err != nil {
		return err
	}
	var failed []error
	for _, path := range paths {
		if !isCgroup(path) {
			failed = append(failed, os.RemoveAll(path))
			continue
		}
		var err error
		for range 250 {
			if err = unix.Rmdir(path); err == nil || err == unix.ENOENT {
				err = nil
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", path, err))
		}
	}
	return errors.Join(failed...)
}
