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
	"syscall"
	"time"
)

const cgroupRoot = "/sys/fs/cgroup"

// findObstacles looks for what a v2 view lacks. The v1 views have all that the bundles
// need.
func findObstacles(view string, competitors []competitor) ([]obstacle, error) {
	if view != "v2" {
		return nil, nil
	}
	text, err := os.ReadFile(filepath.Join(cgroupRoot, "cgroup.controllers"))
	if err != nil {
		return nil, err
	}
	obstacles := missingControllers(strings.Fields(string(text)))
	hasCrun := slices.ContainsFunc(competitors, func(c competitor) bool { return c.Name == "crun" })
	if hasCrun && !canUnlimitMemlock() {
		obstacles = append(obstacles, obstacle{
			"devices", "crun needs an unlimited RLIMIT_MEMLOCK for them, and may not set it here",
		})
	}
	return obstacles, nil
}

func missingControllers(available []string) []obstacle {
	var missing []obstacle
	for _, need := range []struct{ field, controller string }{
		{"memory", "memory"}, {"cpu", "cpu"}, {"pids", "pids"}, {"blockIO", "io"},
	} {
		if !slices.Contains(available, need.controller) {
			missing = append(missing, obstacle{need.field, "the view has no such controller"})
		}
	}
	return missing
}

// canUnlimitMemlock tries what crun does before it loads a program for devices.
func canUnlimitMemlock() bool {
	const memlock = 8 // RLIMIT_MEMLOCK
	var before syscall.Rlimit
	if syscall.Getrlimit(memlock, &before) != nil {
		return false
	}
	unlimited := syscall.Rlimit{Cur: ^uint64(0), Max: ^uint64(0)}
	if syscall.Setrlimit(memlock, &unlimited) != nil {
		return false
	}
	return syscall.Setrlimit(memlock, &before) == nil
}

// findCgroups lists the cgroups with a matching name, children before their parents.
func findCgroups(match func(name string) bool) ([]string, error) {
	var found []string
	err := filepath.WalkDir(cgroupRoot, func(path string, entry fs.DirEntry, err error) error {
		// Other processes' cgroups come and go.
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && entry.IsDir() && match(entry.Name()) {
			found = append(found, path)
		}
		return err
	})
	slices.Reverse(found)
	return found, err
}

// isCgroup tells cgroups from plain directories: in a v1 view of a hybrid layout, crun writes below
// the place where the v2 hierarchy was mounted, and does not clean up there.
func isCgroup(path string) bool {
	const v1, v2 = 0x27e0eb, 0x63677270 // CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC
	var stat syscall.Statfs_t
	return syscall.Statfs(path, &stat) == nil && (stat.Type == v1 || stat.Type == v2)
}

// removeCgroups kills what runs in the comparison's cgroups and removes them.
func removeCgroups(match func(name string) bool) error {
	paths, err := findCgroups(match)
	if err != nil {
		return err
	}
	var failed []error
	for _, path := range paths {
		failed = append(failed, removeCgroup(path))
	}
	return errors.Join(failed...)
}

func removeCgroup(path string) error {
	if !isCgroup(path) {
		return os.RemoveAll(path)
	}
	var err error
	for range 100 {
		if err = syscall.Rmdir(path); err == nil || errors.Is(err, syscall.ENOENT) {
			return nil
		}
		killAll(path)
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("remove cgroup %s: %w", path, err)
}

func killAll(cgroup string) {
	text, err := os.ReadFile(filepath.Join(cgroup, "cgroup.procs"))
	if err != nil {
		return
	}
	for _, line := range strings.Fields(string(text)) {
		// Zero stands for a process outside this pid namespace, and would mean this group.
		if pid, err := strconv.Atoi(line); err == nil && pid > 0 {
			syscall.Kill(pid, syscall.SIGKILL)
			syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
		}
	}
}
