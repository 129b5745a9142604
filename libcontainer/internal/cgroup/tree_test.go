package cgroup

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// deep makes directories whose paths are longer than PATH_MAX, each with a file of
// processes, and returns the number of them.
func deep(t *testing.T, top string) int {
	t.Helper()
	const levels = 40
	name := strings.Repeat("x", 200)
	dir, err := openDirectory(unix.AT_FDCWD, top)
	if err != nil {
		t.Fatal(err)
	}
	for n := range levels {
		fd, err := unix.Openat(dir, "cgroup.procs", unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = unix.Write(fd, []byte{byte('1' + n%9), '\n'})
		unix.Close(fd)
		if err := unix.Mkdirat(dir, name, 0o700); err != nil {
			t.Fatal(err)
		}
		next, err := openDirectory(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(dir)
		dir = next
	}
	unix.Close(dir)
	return levels
}

func TestDeepCgroupsAreFound(t *testing.T) {
	top := t.TempDir()
	levels := deep(t, top)
	ids, err := idsBelow(top, "cgroup.procs")
	if err != nil || len(ids) != levels {
		t.Errorf("%d processes, %v, want %d", len(ids), err, levels)
	}
}

func TestDeepCgroupsAreRemoved(t *testing.T) {
	top := filepath.Join(t.TempDir(), "top")
	if err := os.Mkdir(top, 0o700); err != nil {
		t.Fatal(err)
	}
	deep(t, top)
	// Only directories are removed: in a cgroup, files are no obstacle.
	if err := walkDown(top, func(dir int) { _ = unix.Unlinkat(dir, "cgroup.procs", 0) }, nil); err != nil {
		t.Fatal(err)
	}
	if err := removeBelow(top); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(top); !os.IsNotExist(err) {
		t.Errorf("it is there: %v", err)
	}
	if err := removeBelow(top); err != nil {
		t.Errorf("again: %v", err)
	}
}

func TestWalkDownVisitsEachOnce(t *testing.T) {
	top := t.TempDir()
	for _, name := range []string{"a/b", "a/c", "d"} {
		if err := os.MkdirAll(filepath.Join(top, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	visits := 0
	var left []string
	err := walkDown(top, func(int) { visits++ }, func(_ int, name string) error {
		left = append(left, name)
		return nil
	})
	if err != nil || visits != 5 {
		t.Errorf("%d visits, %v, want 5", visits, err)
	}
	slices.Sort(left)
	if got := strings.Join(left, " "); got != "a b c d" {
		t.Errorf("left %q, want all but the top", got)
	}
}
