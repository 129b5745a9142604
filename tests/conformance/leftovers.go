package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// killProcesses kills the processes that outlived the program and its containers.
func (s *scratch) killProcesses() (int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, err
	}
	killed := 0
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || !s.owns(filepath.Join("/proc", entry.Name())) {
			continue
		}
		if syscall.Kill(pid, syscall.SIGKILL) == nil {
			killed++
		}
	}
	return killed, nil
}

// owns tells whether the process in the given directory of /proc comes from the program: it has
// the program's environment, or one of the bundles for its root. A process that ends meanwhile
// reads as empty.
func (s *scratch) owns(proc string) bool {
	environ, _ := os.ReadFile(filepath.Join(proc, "environ"))
	if slices.Contains(strings.Split(string(environ), "\x00"), s.mark()) {
		return true
	}
	if root, _ := os.Readlink(filepath.Join(proc, "root")); s.contains(root) {
		return true
	}
	mountinfo, _ := os.ReadFile(filepath.Join(proc, "mountinfo"))
	return s.isRoot(mountinfo)
}

// isRoot tells whether the root of a mount namespace is a bundle of the scratch directory. Such a
// mount's origin is relative to its file system, which need not be mounted at "/": only the name of
// the scratch directory, which is unique, is sure to be in it.
func (s *scratch) isRoot(mountinfo []byte) bool {
	name := "/" + filepath.Base(s.dir) + "/"
	for _, m := range parseMounts(mountinfo) {
		if m.point == "/" && strings.Contains(m.origin, name) {
			return true
		}
	}
	return false
}

func (s *scratch) contains(path string) bool {
	return strings.HasPrefix(path, s.dir+"/")
}

// unmount unmounts what is mounted below the directory: a container without a mount namespace of
// its own has its mounts in the machine's.
func (s *scratch) unmount() (int, error) {
	points, err := s.mountPoints()
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, point := range slices.Backward(points) { // the last one is on top
		if err := syscall.Unmount(point, syscall.MNT_DETACH); err != nil {
			errs = append(errs, fmt.Errorf("unmount %s: %w", point, err))
		}
	}
	return len(points), errors.Join(errs...)
}

func (s *scratch) mountPoints() ([]string, error) {
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var points []string
	for _, m := range parseMounts(mountinfo) {
		if s.contains(m.point) {
			points = append(points, m.point)
		}
	}
	return points, nil
}
