package cgroup

import "testing"

// Where no cgroup is mounted, rt has none. The library takes a nil map for the order to find
// the paths itself, and fails.
func TestPathsWithoutCgroups(t *testing.T) {
	for _, h := range []hierarchies{{}, newHierarchies(nil)} {
		if paths, err := h.paths("/a"); paths == nil || len(paths) > 0 || err != nil {
			t.Errorf("got %#v, %v", paths, err)
		}
	}
}
