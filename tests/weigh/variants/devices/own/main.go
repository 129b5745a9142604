// The control of cgroups with rt's filter of devices.
package main

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/internal/cgroup"
)

func main() { cgroup.Resources(new(specs.Spec)) }
