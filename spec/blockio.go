package spec

import (
	"math/bits"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// blockIO: the I/O scheduler decides which weights there are, and the kernel reports it.
func (v *validator) blockIO(b *specs.LinuxBlockIO) {
	if b == nil {
		return
	}
	const field = resourcesField + "blockIO"
	for i, d := range b.WeightDevice {
		at := entry(field+".weightDevice", i)
		v.deviceNumber(at, d.Major, d.Minor)
		if d.Weight == nil && d.LeafWeight == nil {
			v.add(at+".weight", "missing; at least one of weight and leafWeight must be given")
		}
	}
	for _, t := range []struct {
		name string
		list []specs.LinuxThrottleDevice
	}{
		{"throttleReadBpsDevice", b.ThrottleReadBpsDevice}, {"throttleWriteBpsDevice", b.ThrottleWriteBpsDevice},
		{"throttleReadIOPSDevice", b.ThrottleReadIOPSDevice}, {"throttleWriteIOPSDevice", b.ThrottleWriteIOPSDevice},
	} {
		for i, d := range t.list {
			v.deviceNumber(entry(field+"."+t.name, i), d.Major, d.Minor)
		}
	}
}

// hugepages: config-linux.md, "Huge page limits".
func (v *validator) hugepages(limits []specs.LinuxHugepageLimit) {
	for i, h := range limits {
		field := entry(resourcesField+"hugepageLimits", i) + ".pageSize"
		if !isPageSize(h.Pagesize) {
			v.add(field, "%q is not a power of two such as 64KB, 2MB or 1GB", h.Pagesize)
		}
		for _, other := range limits[:i] {
			if other.Pagesize == h.Pagesize {
				v.add(field, "%s is listed twice", h.Pagesize)
				break
			}
		}
	}
}

func isPageSize(s string) bool {
	unit := strings.TrimLeft(s, digits)
	if unit != "KB" && unit != "MB" && unit != "GB" {
		return false
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(s, unit), 10, 32)
	return err == nil && s[0] != '0' && bits.OnesCount64(n) == 1
}

// network checks the names of the interfaces; the class and the priorities may
// be any number.
func (v *validator) network(n *specs.LinuxNetwork) {
	if n == nil {
		return
	}
	for i, p := range n.Priorities {
		field := entry(resourcesField+"network.priorities", i) + ".name"
		v.interfaceName(field, p.Name)
		for _, other := range n.Priorities[:i] {
			if other.Name == p.Name {
				v.add(field, "%q is listed twice", p.Name)
				break
			}
		}
	}
}

// rdma: config-linux.md wants at least one limit in an entry.
func (v *validator) rdma(devices map[string]specs.LinuxRdma) {
	for _, name := range sortedKeys(devices) {
		field := member(resourcesField+"rdma", name)
		if name == "" || strings.ContainsAny(name, " \t\n\x00") {
			v.add(field, "%q is not the name of a device", name)
		}
		if d := devices[name]; d.HcaHandles == nil && d.HcaObjects == nil {
			v.add(field, "empty; at least one of hcaHandles and hcaObjects must be given")
		}
	}
}

// unified: a key is the name of a file of cgroup v2, which is
// CONTROLLER.NAME.
func (v *validator) unified(files map[string]string) {
	for _, name := range sortedKeys(files) {
		field := member(resourcesField+"unified", name)
		controller, _, ok := strings.Cut(name, ".")
		if !ok || controller == "" || strings.ContainsAny(name, "/\x00") {
			v.add(field, "%q is not the name of a file of cgroup v2, such as memory.high", name)
		}
		v.text(field, files[name])
	}
}
