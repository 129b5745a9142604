// The same with the filter of github.com/opencontainers/cgroups.
package main

import (
	_ "github.com/opencontainers/cgroups/devices"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/internal/cgroup"
)

func main() { cgroup.Resources(new(specs.Spec)) }
