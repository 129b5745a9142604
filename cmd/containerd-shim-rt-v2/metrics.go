package main

import (
	"github.com/containerd/cgroups/v3"
	"github.com/containerd/cgroups/v3/cgroup1"
	"github.com/containerd/cgroups/v3/cgroup2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// metrics are what the container uses, in containerd's types.
func (c *container) metrics() (*anypb.Any, error) {
	m, err := c.usage()
	if err != nil {
		return nil, err
	}
	return pack(m)
}

// usage reads the counters of the cgroup that a process is in now, wherever it
// goes later: a container's systemd makes cgroups of its own. A process that has
// ended is in the root of each hierarchy of cgroup v1.
func usage(pid int, over bool) func() (proto.Message, error) {
	if cgroups.Mode() == cgroups.Unified {
		path, err := cgroup2.PidGroupPath(pid)
		return func() (proto.Message, error) {
			if err != nil {
				return nil, err
			}
			cg, err := cgroup2.Load(path)
			if err != nil {
				return nil, err
			}
			return cg.Stat()
		}
	}
	path := cgroup1.PidPath(pid)
	if over {
		return func() (proto.Message, error) { return nil, errFinished }
	}
	return func() (proto.Message, error) {
		cg, err := cgroup1.Load(path)
		if err != nil {
			return nil, err
		}
		return cg.Stat(cgroup1.IgnoreNotExist)
	}
}
