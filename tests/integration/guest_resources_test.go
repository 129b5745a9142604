//go:build guest

package integration

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/cgroups"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// These tests need what only a whole system has: every controller of both versions of
// cgroups, AppArmor, all capabilities, systemd and its users.

func unified() bool { return cgroups.IsCgroup2UnifiedMode() }

// everything sets all limits that both versions have.
func everything(t *testing.T, b *bundle) (device string) {
	disk := aDisk(t)
	r := b.spec.Linux.Resources
	r.Memory = &specs.LinuxMemory{Limit: ptr(int64(64 << 20)), Reservation: ptr(int64(32 << 20)), Swap: ptr(int64(96 << 20))}
	r.CPU = &specs.LinuxCPU{
		Shares: ptr(uint64(512)), Quota: ptr(int64(50000)), Period: ptr(uint64(100000)), Burst: ptr(uint64(20000)), Cpus: "0", Mems: "0",
	}
	r.Pids = &specs.LinuxPids{Limit: ptr(int64(77))}
	r.BlockIO = throttled(disk)
	r.HugepageLimits = []specs.LinuxHugepageLimit{{Pagesize: "2MB", Limit: 4 << 20}}
	return fmt.Sprintf("%d:%d", disk[0], disk[1])
}

func TestEveryResource(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	b.placeCgroup("")
	device := everything(t, b)
	files := map[string]string{ // of v1, with the controller
		"memory/memory.limit_in_bytes": "67108864", "memory/memory.soft_limit_in_bytes": "33554432",
		"cpu/cpu.shares": "512", "cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000", "cpu/cpu.cfs_burst_us": "20000",
		"cpuset/cpuset.cpus": "0", "cpuset/cpuset.mems": "0", "pids/pids.max": "77", "hugetlb/hugetlb.2MB.limit_in_bytes": "4194304",
		"blkio/blkio.throttle.read_bps_device": device + " 1048576", "blkio/blkio.throttle.write_bps_device": device + " 2097152",
		"blkio/blkio.throttle.read_iops_device": device + " 300", "blkio/blkio.throttle.write_iops_device": device + " 400",
		"net_cls/net_cls.classid": "1048577",
	}
	if unified() {
		b.spec.Linux.Resources.BlockIO.Weight = ptr(uint16(500))
		b.spec.Linux.Resources.Unified = map[string]string{"memory.high": "50331648", "memory.oom.group": "1", "io.weight": "default 300"}
		files = map[string]string{
			"memory.max": "67108864", "memory.low": "33554432", "memory.swap.max": "33554432", "memory.high": "50331648", "memory.oom.group": "1",
			"cpu.weight": fmt.Sprint(cgroups.ConvertCPUSharesToCgroupV2Value(512)), "cpu.max": "50000 100000", "cpu.max.burst": "20000",
			"cpuset.cpus": "0", "cpuset.mems": "0", "pids.max": "77", "hugetlb.2MB.max": "4194304",
			"io.max": device + " rbps=1048576 wbps=2097152 riops=300 wiops=400", "io.weight": "default 300",
		}
	} else {
		b.spec.Linux.Resources.Memory.Swappiness, b.spec.Linux.Resources.Memory.DisableOOMKiller = ptr(uint64(30)), ptr(true)
		b.spec.Linux.Resources.Network = &specs.LinuxNetwork{
			ClassID: ptr(uint32(0x100001)), Priorities: []specs.LinuxInterfacePriority{{Name: "lo", Priority: 5}},
		}
		files["memory/memory.swappiness"] = "30"
	}
	b.create()
	for name, value := range files {
		controller, file, v1 := strings.Cut(name, "/")
		if !v1 {
			file = name
		}
		want(t, name, cgroupFile(t, b.cgroup, controller, file, file), value)
	}
	if !unified() {
		for file, part := range map[string]string{"memory/memory.oom_control": "oom_kill_disable 1", "net_prio/net_prio.ifpriomap": "lo 5"} {
			controller, name, _ := strings.Cut(file, "/")
			if got := cgroupFile(t, b.cgroup, controller, name, ""); !strings.Contains(got, part) {
				t.Errorf("%s: no %q in %q", file, part, got)
			}
		}
	}
	b.ok("start", b.id)
	b.waitFor(specs.StateRunning)
}

// If the cgroup version has no file for a limit, the error names the field, and nothing is
// left behind.
func TestLimitsThatAreNotThere(t *testing.T) {
	for field, change := range map[string]func(*specs.LinuxResources){
		"rdma": func(r *specs.LinuxResources) {
			r.Rdma = map[string]specs.LinuxRdma{"mlx5_0": {HcaHandles: ptr(uint32(3))}}
		},
		"hugepageLimits": func(r *specs.LinuxResources) {
			r.HugepageLimits = []specs.LinuxHugepageLimit{{Pagesize: "64MB", Limit: 1 << 30}}
		},
		"cpu.cpus": func(r *specs.LinuxResources) { r.CPU = &specs.LinuxCPU{Cpus: "70"} },
		"memory.swappiness": func(r *specs.LinuxResources) {
			if unified() {
				r.Memory = &specs.LinuxMemory{Swappiness: ptr(uint64(30))}
			}
		},
		"network.classID": func(r *specs.LinuxResources) {
			if unified() {
				r.Network = &specs.LinuxNetwork{ClassID: ptr(uint32(1))}
			}
		},
		"unified": func(r *specs.LinuxResources) { r.Unified = map[string]string{"memory.high": "lots"} },
	} {
		b := newBundle(t, "true")
		before := *b.spec.Linux.Resources
		change(b.spec.Linux.Resources)
		if r := *b.spec.Linux.Resources; r.Memory == before.Memory && r.Network == before.Network && !unified() && strings.Contains("memory.swappiness network.classID", field) {
			continue // v1 has it: TestEveryResource
		}
		b.write()
		words := []string{"linux.resources." + field}
		if field == "unified" && unified() {
			words = []string{"linux.resources", "memory.high"}
		}
		b.fails(words, "create", b.id)
		b.noTrace()
	}
}

// Weights of single devices, with the kernel's cost model and without.
func TestDeviceWeight(t *testing.T) {
	if !unified() {
		t.Skip("the kernels of today have no weights in v1 but BFQ's")
	}
	disk := aDisk(t)
	device := fmt.Sprintf("%d:%d", disk[0], disk[1])
	b := newBundle(t, "sleep 1000")
	b.placeCgroup("")
	d := specs.LinuxWeightDevice{Weight: ptr(uint16(1000))}
	d.Major, d.Minor = disk[0], disk[1]
	b.spec.Linux.Resources.BlockIO = &specs.LinuxBlockIO{WeightDevice: []specs.LinuxWeightDevice{d}}
	b.write()
	b.fails([]string{"linux.resources.blockIO", "io.weight"}, "create", b.id)
	b.noTrace()

	const model = "/sys/fs/cgroup/io.cost.qos"
	must(t, os.WriteFile(model, []byte(device+" enable=1"), 0))
	t.Cleanup(func() { must(t, os.WriteFile(model, []byte(device+" enable=0"), 0)) })
	b.create()
	if got := cgroupFile(t, b.cgroup, "", "", "io.weight"); !strings.Contains(got, device+" 10000") {
		t.Errorf("io.weight: %q", got)
	}
	b.ok("delete", b.id)
}

func TestUpdateEverything(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	b.placeCgroup("")
	everything(t, b)
	b.create()
	b.ok("start", b.id)
	b.ok("update", "--cpu-share", "256", "--cpu-quota", "20000", "--cpu-period", "50000", "--cpu-burst", "10000", "--cpuset-cpus", "0-1",
		"--memory", "80m", "--memory-swap", "100m", "--memory-reservation", "16m", "--pids-limit", "55", b.id)
	read := func(controller, v1, v2 string) string { return cgroupFile(t, b.cgroup, controller, v1, v2) }
	want(t, "memory", read("memory", "memory.limit_in_bytes", "memory.max"), fmt.Sprint(80<<20))
	want(t, "reservation", read("memory", "memory.soft_limit_in_bytes", "memory.low"), fmt.Sprint(16<<20))
	want(t, "pids", read("pids", "pids.max", "pids.max"), "55")
	want(t, "cpus", read("cpuset", "cpuset.cpus", "cpuset.cpus"), "0-1")
	want(t, "burst", read("cpu", "cpu.cfs_burst_us", "cpu.max.burst"), "10000")
	if unified() {
		want(t, "swap", read("", "", "memory.swap.max"), fmt.Sprint(20<<20))
		want(t, "cpu.max", read("", "", "cpu.max"), "20000 50000")
		want(t, "cpu.weight", read("", "", "cpu.weight"), fmt.Sprint(cgroups.ConvertCPUSharesToCgroupV2Value(256)))
	} else {
		want(t, "quota", read("cpu", "cpu.cfs_quota_us", ""), "20000")
		want(t, "shares", read("cpu", "cpu.shares", ""), "256")
	}
	want(t, "hugepages are as they were", read("hugetlb", "hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.max"), "4194304")
}

func TestCheckBeforeUpdate(t *testing.T) {
	if !unified() {
		t.Skip("v1 refuses a limit below the usage by itself")
	}
	b := newBundle(t, "dd if=/dev/zero of=/dev/shm/x bs=1M count=16 && sleep 1000")
	b.placeCgroup("")
	b.create()
	b.ok("start", b.id)
	eventually(t, "memory is used", func() bool { return len(cgroupFile(t, b.cgroup, "", "", "memory.current")) >= len("16777216") })
	for change, word := range map[string]string{
		`{"memory": {"limit": 8388608, "checkBeforeUpdate": true}}`:                  "memory limit",
		`{"memory": {"limit": 8388608, "swap": 9000000, "checkBeforeUpdate": true}}`: "memory",
	} {
		must(t, os.WriteFile(b.dir+"/update.json", []byte(change), 0o644))
		b.fails([]string{"linux.resources", word, "usage"}, "update", "-r", b.dir+"/update.json", b.id)
		want(t, "memory.max", cgroupFile(t, b.cgroup, "", "", "memory.max"), "max")
	}
	if s := b.state().Status; s != specs.StateRunning {
		t.Errorf("the container is %s", s)
	}
}

// If a limit is too low to start, the error says so, and nothing is left behind.
func TestTooLittleMemory(t *testing.T) {
	for _, command := range []string{"create", "run"} {
		b := newBundle(t, "true")
		b.spec.Linux.Resources.Memory = &specs.LinuxMemory{Limit: ptr(int64(8192))}
		b.write()
		b.fails([]string{"linux.resources.memory.limit"}, command, b.id)
		b.noTrace()
	}
}

// A container that enables controllers for cgroups below its own, as one with systemd
// does, cannot have processes in its own. exec goes where its first process is.
func TestExecBesideAnInnerHierarchy(t *testing.T) {
	if !unified() {
		t.Skip("v1 takes processes everywhere")
	}
	b := running(t, func(b *bundle) {
		for i, m := range b.spec.Mounts {
			if m.Type == "cgroup" {
				b.spec.Mounts[i].Options = []string{"nosuid", "noexec", "nodev", "rw"}
			}
		}
		b.spec.Process.Args = []string{"sh", "-c", "cd /sys/fs/cgroup && mkdir inner other && echo 1 > inner/cgroup.procs && echo +pids > cgroup.subtree_control && echo ready; exec sleep 1000"}
	})
	eventually(t, "an inner hierarchy", func() bool {
		data, err := os.ReadFile(b.cgroups()[0] + "/cgroup.subtree_control")
		must(t, err)
		return string(data) == "pids\n"
	})
	want(t, "cgroup", b.ok("exec", b.id, "cat", "/proc/self/cgroup"), "0::/inner")
	want(t, "cgroup", b.ok("exec", "--cgroup", "other", b.id, "cat", "/proc/self/cgroup"), "0::/other")
	b.ok("delete", "--force", b.id)
	b.noTrace()
}
