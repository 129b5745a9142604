package cgroup

import (
	"errors"

	"github.com/opencontainers/cgroups"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// NewNone is for a container without its own cgroup. Limits are an error then: rt would
// have to drop them. Device rules are not, because every engine writes them and the caller
// asked for no cgroup.
func NewNone(s *specs.Spec) (*Cgroup, error) {
	if !onlyDevices(s) {
		return nil, errors.New("linux.resources: limits need a cgroup, and --cgroup-manager=disabled asks for none: remove the limits, or use another manager")
	}
	own, err := memberships("self")
	if err != nil {
		return nil, err
	}
	if cgroups.IsCgroup2UnifiedMode() {
		own = nil
	}
	return &Cgroup{none: true, v1: newHierarchies(own), resources: &cgroups.Resources{}}, nil
}
