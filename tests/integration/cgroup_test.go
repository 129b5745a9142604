package integration

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/cgroups"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// cgroupFile reads a file of the container's cgroup: from v1's controller, or
// from v2.
func cgroupFile(t *testing.T, path, controller, v1, v2 string) string {
	t.Helper()
	name := filepath.Join("/sys/fs/cgroup", controller, path, v1)
	if cgroups.IsCgroup2UnifiedMode() {
		name = filepath.Join("/sys/fs/cgroup", path, v2)
	}
	data, err := os.ReadFile(name)
	must(t, err)
	return strings.TrimSpace(string(data))
}

// has tells whether the view of this run has the controller.
func has(controller string) bool {
	if cgroups.IsCgroup2UnifiedMode() {
		data, _ := os.ReadFile(filepath.Join("/sys/fs/cgroup", topCgroup(), "cgroup.controllers"))
		return strings.Contains(" "+strings.TrimSpace(string(data))+" ", " "+controller+" ")
	}
	_, err := os.Stat(filepath.Join("/sys/fs/cgroup", controller))
	return err == nil
}

func TestLimits(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	b.placeCgroup("inner")
	r := b.spec.Linux.Resources
	var checks [][4]string
	if has("memory") {
		r.Memory = &specs.LinuxMemory{Limit: ptr(int64(64 << 20))}
		checks = append(checks, [4]string{"memory", "memory.limit_in_bytes", "memory.max", "67108864"})
	}
	if has("pids") {
		r.Pids = &specs.LinuxPids{Limit: ptr(int64(77))}
		checks = append(checks, [4]string{"pids", "pids.max", "pids.max", "77"})
	}
	if has("cpu") {
		r.CPU = &specs.LinuxCPU{Shares: ptr(uint64(512)), Quota: ptr(int64(50000)), Period: ptr(uint64(100000))}
		if cgroups.IsCgroup2UnifiedMode() {
			checks = append(checks, [4]string{"", "", "cpu.max", "50000 100000"})
		} else {
			checks = append(checks, [4]string{"cpu", "cpu.cfs_quota_us", "", "50000"}, [4]string{"cpu", "cpu.shares", "", "512"})
		}
	}
	if len(checks) == 0 && !cgroups.IsCgroup2UnifiedMode() {
		t.Fatal("no controllers: nothing to test")
	}
	b.create()
	for _, c := range checks {
		want(t, c[1]+c[2], cgroupFile(t, b.cgroup, c[0], c[1], c[2]), c[3])
	}
	procs := strings.Fields(cgroupFile(t, b.cgroup, "pids", "cgroup.procs", "cgroup.procs"))
	if pid := fmt.Sprint(b.state().Pid); len(procs) != 1 || procs[0] != pid {
		t.Errorf("cgroup.procs: %v, pid %s", procs, pid)
	}
	b.ok("delete", b.id)
	for _, dir := range b.cgroups() {
		if filepath.Base(dir) == filepath.Base(b.cgroup) {
			t.Errorf("left: %s", dir)
		} else {
			must(t, os.Remove(dir)) // a parent that did not exist before belongs to the caller
		}
	}
}

// Limits of cgroup v1, where this kernel has most of its controllers.
func TestLimitsOfV1(t *testing.T) {
	if cgroups.IsCgroup2UnifiedMode() {
		t.Skip("this world has cgroup v2: TestLimits and TestUnified")
	}
	b := newBundle(t, "sleep 1000")
	b.placeCgroup("")
	disk := aDisk(t)
	r := b.spec.Linux.Resources
	r.Memory = &specs.LinuxMemory{
		Limit: ptr(int64(64 << 20)), Reservation: ptr(int64(32 << 20)), Swap: ptr(int64(96 << 20)),
		Swappiness: ptr(uint64(30)), DisableOOMKiller: ptr(true),
	}
	r.CPU = &specs.LinuxCPU{
		Quota: ptr(int64(50000)), Period: ptr(uint64(100000)), Burst: ptr(uint64(20000)), Cpus: "0", Mems: "0",
	}
	r.BlockIO = throttled(disk)
	b.create()
	device := fmt.Sprintf("%d:%d ", disk[0], disk[1])
	for _, c := range [][3]string{
		{"memory", "memory.soft_limit_in_bytes", "33554432"},
		{"memory", "memory.memsw.limit_in_bytes", "100663296"},
		{"memory", "memory.swappiness", "30"},
		{"cpu", "cpu.cfs_burst_us", "20000"},
		{"cpuset", "cpuset.cpus", "0"},
		{"cpuset", "cpuset.mems", "0"},
		{"blkio", "blkio.throttle.read_bps_device", device + "1048576"},
		{"blkio", "blkio.throttle.write_bps_device", device + "2097152"},
		{"blkio", "blkio.throttle.read_iops_device", device + "300"},
		{"blkio", "blkio.throttle.write_iops_device", device + "400"},
	} {
		want(t, c[1], cgroupFile(t, b.cgroup, c[0], c[1], ""), c[2])
	}
	if got := cgroupFile(t, b.cgroup, "memory", "memory.oom_control", ""); !strings.Contains(got, "oom_kill_disable 1") {
		t.Errorf("memory.oom_control: %s", got)
	}
}

// An idle group has no shares.
func TestCPUIdle(t *testing.T) {
	if !has("cpu") {
		t.Skip("this world has no cpu controller")
	}
	b := newBundle(t, "sleep 1000")
	b.placeCgroup("")
	b.spec.Linux.Resources.CPU = &specs.LinuxCPU{Idle: ptr(int64(1))}
	b.create()
	want(t, "cpu.idle", cgroupFile(t, b.cgroup, "cpu", "cpu.idle", "cpu.idle"), "1")
}

func TestUnified(t *testing.T) {
	if !cgroups.IsCgroup2UnifiedMode() {
		t.Skip("this world has cgroup v1")
	}
	b := newBundle(t, "sleep 1000")
	b.placeCgroup("")
	b.spec.Linux.Resources.Unified = map[string]string{"cgroup.max.descendants": "5"}
	b.create()
	want(t, "cgroup.max.descendants", cgroupFile(t, b.cgroup, "", "", "cgroup.max.descendants"), "5")
	wrong := newBundle(t, "true")
	wrong.spec.Linux.Resources.Unified = map[string]string{"no.such": "5"}
	wrong.write()
	wrong.fails([]string{"linux.resources", "no.such"}, "create", wrong.id)
}

// On v2 a container with a writable cgroup mount owns its cgroup, but not its limits.
func TestCgroupOwner(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	b.placeCgroup("")
	b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	b.spec.Linux.UIDMappings = []specs.LinuxIDMapping{{HostID: 100000, Size: 1000}}
	b.spec.Linux.GIDMappings = []specs.LinuxIDMapping{{HostID: 100000, Size: 1000}}
	for i := range b.spec.Mounts {
		if m := &b.spec.Mounts[i]; m.Destination == "/sys/fs/cgroup" {
			m.Options = slices.DeleteFunc(m.Options, func(o string) bool { return o == "ro" })
		}
	}
	must(t, filepath.WalkDir(b.path(""), func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, 100000, 100000))
	}))
	must(t, os.Chmod(b.dir, 0o755))
	must(t, os.Chmod(filepath.Dir(b.dir), 0o755))
	b.create()
	owners := map[string]uint32{}
	for _, name := range []string{"", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads", "cgroup.max.descendants", "cgroup.freeze"} {
		var st unix.Stat_t
		path := filepath.Join("/sys/fs/cgroup", b.cgroup, name)
		if !cgroups.IsCgroup2UnifiedMode() {
			if path = filepath.Join("/sys/fs/cgroup/pids", b.cgroup); name != "" {
				continue
			}
		}
		must(t, unix.Stat(path, &st))
		owners[name] = st.Uid
	}
	want := map[string]uint32{"": 0}
	if cgroups.IsCgroup2UnifiedMode() {
		want = map[string]uint32{"": 100000, "cgroup.procs": 100000, "cgroup.subtree_control": 100000, "cgroup.threads": 100000,
			"cgroup.max.descendants": 0, "cgroup.freeze": 0}
	}
	if !maps.Equal(owners, want) {
		t.Errorf("owners %v, want %v", owners, want)
	}
}

// throttled limits a device to 1 and 2 MiB, and 300 and 400 operations, a second:
// reading and writing.
func throttled(disk [2]int64) *specs.LinuxBlockIO {
	at := func(rate uint64) []specs.LinuxThrottleDevice {
		d := specs.LinuxThrottleDevice{Rate: rate}
		d.Major, d.Minor = disk[0], disk[1]
		return []specs.LinuxThrottleDevice{d}
	}
	return &specs.LinuxBlockIO{
		ThrottleReadBpsDevice: at(1 << 20), ThrottleWriteBpsDevice: at(2 << 20),
		ThrottleReadIOPSDevice: at(300), ThrottleWriteIOPSDevice: at(400),
	}
}

// aDisk is the number of some block device.
func aDisk(t *testing.T) [2]int64 {
	t.Helper()
	names, err := filepath.Glob("/sys/block/*/dev")
	must(t, err)
	for _, name := range names {
		if strings.Contains(name, "/loop") || strings.Contains(name, "/zram") || strings.Contains(name, "/ram") {
			continue
		}
		text, err := os.ReadFile(name)
		must(t, err)
		var n [2]int64
		_, err = fmt.Sscanf(string(text), "%d:%d", &n[0], &n[1])
		must(t, err)
		return n
	}
	t.Fatal("this machine has no disk, which the test needs")
	return [2]int64{}
}

func TestCgroupMount(t *testing.T) {
	b := newBundle(t, `cat /proc/self/cgroup; ls /sys/fs/cgroup; ls -d /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/pids/cgroup.procs 2>/dev/null || true`)
	out := b.run()
	for _, line := range lines(out) {
		if strings.Contains(line, b.id) {
			t.Errorf("the container sees the host's path: %s", line)
		}
	}
	if !strings.Contains(out, "cgroup.procs") {
		t.Errorf("no cgroup mount: %s", out)
	}
}

func TestCgroupMountWithoutANamespace(t *testing.T) {
	// Of v2 the whole hierarchy is visible, so that the path leads to the cgroup; of v1
	// only the container's own.
	b := newBundle(t, `cat /proc/1/cgroup; cg=$(grep ^0: /proc/self/cgroup | cut -d: -f3-)
cat /sys/fs/cgroup$cg/cgroup.procs /sys/fs/cgroup/pids/cgroup.procs >/dev/shm/list 2>/dev/null; wc -l </dev/shm/list`)
	for i, n := range b.spec.Linux.Namespaces {
		if n.Type == specs.CgroupNamespace {
			b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces[:i], b.spec.Linux.Namespaces[i+1:]...)
		}
	}
	out := lines(b.run())
	if !strings.Contains(strings.Join(out, "\n"), b.id) {
		t.Errorf("no host path in /proc/1/cgroup: %v", out)
	}
	// Only its own processes: the shell and cat.
	want(t, "processes in the mounted cgroup", out[len(out)-1], "2")
}

func TestCgroupInUse(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	b.placeCgroup("")
	b.create()
	b.fails([]string{"linux.cgroupsPath", b.id, "processes"}, "create", b.id+"-2")
	if s := b.state().Status; s != specs.StateCreated {
		t.Errorf("the container whose cgroup it is: %s", s)
	}
	want(t, "list", b.ok("list", "-q"), b.id)
}

func TestFrozenCgroup(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	b.placeCgroup("")
	b.create()
	b.ok("pause", b.id)
	if systemd {
		return // scopes are not below each other
	}
	inner := newBundle(t, "true")
	inner.spec.Linux.CgroupsPath = b.cgroup + "/" + inner.id
	inner.write()
	inner.fails([]string{"linux.cgroupsPath", b.cgroup, "frozen"}, "create", inner.id)
}

func TestDevicesAreRestricted(t *testing.T) {
	b := newBundle(t, `mknod /dev/shm/mem c 1 1 && cat /dev/shm/mem 2>&1 | head -c 100; head -c 3 /dev/zero | wc -c`)
	b.spec.Process.Capabilities.Bounding = append(b.spec.Process.Capabilities.Bounding, "CAP_MKNOD")
	b.spec.Process.Capabilities.Effective = append(b.spec.Process.Capabilities.Effective, "CAP_MKNOD")
	b.spec.Process.Capabilities.Permitted = append(b.spec.Process.Capabilities.Permitted, "CAP_MKNOD")
	for i, m := range b.spec.Mounts {
		if m.Destination == "/dev/shm" {
			b.spec.Mounts[i].Options = []string{"mode=1777"}
		}
	}
	out := b.run()
	if !strings.Contains(out, "Operation not permitted") || !strings.HasSuffix(out, "3\n") {
		t.Error(out)
	}
}

// Rules that cgroup v1 cannot express are refused there, and v1 and v2 agree on the
// others.
func TestDeviceRules(t *testing.T) {
	number := func(n int64) *int64 { return &n }
	all := specs.LinuxDeviceCgroup{Allow: false, Access: "rwm"}
	for name, c := range map[string]struct {
		rules  []specs.LinuxDeviceCgroup
		output string
		v1     string
	}{
		"a hole": {
			rules:  []specs.LinuxDeviceCgroup{all, {Allow: true, Type: "c", Major: number(1), Access: "rwm"}, {Type: "c", Major: number(1), Minor: number(11), Access: "rwm"}},
			output: "random kmsg refused", v1: "linux.resources.devices[1]",
		},
		"all devices for reading": {
			rules: []specs.LinuxDeviceCgroup{all, {Allow: true, Access: "r"}}, output: "random kmsg", v1: "",
		},
		"both kinds with one number": {
			rules: []specs.LinuxDeviceCgroup{all, {Allow: true, Type: "a", Major: number(10), Minor: number(237), Access: "r"}}, output: "random kmsg refused",
		},
		"taken back": {
			rules: []specs.LinuxDeviceCgroup{all, {Allow: true, Type: "c", Major: number(1), Minor: number(11), Access: "rwm"}, {Type: "c", Major: number(1), Access: "rw"}}, output: "random kmsg refused",
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t, `for d in random kmsg; do dd if=/dev/$d bs=1 count=0 2> /dev/null && printf "$d " || printf "$d refused "; done; (: > /dev/kmsg) 2> /dev/null && echo written; true`)
			caps := b.spec.Process.Capabilities // to read the kernel's log
			caps.Bounding, caps.Permitted, caps.Effective = append(caps.Bounding, "CAP_SYSLOG"), append(caps.Permitted, "CAP_SYSLOG"), append(caps.Effective, "CAP_SYSLOG")
			b.spec.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/kmsg", Type: "c", Major: 1, Minor: 11, FileMode: ptr(os.FileMode(0o666))}}
			b.spec.Linux.Resources.Devices = c.rules
			if c.v1 != "" && !cgroups.IsCgroup2UnifiedMode() {
				b.write()
				b.fails([]string{c.v1, "c 1:11 rwm", "c 1:* rwm"}, "run", b.id)
				b.noTrace()
				return
			}
			want(t, "readable", strings.TrimSpace(b.run()), c.output)
		})
	}
}

// A threaded cgroup has no memory of its own, but can hold a container: cgroups(7),
// "Thread mode".
func TestThreadedCgroup(t *testing.T) {
	if !cgroups.IsCgroup2UnifiedMode() || systemd {
		t.Skip("v1 has no such thing, and systemd makes no such scope")
	}
	b := newBundle(t, "cat /proc/self/cgroup; sleep 1000 & exec sleep 1000")
	b.placeCgroup("box")
	b.spec.Linux.Namespaces = slices.DeleteFunc(b.spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.CgroupNamespace })
	if has("pids") {
		b.spec.Linux.Resources.Pids = &specs.LinuxPids{Limit: ptr(int64(50))}
	}
	// A threaded child makes its parent the root of a threaded subtree, in which new
	// cgroups are unusable until they are threaded, too.
	parent := filepath.Join("/sys/fs/cgroup", b.id)
	must(t, os.MkdirAll(filepath.Join(parent, "sibling"), 0o755))
	t.Cleanup(func() {
		must(t, errors.Join(os.Remove(filepath.Join(parent, "sibling")), os.Remove(parent)))
	})
	must(t, os.WriteFile(filepath.Join(parent, "sibling", "cgroup.type"), []byte("threaded"), 0))

	b.create()
	b.ok("start", b.id)
	want(t, "type", cgroupFile(t, b.cgroup, "", "", "cgroup.type"), "threaded")
	if got := b.ok("exec", b.id, "cat", "/proc/self/cgroup"); !strings.HasSuffix(got, "0::"+b.cgroup+"\n") {
		t.Errorf("exec is in %s", got)
	}
	eventually(t, "ps lists both", func() bool { return strings.Count(b.ok("ps", "--format", "json", b.id), ",") == 1 })
	b.ok("pause", b.id)
	want(t, "status", string(b.state().Status), "paused")
	b.ok("resume", b.id)
	b.ok("delete", "--force", b.id)
	if _, err := os.Stat(filepath.Join("/sys/fs/cgroup", b.cgroup)); err == nil {
		t.Error("the cgroup is left")
	}

	if has("memory") {
		b.spec.Linux.Resources.Memory = &specs.LinuxMemory{Limit: ptr(int64(64 << 20))}
		b.write()
		b.fails([]string{"linux.cgroupsPath", "threaded"}, "run", b.id)
	}
}
