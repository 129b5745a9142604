package main

import (
	"maps"
	"slices"
	"testing"
)

func TestCases(t *testing.T) {
	for _, c := range cases {
		config, err := loadConfig("..", &c, true)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		// The newest that every competitor accepts.
		if config["ociVersion"] != "1.0.2" {
			t.Errorf("%s: ociVersion is %v", c.name, config["ociVersion"])
		}
		if got := config.child("linux")["seccomp"] != nil; got != c.seccomp {
			t.Errorf("%s: has a seccomp profile: %t, want %t", c.name, got, c.seccomp)
		}
		if len(c.series) != len(c.units) {
			t.Errorf("%s: %d series but %d units", c.name, len(c.series), len(c.units))
		}
	}
}

func TestDropResources(t *testing.T) {
	config := object{"linux": map[string]any{"resources": map[string]any{"memory": 1, "pids": 2, "devices": 3, "unified": 4}}}
	obstacles := append(missingControllers([]string{"hugetlb", "cpu", "io"}), obstacle{"devices", "a rule"})
	got := dropResources(config, obstacles)
	if want := "memory, pids (the view has no such controller); devices (a rule)"; got != want {
		t.Errorf("dropped %q, want %q", got, want)
	}
	left := config.child("linux").child("resources")
	if keys := slices.Collect(maps.Keys(left)); !slices.Equal(keys, []string{"unified"}) {
		t.Errorf("%v are left, want unified", keys)
	}
	if again := dropResources(config, obstacles); again != "" {
		t.Errorf("dropped %q a second time", again)
	}
}

func TestSetCgroup(t *testing.T) {
	named := object{"linux": map[string]any{"cgroupsPath": "/docker/docker"}}
	setCgroup(named, "/mine")
	if got := named.child("linux")["cgroupsPath"]; got != "/mine" {
		t.Errorf("cgroupsPath is %v, want /mine", got)
	}
	unnamed := object{"linux": map[string]any{}}
	setCgroup(unnamed, "/mine")
	if got, ok := unnamed.child("linux")["cgroupsPath"]; ok {
		t.Errorf("cgroupsPath is %v, want none", got)
	}
}

func TestPrivateMemory(t *testing.T) {
	const smaps = "5580d000-7ffc7000 ---p 00000000 00:00 0    [rollup]\nRss:   1000 kB\n" +
		"Shared_Clean:  800 kB\nPrivate_Clean:   40 kB\nPrivate_Dirty:    8 kB\n"
	if got, err := privateMemory([]byte(smaps)); err != nil || got != 48 {
		t.Errorf("privateMemory = %v, %v, want 48", got, err)
	}
	if got, err := privateMemory([]byte("Private_Clean: 40 kB\n")); err == nil {
		t.Errorf("privateMemory of half a file = %v, want an error", got)
	}
}
