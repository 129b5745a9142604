package main

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/containerd/cgroups/v3"
	"github.com/containerd/cgroups/v3/cgroup1"
	"github.com/containerd/cgroups/v3/cgroup2"
	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// metrics are what the container uses, in containerd's types.
func (c *container) metrics() (*anypb.Any, error) {
	return metrics(c.usage)
}

// metrics reads counters. Those of a cgroup that is being removed are not found: containerd
// asks while containers end, and reports other errors.
func metrics(usage func() (proto.Message, error)) (*anypb.Any, error) {
	m, err := usage()
	if errors.Is(err, unix.ENODEV) || errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%v: %w", err, errdefs.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return pack(m)
}

// usage reads the counters of the cgroup that a process is in now, wherever it
// goes later: a container's systemd makes cgroups of its own. A process that has
// ended is in the root of each hierarchy of cgroup v1. The kubelet asks every ten seconds,
// the CRI plugin each second: what is found is kept.
func usage(pid int, over bool) func() (proto.Message, error) {
	if cgroups.Mode() == cgroups.Unified {
		load := sync.OnceValues(func() (*cgroup2.Manager, error) {
			path, err := cgroup2.PidGroupPath(pid)
			if err != nil {
				return nil, err
			}
			return cgroup2.Load(path)
		})
		_, _ = load() // now: it may be elsewhere later
		return func() (proto.Message, error) {
			cg, err := load()
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
	load := sync.OnceValues(func() (cgroup1.Cgroup, error) {
		return cgroup1.Load(path, cgroup1.WithHierarchy(hierarchies))
	})
	return func() (proto.Message, error) {
		cg, err := load()
		if err != nil {
			return nil, err
		}
		return cg.Stat(cgroup1.IgnoreNotExist)
	}
}

// hierarchies are those of cgroup v1. To find them, all mounts are read nine times.
var hierarchies = sync.OnceValues(cgroup1.Default)
