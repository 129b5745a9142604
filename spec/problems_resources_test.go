package spec

import (
	"fmt"
	"slices"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// limited is a document with a member of linux.resources.
func limited(name, value string) string {
	return fmt.Sprintf(`{"linux": {"resources": {%q: %s}}}`, name, value)
}

var resourceProblems = []problemCase{
	{"linux.resources.devices[0].type", limited("devices", `[{"type": "p"}]`), limited("devices", `[{"type": "a"}, {}]`)},
	{"linux.resources.devices[0].major", limited("devices", `[{"major": -2}]`), limited("devices", `[{"major": -1, "minor": -1}]`)},
	{"linux.resources.devices[0].minor", limited("devices", `[{"minor": 4294967296}]`), limited("devices", `[{"major": 8, "minor": 0}]`)},
	{"linux.resources.devices[1].access", limited("devices", `[{}, {"access": "rr"}]`), limited("devices", `[{"access": "mr"}]`)},

	{"linux.resources.memory.limit", limited("memory", `{"limit": -2}`), limited("memory", `{"limit": -1}`)},
	{"linux.resources.memory.reservation", limited("memory", `{"reservation": -2}`), limited("memory", `{"reservation": 200000, "limit": 100000}`)},
	{"linux.resources.memory.swap", limited("memory", `{"swap": 5}`), limited("memory", `{"swap": -1}`)},
	{"linux.resources.memory.swap", limited("memory", `{"swap": 5, "limit": 6}`), limited("memory", `{"swap": 6, "limit": 6}`)},
	{"linux.resources.memory.kernel", limited("memory", `{"kernel": -2}`), limited("memory", `{"kernel": -1}`)},
	{"linux.resources.memory.kernelTCP", limited("memory", `{"kernelTCP": -2}`), limited("memory", `{"kernelTCP": 5}`)},
	{"linux.resources.memory.swappiness", limited("memory", `{"swappiness": 101}`), limited("memory", `{"swappiness": 100}`)},

	{"linux.resources.cpu.quota", limited("cpu", `{"quota": 999}`), limited("cpu", `{"quota": -1, "shares": 0}`)},
	{"linux.resources.cpu.burst", limited("cpu", `{"burst": 50001, "quota": 50000}`), limited("cpu", `{"burst": 50000, "quota": 50000}`)},
	{"linux.resources.cpu.period", limited("cpu", `{"period": 999}`), limited("cpu", `{"period": 0}`)},
	{"linux.resources.cpu.period", limited("cpu", `{"period": 1000001}`), limited("cpu", `{"period": 1000000}`)},
	{"linux.resources.cpu.realtimeRuntime", limited("cpu", `{"realtimeRuntime": 6, "realtimePeriod": 5}`), limited("cpu", `{"realtimeRuntime": 950000, "realtimePeriod": 1000000}`)},
	{"linux.resources.cpu.realtimeRuntime", limited("cpu", `{"realtimeRuntime": -2}`), limited("cpu", `{"realtimeRuntime": -1}`)},
	{"linux.resources.cpu.cpus", limited("cpu", `{"cpus": "0,,1"}`), limited("cpu", `{"cpus": "2-3, 0-31:2/4"}`)},
	{"linux.resources.cpu.mems", limited("cpu", `{"mems": "x"}`), limited("cpu", `{"mems": "0-7"}`)},
	{"linux.resources.cpu.idle", limited("cpu", `{"idle": 2}`), limited("cpu", `{"idle": 1}`)},

	{"linux.resources.blockIO.weightDevice[0].weight", limited("blockIO", `{"weightDevice": [{"major": 8}]}`), limited("blockIO", `{"weightDevice": [{"major": 8, "weight": 10}]}`)},

	{"linux.resources.hugepageLimits[0].pageSize", limited("hugepageLimits", `[{"pageSize": "2mb"}]`), limited("hugepageLimits", `[{"pageSize": "2MB"}, {"pageSize": "1GB"}]`)},
	{"linux.resources.hugepageLimits[0].pageSize", limited("hugepageLimits", `[{"pageSize": "MB"}]`), limited("hugepageLimits", `[{"pageSize": "64KB", "limit": 1}]`)},
	{"linux.resources.hugepageLimits[1].pageSize", limited("hugepageLimits", `[{"pageSize": "2MB"}, {"pageSize": "2MB"}]`), limited("hugepageLimits", `[]`)},

	{"linux.resources.network.priorities[0].name", limited("network", `{"priorities": [{"priority": 5}]}`), limited("network", `{"classID": 1, "priorities": [{"name": "eth0"}]}`)},
	{"linux.resources.network.priorities[1].name", limited("network", `{"priorities": [{"name": "eth0"}, {"name": "eth0"}]}`), limited("network", `{"priorities": [{"name": "eth0"}, {"name": "eth1"}]}`)},

	{`linux.resources.rdma["mlx5_1"]`, limited("rdma", `{"mlx5_1": {}}`), limited("rdma", `{"mlx5_1": {"hcaHandles": 3}}`)},
	{`linux.resources.rdma[""]`, limited("rdma", `{"": {"hcaObjects": 3}}`), limited("rdma", `{"mlx4_0": {"hcaObjects": 3}}`)},

	{`linux.resources.unified["a/memory.high"]`, limited("unified", `{"a/memory.high": "1"}`), limited("unified", `{"memory.high": "1"}`)},
	{`linux.resources.unified["memory"]`, limited("unified", `{"memory": "1"}`), limited("unified", `{"hugetlb.1GB.max": "1073741824"}`)},
	{`linux.resources.unified[".."]`, limited("unified", `{"..": "1"}`), limited("unified", `{"io.max": "259:0 rbps=1\n253:0 rbps=1"}`)},
	{`linux.resources.unified["io.max"]`, limited("unified", `{"io.max": "\u0000"}`), limited("unified", `{}`)},
}

// The numbers of block devices are bounded in all five lists.
func TestBlockIODeviceNumbers(t *testing.T) {
	list := func(major, minor int64) []specs.LinuxThrottleDevice {
		return []specs.LinuxThrottleDevice{{LinuxBlockIODevice: specs.LinuxBlockIODevice{Major: major, Minor: minor}, Rate: 600}}
	}
	s := Default()
	s.Linux.Resources.BlockIO = &specs.LinuxBlockIO{
		WeightDevice:          []specs.LinuxWeightDevice{{LinuxBlockIODevice: specs.LinuxBlockIODevice{Minor: -1}, Weight: pointer(uint16(10))}},
		ThrottleReadBpsDevice: list(-1, 0), ThrottleWriteBpsDevice: list(8, 1<<20),
		ThrottleReadIOPSDevice: list(1<<12, 0), ThrottleWriteIOPSDevice: list(8, -1),
	}
	var got []string
	for _, p := range check(s).problems {
		got = append(got, p.Field[len("linux.resources.blockIO."):])
	}
	want := []string{"weightDevice[0].minor", "throttleReadBpsDevice[0].major", "throttleWriteBpsDevice[0].minor",
		"throttleReadIOPSDevice[0].major", "throttleWriteIOPSDevice[0].minor"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	s.Linux.Resources.BlockIO = &specs.LinuxBlockIO{ThrottleReadBpsDevice: list(8, 1<<20-1), ThrottleWriteIOPSDevice: list(1<<12-1, 0)}
	if problems := check(s).problems; len(problems) > 0 {
		t.Error(problems)
	}
}
