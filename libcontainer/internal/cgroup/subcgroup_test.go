package cgroup

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// On cgroup v1 cpu and cpuacct are one hierarchy: naming one of them means both, whatever
// the order of the map of paths.
func TestSharedHierarchyHasOnePlace(t *testing.T) {
	const id = "container"
	root := t.TempDir()
	dir := func(hierarchy string) string { return filepath.Join(root, hierarchy, id) }
	c := &Cgroup{Config: Config{Paths: map[string]string{
		"cpu": dir("cpu,cpuacct"), "cpuacct": dir("cpu,cpuacct"), "memory": dir("memory"), "pids": dir("pids"),
	}}}
	for _, path := range c.Paths {
		for _, sub := range []string{"x", "y"} {
			if err := os.MkdirAll(filepath.Join(path, sub), 0o700); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, test := range []struct {
		below map[string]string
		want  []string // hierarchies and what is below the container's directory
		err   string
	}{
		{nil, []string{"cpu,cpuacct", "memory", "pids"}, ""},
		{map[string]string{"": "/y"}, []string{"cpu,cpuacct/y", "memory/y", "pids/y"}, ""},
		{map[string]string{"cpu": "/x"}, []string{"cpu,cpuacct/x", "memory", "pids"}, ""},
		{map[string]string{"cpuacct": "x"}, []string{"cpu,cpuacct/x", "memory", "pids"}, ""},
		{map[string]string{"cpu": "/x", "": "/y"}, []string{"cpu,cpuacct/x", "memory/y", "pids/y"}, ""},
		{map[string]string{"cpu": "/x", "cpuacct": "x"}, []string{"cpu,cpuacct/x", "memory", "pids"}, ""},
		{map[string]string{"cpu": "/x", "cpuacct": "/y"}, nil, "cpu and cpuacct share a hierarchy"},
		{map[string]string{"blkio": "/x"}, nil, `no cgroup of the controller "blkio"`},
	} {
		for range 20 { // orders of maps
			p, err := c.PlacementBelow(test.below)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("%v: error %v, want %q", test.below, err, test.err)
				}
				continue
			}
			if err != nil {
				t.Fatalf("%v: %v", test.below, err)
			}
			var got []string
			for _, file := range p.tasks {
				name, _ := filepath.Rel(root, filepath.Dir(file))
				got = append(got, strings.Replace(name, "/"+id, "", 1))
			}
			slices.Sort(got)
			if !slices.Equal(got, test.want) {
				t.Errorf("%v: %v, want %v", test.below, got, test.want)
			}
		}
	}
}
