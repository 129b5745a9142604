package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

func TestIDMappedMounts(t *testing.T) {
	source := t.TempDir()
	must(t, os.Chmod(source, 0o755))
	must(t, os.WriteFile(source+"/file", nil, 0o644))
	must(t, os.Chown(source+"/file", 5, 6))
	ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1000, Size: 100}}
	b := newBundle(t, "stat -c %u:%g /mapped/file /plain/file")
	b.spec.Mounts = append(b.spec.Mounts,
		specs.Mount{Destination: "/mapped", Type: "bind", Source: source, Options: []string{"rbind", "ridmap"}, UIDMappings: ids, GIDMappings: ids},
		specs.Mount{Destination: "/plain", Type: "bind", Source: source, Options: []string{"bind"}})
	b.spec.Root.Readonly = false
	want(t, "owners", b.run(), "1005:1006\n5:6")
}

func TestIDMapOfTheUserNamespace(t *testing.T) {
	source := t.TempDir()
	must(t, os.Chmod(source, 0o755))
	must(t, os.WriteFile(source+"/file", nil, 0o644))
	b := newBundle(t, "stat -c %u:%g /mapped/file /plain/file")
	b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	mapped(b)
	for _, name := range []string{"mapped", "plain"} {
		must(t, os.MkdirAll(b.path(name), 0o755))
	}
	b.spec.Mounts = append(b.spec.Mounts,
		specs.Mount{Destination: "/mapped", Type: "bind", Source: source, Options: []string{"bind", "idmap"}},
		specs.Mount{Destination: "/plain", Type: "bind", Source: source, Options: []string{"bind"}})
	want(t, "owners", b.run(), "0:0\n65534:65534")
}

func TestTmpCopyUp(t *testing.T) {
	b := newBundle(t, `cd /data; find . | sort | tr '\n' ' '; stat -c %a:%u:%g file; readlink link; cat deep/er/file; echo changed > file; cat file`)
	must(t, os.MkdirAll(b.path("data/deep/er"), 0o755))
	must(t, os.WriteFile(b.path("data/file"), []byte("original"), 0o640))
	must(t, os.Chown(b.path("data/file"), 7, 8))
	must(t, os.Chmod(b.path("data/file"), 0o640))
	must(t, os.WriteFile(b.path("data/deep/er/file"), []byte("deep\n"), 0o644))
	must(t, os.Symlink("/etc/passwd", b.path("data/link")))
	b.spec.Process.Capabilities.Effective = append(b.spec.Process.Capabilities.Effective, "CAP_DAC_OVERRIDE")
	b.spec.Process.Capabilities.Permitted = append(b.spec.Process.Capabilities.Permitted, "CAP_DAC_OVERRIDE")
	b.spec.Process.Capabilities.Bounding = append(b.spec.Process.Capabilities.Bounding, "CAP_DAC_OVERRIDE")
	b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/data", Type: "tmpfs", Source: "tmpfs", Options: []string{"tmpcopyup", "mode=755"}})
	want(t, "content", b.run(), ". ./deep ./deep/er ./deep/er/file ./file ./link 640:7:8\n/etc/passwd\ndeep\nchanged")
	data, err := os.ReadFile(b.path("data/file"))
	must(t, err)
	want(t, "the image", string(data), "original")
}

func TestLongMountOptions(t *testing.T) {
	b := newBundle(t, "cat /merged/file0 /merged/file9; mount | grep -c overlay")
	b.spec.Root.Readonly = false
	var layers []string
	for i := range 10 {
		layer := filepath.Join(b.dir, strings.Repeat("long", 8), fmt.Sprint(i))
		must(t, os.MkdirAll(layer, 0o755))
		must(t, os.WriteFile(fmt.Sprintf("%s/file%d", layer, i), []byte(fmt.Sprintln("layer", i)), 0o644))
		layers = append(layers, layer)
	}
	b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/merged", Type: "overlay", Source: "overlay", Options: []string{"lowerdir=" + strings.Join(layers, ":"), "ro"}})
	want(t, "output", b.run(), "layer 0\nlayer 9\n1")
}

func TestRecursiveReadOnly(t *testing.T) {
	source := t.TempDir()
	must(t, os.Mkdir(source+"/below", 0o777))
	must(t, unix.Mount("tmpfs", source+"/below", "tmpfs", 0, ""))
	t.Cleanup(func() { must(t, unix.Unmount(source+"/below", 0)) })
	b := newBundle(t, `touch /ro/below/x 2>/dev/null && echo writable; touch /rro/below/x 2>/dev/null || echo read-only`)
	b.spec.Mounts = append(b.spec.Mounts,
		specs.Mount{Destination: "/ro", Type: "bind", Source: source, Options: []string{"rbind", "ro"}},
		specs.Mount{Destination: "/rro", Type: "bind", Source: source, Options: []string{"rbind", "rro"}})
	b.spec.Root.Readonly = false
	want(t, "output", b.run(), "writable\nread-only")
}

func TestDevices(t *testing.T) {
	b := newBundle(t, `stat -c '%F %t:%T %a %u:%g' /dev/mine /deep/pipe /dev/block; ls -l /dev/null | cut -c1`)
	b.spec.Root.Readonly = false
	b.spec.Linux.Devices = []specs.LinuxDevice{
		{Path: "/dev/mine", Type: "c", Major: 1, Minor: 3, FileMode: ptr(os.FileMode(0o640)), UID: ptr(uint32(4)), GID: ptr(uint32(5))},
		{Path: "/deep/pipe", Type: "p", FileMode: ptr(os.FileMode(0o600))},
		{Path: "/dev/block", Type: "b", Major: 7, Minor: 0},
	}
	want(t, "devices", b.run(), "character special file 1:3 640 4:5\nfifo 0:0 600 0:0\nblock special file 7:0 666 0:0\nc")
}

func TestADeviceThatIsThereAlready(t *testing.T) {
	b := newBundle(t, "echo runs")
	b.spec.Root.Readonly = false
	b.spec.Linux.Devices = []specs.LinuxDevice{{Path: "/other", Type: "c", Major: 1, Minor: 3}}
	must(t, unix.Mknod(b.path("other"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	want(t, "the same device", b.run(), "runs")
	must(t, os.Remove(b.path("other")))
	must(t, unix.Mknod(b.path("other"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))))
	b.fails([]string{"linux.devices[0]", "/other", "another file"}, "create", b.id)
	must(t, os.Remove(b.path("other")))
	must(t, os.WriteFile(b.path("other"), nil, 0o644))
	b.fails([]string{"linux.devices[0]", "/other", "another file"}, "create", b.id)
}

func TestScheduling(t *testing.T) {
	b := newBundle(t, `grep -E '^(policy|prio)' /proc/self/sched | tr -d ' \t'; uname -m`)
	b.spec.Process.Scheduler = &specs.Scheduler{Policy: "SCHED_BATCH", Nice: 7}
	b.spec.Process.IOPriority = &specs.LinuxIOPriority{Class: "IOPRIO_CLASS_IDLE"}
	b.spec.Linux.Personality = &specs.LinuxPersonality{Domain: "LINUX32"}
	if os.Getenv("RT_ARCH") == "" {
		want(t, "scheduling", b.run(), "policy:3\nprio:127\ni686")
	}
}

// attributes are sched_getattr(2)'s: size, policy, flags, nice, priority,
// runtime, deadline, period.
func attributes(t *testing.T, pid int) unix.SchedAttr {
	t.Helper()
	a, err := unix.SchedGetAttr(pid, 0)
	must(t, err)
	return *a
}

// In a user namespace nobody may raise a priority; rt may.
func TestPrioritiesInAUserNamespace(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	mapped(b)
	b.spec.Process.Scheduler = &specs.Scheduler{Policy: "SCHED_OTHER", Nice: -5}
	b.spec.Process.IOPriority = &specs.LinuxIOPriority{Class: "IOPRIO_CLASS_RT", Priority: 3}
	b.create()
	check := func(pid int) {
		t.Helper()
		const realTime = 1 << 13
		priority, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, 1, uintptr(pid), 0)
		if a := attributes(t, pid); a.Nice != -5 || errno != 0 || priority != realTime|3 {
			t.Errorf("nice %d, I/O priority %#x, %v", a.Nice, priority, errno)
		}
	}
	check(b.state().Pid)
	b.ok("start", b.id)
	file := filepath.Join(b.dir, "process.json")
	process := *b.spec.Process
	process.Args = []string{"sleep", "1000"}
	text, err := json.Marshal(process)
	must(t, err)
	must(t, os.WriteFile(file, text, 0o644))
	pidFile := filepath.Join(b.dir, "pid")
	b.ok("exec", "--detach", "--pid-file", pidFile, "--process", file, b.id)
	text, err = os.ReadFile(pidFile)
	must(t, err)
	pid, err := strconv.Atoi(string(text))
	must(t, err)
	check(pid)
}

func TestRealTimeScheduling(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	b.spec.Process.Scheduler = &specs.Scheduler{Policy: "SCHED_RR", Priority: 7, Flags: []specs.LinuxSchedulerFlag{specs.SchedFlagResetOnFork}}
	// A new group has no real-time bandwidth, if the kernel accounts for it.
	realTime := &specs.LinuxCPU{RealtimeRuntime: ptr(int64(10000)), RealtimePeriod: ptr(uint64(1000000))}
	if _, err := os.Stat("/sys/fs/cgroup/cpu/cpu.rt_runtime_us"); err == nil {
		b.spec.Linux.Resources.CPU = realTime
	} else {
		refused := newBundle(t, "true")
		refused.spec.Linux.Resources.CPU = realTime
		refused.write()
		refused.fails([]string{"linux.resources.cpu.realtime"}, "create", refused.id)
	}
	b.create()
	if a := attributes(t, b.state().Pid); a.Policy != unix.SCHED_RR || a.Priority != 7 || a.Flags&unix.SCHED_FLAG_RESET_ON_FORK == 0 {
		t.Errorf("%+v", a)
	}
	d := newBundle(t, "sleep 1000")
	d.spec.Process.Scheduler = &specs.Scheduler{Policy: "SCHED_DEADLINE", Runtime: 1000000, Deadline: 20000000, Period: 30000000}
	d.create()
	if a := attributes(t, d.state().Pid); a.Policy != unix.SCHED_DEADLINE || a.Runtime != 1000000 || a.Deadline != 20000000 || a.Period != 30000000 {
		t.Errorf("%+v", a)
	}
}

func TestIOPriority(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	b.spec.Process.IOPriority = &specs.LinuxIOPriority{Class: "IOPRIO_CLASS_BE", Priority: 6}
	b.create()
	got, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, 1, uintptr(b.state().Pid), 0)
	if errno != 0 || got != 2<<13|6 {
		t.Errorf("I/O priority %#x, %v", got, errno)
	}
}

func TestMemoryPolicy(t *testing.T) {
	b := newBundle(t, `head -1 /proc/self/numa_maps | cut -d' ' -f2`)
	b.spec.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: "MPOL_BIND", Nodes: "0", Flags: []specs.MemoryPolicyFlagType{"MPOL_F_STATIC_NODES"}}
	if _, err := os.Stat("/proc/self/numa_maps"); err != nil {
		// A kernel without NUMA has no such call: the error names the field.
		b.write()
		b.fails([]string{"linux.memoryPolicy", "set_mempolicy", "not implemented"}, "run", b.id)
		return
	}
	want(t, "policy", b.run(), "bind=static:0")
}

// inOwnNetwork runs rt in a network namespace that a script has prepared.
func (b *bundle) inOwnNetwork(script string) (string, error) {
	b.t.Helper()
	b.write()
	run := b.command("run", b.id)
	cmd := exec.Command("unshare", "-n", "sh", "-ec", script+`; exec "$@"`, "sh")
	cmd.Args = append(cmd.Args, run.Args...)
	cmd.Dir = b.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestNetDevices(t *testing.T) {
	const setUp = `ip link add rttest0 mtu 1280 address 02:00:00:00:00:77 type veth peer name rttest1
		ip addr add 192.0.2.7/24 dev rttest0; ip addr add 2001:db8::7/64 dev rttest0 nodad; ip link set rttest1 up`
	for name, seen := range map[string]string{"box0": "box0", "": "rttest0", "card%d": "card0"} {
		b := newBundle(t, fmt.Sprintf("ip -o link show %s; ip -o addr show %s", seen, seen))
		b.spec.Linux.NetDevices = map[string]specs.LinuxNetDevice{"rttest0": {Name: name}}
		out, err := b.inOwnNetwork(setUp)
		must(t, err)
		for _, w := range []string{"mtu 1280", "02:00:00:00:00:77", "UP", "192.0.2.7/24", "2001:db8::7/64"} {
			if !strings.Contains(out, w) {
				t.Errorf("%q: no %q in\n%s", name, w, out)
			}
		}
	}
}

func TestNetDeviceErrors(t *testing.T) {
	for name, words := range map[string][]string{
		"rtnosuch0": {`linux.netDevices["rtnosuch0"]`, "no such device"},
		"rttest0":   {`linux.netDevices["rttest0"]`, `has a device "lo" already`},
	} {
		b := newBundle(t, "true")
		b.spec.Linux.NetDevices = map[string]specs.LinuxNetDevice{name: {Name: "lo"}}
		out, err := b.inOwnNetwork("ip link add rttest0 type veth peer name rttest1")
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		for _, w := range words {
			if !strings.Contains(out, w) {
				t.Errorf("%s: no %q in %s", name, w, out)
			}
		}
		b.noTrace()
	}
}

func TestLabelsOfAbsentModules(t *testing.T) {
	b := newBundle(t, "true")
	if _, err := os.Stat("/sys/module/apparmor/parameters/enabled"); err != nil {
		b.spec.Process.ApparmorProfile = "profile"
		b.write()
		b.fails([]string{"process.apparmorProfile", "no AppArmor"}, "create", b.id)
	}
	b.spec.Process.ApparmorProfile, b.spec.Process.SelinuxLabel = "", "system_u:system_r:svirt_t:s0"
	b.write()
	b.fails([]string{"process.selinuxLabel", "no SELinux"}, "create", b.id)
	b.spec.Process.SelinuxLabel, b.spec.Linux.MountLabel = "", "system_u:object_r:svirt_file_t:s0"
	b.write()
	b.fails([]string{"linux.mountLabel", "no SELinux"}, "create", b.id)
	b.noTrace()
}

// A member in other letter cases still restricts the container, as with other readers of
// the document, and each such member is named.
func TestMembersInOtherCases(t *testing.T) {
	b := newBundle(t, "grep -c NoNewPrivs:.1 /proc/self/status; touch /file || echo read-only; ls /proc/acpi | wc -l")
	b.write()
	name := filepath.Join(b.dir, spec.ConfigName)
	data, err := os.ReadFile(name)
	must(t, err)
	for old, other := range map[string]string{"readonly": "readOnly", "noNewPrivileges": "NoNewPrivileges", "maskedPaths": "MaskedPaths"} {
		if !bytes.Contains(data, []byte(`"`+old+`"`)) {
			t.Fatalf("the configuration has no %s", old)
		}
		data = bytes.ReplaceAll(data, []byte(`"`+old+`"`), []byte(`"`+other+`"`))
	}
	data = bytes.Replace(data, []byte("{"), []byte(`{"x-future": 1,`), 1)
	must(t, os.WriteFile(name, data, 0o644))
	r := b.rt("run", b.id)
	if !slices.Equal(lines(r.stdout), []string{"1", "read-only", "0"}) {
		t.Errorf("%v", r)
	}
	for _, field := range []string{"root.readOnly", "process.NoNewPrivileges", "linux.MaskedPaths"} {
		if !strings.Contains(r.stderr, field+": taken as") {
			t.Errorf("no warning about %s: %s", field, r.stderr)
		}
	}
	if strings.Contains(r.stderr, "x-future") {
		t.Errorf("a warning about an unknown member: %s", r.stderr)
	}
	if r := b.rt("--debug", "run", b.id); !strings.Contains(r.stderr, "x-future: unknown, and ignored") {
		t.Errorf("no word about an unknown member: %s", r.stderr)
	}

	b = running(t)
	process := filepath.Join(b.dir, "process.json")
	must(t, os.WriteFile(process, []byte(`{"cwd": "/", "Args": ["grep", "-c", "NoNewPrivs:.1", "/proc/self/status"], "env": ["PATH=/bin"], "NONEWPRIVILEGES": true}`), 0o644))
	r = b.rt("exec", "--process", process, b.id)
	if r.stdout != "1\n" || !strings.Contains(r.stderr, `NONEWPRIVILEGES: taken as \"noNewPrivileges\"`) {
		t.Errorf("%v", r)
	}
	r = b.rtIn(`{"Unified": {}}`, "update", "--resources", "-", b.id)
	if r.code != 0 || !strings.Contains(r.stderr, `Unified: taken as \"unified\"`) {
		t.Errorf("%v", r)
	}
}
