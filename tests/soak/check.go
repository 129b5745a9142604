package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// snapshot is what there is of each kind, by name.
type snapshot map[string][]string

// settle is how long the kernel may take to end what was killed.
const settle = 5 * time.Second

// check compares what there is with the beginning.
func (w *world) check() error {
	var differs error
	for end := time.Now().Add(settle); ; time.Sleep(10 * time.Millisecond) {
		now, err := w.look()
		if err != nil {
			return err
		}
		if w.firstAt == 0 && w.only < 0 {
			// What a user of the library opens once stays open, such as the root of the cgroups.
			w.before["descriptors"] = now["descriptors"]
		}
		if differs = w.before.compare(now); differs == nil || time.Now().After(end) {
			return differs
		}
	}
}

func (w *world) look() (snapshot, error) {
	s := snapshot{}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	s["mounts"] = lines(mounts)
	for _, dir := range []string{"/run", "/tmp"} {
		if s["files in "+dir], err = tree(dir, func(name string, info fs.FileInfo) string { return name }); err != nil {
			return nil, err
		}
	}
	if s["cgroups"], err = findCgroups(w.prefix); err != nil {
		return nil, err
	}
	if s["processes"], err = descendants(); err != nil {
		return nil, err
	}
	s["descriptors"], err = descriptors()
	return s, err
}

// compare names what there is more or less of.
func (s snapshot) compare(now snapshot) error {
	var differs []error
	for _, kind := range slices.Sorted(maps.Keys(s)) {
		for _, name := range now[kind] {
			if !slices.Contains(s[kind], name) {
				differs = append(differs, fmt.Errorf("%s: left behind: %s", kind, name))
			}
		}
		for _, name := range s[kind] {
			if !slices.Contains(now[kind], name) {
				differs = append(differs, fmt.Errorf("%s: gone: %s", kind, name))
			}
		}
	}
	return errors.Join(differs...)
}

func lines(text []byte) []string { return strings.Split(strings.TrimSpace(string(text)), "\n") }

// tree lists a directory.
func tree(dir string, describe func(name string, info fs.FileInfo) string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			found = append(found, describe(path, info))
		}
		return err
	})
	return found, err
}

// findCgroups lists the cgroups whose name has a part, children first.
func findCgroups(part string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(cgroupRoot, func(path string, entry fs.DirEntry, err error) error {
		// Other processes' cgroups come and go.
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && entry.IsDir() && strings.Contains(path, part) {
			found = append(found, path)
		}
		return err
	})
	slices.Reverse(found)
	return found, err
}

func removeCgroups(part string) error {
	found, err := findCgroups(part)
	for _, path := range found {
		text, _ := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		for _, line := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(line); err == nil && pid > 0 {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		time.Sleep(50 * time.Millisecond)
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// descendants are the names of the processes below the outer process, but for this one.
func descendants() ([]string, error) {
	children := map[int][]int{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		// The name, in parentheses, may contain anything. After it: the state, the parent.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(fields) > 1 {
			parent, _ := strconv.Atoi(fields[1])
			children[parent] = append(children[parent], pid)
		}
	}
	var found []string
	for next := []int{os.Getppid()}; len(next) > 0; next = next[1:] {
		for _, child := range children[next[0]] {
			if child == os.Getpid() {
				next = append(next, child)
				continue
			}
			name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", child))
			found = append(found, fmt.Sprintf("%d %q", child, name))
			next = append(next, child)
		}
	}
	return found, nil
}

// descriptors are the files that this process has open, but for Go's own.
func descriptors() ([]string, error) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil, err
	}
	var found []string
	for _, entry := range entries {
		// The directory itself is gone again.
		link, err := os.Readlink("/proc/self/fd/" + entry.Name())
		if err == nil && !strings.HasSuffix(link, "/fd") && !strings.HasPrefix(link, "anon_inode:[event") {
			found = append(found, entry.Name()+" "+link)
		}
	}
	return found, nil
}

// holding is what this process holds.
type holding struct{ kB, descriptors, threads, goroutines int }

func (h holding) String() string {
	return fmt.Sprintf("%d kB anonymous, %d descriptors, %d threads, %d goroutines", h.kB, h.descriptors, h.threads, h.goroutines)
}

// flat compares what this process holds near the beginning and now. Goroutines and descriptors must
// be as many, but Go gives threads and memory back only now and then.
func (w *world) flat(done, all int) error {
	h, err := holdings()
	if err != nil {
		return err
	}
	w.last = h
	if w.firstAt == 0 {
		if done*20 >= all {
			w.first, w.firstAt = h, done
		}
		return nil
	}
	f := w.first
	if h.kB > f.kB+max(f.kB/4, 4000) || h.descriptors > f.descriptors || h.threads > f.threads+4 || h.goroutines > f.goroutines {
		return fmt.Errorf("this process grows: %v after %d lifecycles, %v after %d", f, w.firstAt, h, done)
	}
	return nil
}

func holdings() (h holding, err error) {
	debug.FreeOSMemory()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return h, err
	}
	h.descriptors, h.goroutines = len(files), runtime.NumGoroutine()
	for file, field := range map[string]struct {
		name string
		to   *int
	}{"status": {"Threads:", &h.threads}, "smaps_rollup": {"Anonymous:", &h.kB}} {
		data, err := os.ReadFile("/proc/self/" + file)
		if err != nil {
			return h, err
		}
		_, rest, _ := strings.Cut(string(data), field.name)
		if *field.to, err = strconv.Atoi(strings.Fields(rest)[0]); err != nil {
			return h, err
		}
	}
	return h, nil
}

// checkOwn looks for what a lifecycle left, beside others that still run.
func (l *lifecycle) checkOwn() error {
	var left []error
	if path := filepath.Join(l.root, l.id); exists(path) {
		left = append(left, fmt.Errorf("left behind: %s", path))
	}
	controllers, err := os.ReadDir(cgroupRoot)
	if err != nil {
		return err
	}
	for _, dir := range append([]string{""}, names(controllers)...) {
		if path := filepath.Join(cgroupRoot, dir, l.cgroup); exists(path) {
			left = append(left, fmt.Errorf("left behind: cgroup %s", path))
		}
	}
	// A process that rt itself reaped, before it was killed, is just gone.
	if l.pid > 0 && exists(fmt.Sprintf("/proc/%d", l.pid)) && !l.reap() && exists(fmt.Sprintf("/proc/%d", l.pid)) {
		left = append(left, fmt.Errorf("left behind: process %d", l.pid))
	}
	now, err := l.listing()
	if err != nil {
		return err
	}
	return errors.Join(errors.Join(left...), snapshot{"bundle": l.files}.compare(snapshot{"bundle": now}))
}

func names(entries []fs.DirEntry) []string {
	var list []string
	for _, entry := range entries {
		list = append(list, entry.Name())
	}
	return list
}

// listing is the bundle with what rt might change.
func (l *lifecycle) listing() ([]string, error) {
	return tree(l.bundle, func(name string, info fs.FileInfo) string {
		stat := info.Sys().(*syscall.Stat_t)
		size := info.Size()
		if info.IsDir() {
			size = 0
		}
		return fmt.Sprintf("%s %v %d:%d %d", name, info.Mode(), stat.Uid, stat.Gid, size)
	})
}
