package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// remains lists what pods make and must not leave: processes, cgroups, mounts, and files below /run,
// where containerd, shims, runtimes and CNI have their state, and below CNI's own directory. Network
// namespaces are files below /run/netns, and mounts.
func (n *node) remains() (map[string]bool, error) {
	found := map[string]bool{}
	pids, err := n.podProcesses()
	if err != nil {
		return nil, err
	}
	for pid := range pids {
		if name, err := describe(pid); err == nil {
			found[name] = true
		}
	}
	cgroups, err := cgroupsBelow(n.name)
	if err != nil {
		return nil, err
	}
	for _, path := range cgroups {
		if isCgroup(path) {
			found["cgroup "+path] = true
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	for _, point := range mountPoints(string(mounts)) {
		found["mount "+point] = true
	}
	for _, root := range []string{"/run", cniState, n.logDir()} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err == nil {
				found["file "+path] = true
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// describe names a process.
func describe(pid int) (string, error) {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return "", err
	}
	if len(line) == 0 { // it has ended, and nobody has waited for it
		if line, err = os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err != nil {
			return "", err
		}
	}
	words := strings.ReplaceAll(strings.Trim(string(line), "\x00\n"), "\x00", " ")
	return fmt.Sprintf("process %d: %s", pid, words), nil
}

// mountPoints reads proc_pid_mountinfo(5).
func mountPoints(text string) []string {
	var points []string
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) > 4 {
			points = append(points, fields[4])
		}
	}
	return points
}

// added lists what is in after only, in order.
func added(before, after map[string]bool) []string {
	var list []string
	for name := range after {
		if !before[name] {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}
