package main

import (
	"slices"
	"testing"
)

func TestParseMounts(t *testing.T) {
	got := parseMounts([]byte("22 1 8:1 / / rw shared:1 - ext4 /dev/sda rw\n23 22 0:5 /a\\040b /c\\134d rw - tmpfs t rw\nshort\n"))
	want := []mount{{"/", "/", "ext4"}, {"/a b", `/c\d`, "tmpfs"}}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestScratchIsRoot(t *testing.T) {
	s := &scratch{dir: "/tmp/rt-conformance-1"}
	tests := map[string]struct {
		mountinfo string
		want      bool
	}{
		"bundle":          {"1 0 8:1 /tmp/rt-conformance-1/tmp/b / rw - ext4 d rw\n", true},
		"other directory": {"1 0 8:1 /tmp/rt-conformance-12/tmp/b / rw - ext4 d rw\n", false},
		"machine":         {"1 0 8:1 / / rw - ext4 d rw\n2 1 0:9 / /tmp/rt-conformance-1/tmp/b/proc rw - proc p rw\n", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := s.isRoot([]byte(test.mountinfo)); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}

func TestSuiteCgroups(t *testing.T) {
	mounts := []mount{{"/", "/", "ext4"}, {"/", "/sys/fs/cgroup/pids", "cgroup"}}
	got := suiteCgroups(mounts, "4:pids:/user\n0::/\n")
	want := []string{
		"/sys/fs/cgroup/pids/cgrouptest",
		"/sys/fs/cgroup/pids/testdir/cgrouptest/container",
		"/sys/fs/cgroup/pids/testdir/cgrouptest",
		"/sys/fs/cgroup/pids/testdir",
		"/sys/fs/cgroup/pids/user/testdir/cgrouptest/container",
		"/sys/fs/cgroup/pids/user/testdir/cgrouptest",
		"/sys/fs/cgroup/pids/user/testdir",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
