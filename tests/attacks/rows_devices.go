package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
	"golang.org/x/sys/unix"
)

// Devices and cgroups.

var deviceAttacks = []attack{
	deviceAttack("device-mknod-v1", "v1", "a container with CAP_MKNOD makes a node for a block device of the host and reads it", mknodAndRead),
	deviceAttack("device-mknod-v2", "v2", "the same in cgroup v2", mknodAndRead),
	deviceAttack("device-node-v1", "v1", "a container reads a block device of the host through a node in its image", readNode),
	deviceAttack("device-node-v2", "v2", "the same in cgroup v2", readNode),
	{
		name:     "release-agent",
		view:     "v1",
		about:    "a container without a cgroup namespace looks for the release_agent of a v1 hierarchy in its writable cgroup mount",
		kinds:    []string{"CVE-2022-0492"},
		defences: []defence.Name{defence.CgroupMount},
		mount: func(t *try) string {
			b := t.script("for f in $(find /sys/fs/cgroup/ -name release_agent); do [ -w $f ] && echo " + gained + " $f; done")
			b.namespace(specs.CgroupNamespace, "-")
			b.mountAt("/sys/fs/cgroup").Options = []string{"nosuid", "noexec", "nodev"}
			return tell(b.run(), gained, "could have written to a release_agent")
		},
	},
	{
		name:     "devices-allow",
		view:     "v1",
		about:    "a container widens its device rules in a cgroup mount that should be read-only",
		kinds:    []string{"CVE-2022-0492"},
		defences: []defence.Name{defence.CgroupMount},
		mount: func(t *try) string {
			b := t.attacker("open-for-writing", "/sys/fs/cgroup/devices/devices.allow", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
			return tell(b.run(), gained, "could have changed its own limits")
		},
	},
	cgroupWritable("cgroup-userns-v1", "v1", "/sys/fs/cgroup/pids/%s/cgroup.procs", "/sys/fs/cgroup/pids/cgroup.procs"),
	cgroupWritable("cgroup-userns-v2", "v2", "/sys/fs/cgroup/%s/cgroup.procs", "/sys/fs/cgroup/cgroup.procs"),
	{
		name: "cgroup-sys-bind", view: "v2",
		about:    "the same where /sys is a read-only recursive bind mount of the host's, below which the cgroups are writable",
		kinds:    []string{"CVE-2023-25809"},
		defences: []defence.Name{defence.CgroupMount},
		mount: func(t *try) string {
			return t.writesToCgroup("/sys/fs/cgroup/%s/cgroup.procs", "/sys/fs/cgroup/cgroup.procs", func(b *bundle) {
				*b.mountAt("/sys") = specs.Mount{Destination: "/sys", Type: "none", Source: "/sys", Options: []string{"rbind", "nosuid", "noexec", "nodev", "ro"}}
			})
		},
	},
	{
		name: "cgroup-options", view: "v2",
		about:    "a container without a cgroup namespace clears the options that the host's cgroups are mounted with, such as nsdelegate, by being there",
		kinds:    []string{"cgroups"},
		defences: []defence.Name{defence.HostCgroups},
		needs:    "/run/systemd/system",
		mount: func(t *try) string {
			before := cgroupOptions(t)
			if !strings.Contains(before, "nsdelegate") {
				t.fail("the host's cgroups are mounted without nsdelegate: %s", before)
			}
			b := t.script("true")
			b.namespace(specs.CgroupNamespace, "-")
			b.run()
			after := cgroupOptions(t)
			if after == before {
				return ""
			}
			t.must(unix.Mount("", "/sys/fs/cgroup", "", unix.MS_REMOUNT, strings.TrimPrefix(before, "rw,")))
			return "the host's cgroups have the options " + after + " instead of " + before
		},
	},
	{
		name:     "cgroups-nested-deep",
		about:    "a container makes cgroups below its own whose paths are longer than PATH_MAX, and can never be deleted",
		kinds:    []string{"cgroups"},
		defences: []defence.Name{defence.CgroupTree},
		view:     "v2",
		mount: func(t *try) string {
			b := t.script("cd /sys/fs/cgroup && for i in $(seq 30); do mkdir " + strings.Repeat("x", 200) + " && cd " + strings.Repeat("x", 200) + " || exit 1; done; echo " + gained)
			b.mountAt("/sys/fs/cgroup").Options = []string{"nosuid", "noexec", "nodev"}
			b.save()
			r := b.do("run", "--keep", "--bundle", b.dir, b.id)
			t.logf("%s", r.stdout)
			d := b.do("delete", "--force", b.id)
			if d.code != 0 {
				return "it cannot be deleted: " + shorten(d.stderr)
			}
			if fileExists("/sys/fs/cgroup/" + b.id) {
				return "its cgroup is left"
			}
			return ""
		},
	},
	{
		name:     "delete-frozen",
		view:     "v1",
		about:    "a container with a writable freezer freezes one of its processes, and cannot be deleted",
		kinds:    []string{"13.17"},
		defences: []defence.Name{defence.CgroupTree},
		patience: 2 * minute,
		mount: func(t *try) string {
			b := t.script("mkdir /sys/fs/cgroup/freezer/sub; sleep 1000 & echo $! > /sys/fs/cgroup/freezer/sub/cgroup.procs; echo FROZEN > /sys/fs/cgroup/freezer/sub/freezer.state; sleep 1000")
			b.mountAt("/sys/fs/cgroup").Options = []string{"nosuid", "noexec", "nodev"}
			b.start()
			t.await("frozen", func() bool {
				return strings.Contains(read("/sys/fs/cgroup/freezer/"+b.id+"/sub/freezer.state"), "FROZEN")
			})
			if r := b.execute(b.command("delete", "--force", b.id), boundedWait); r.late || r.code != 0 {
				return "it cannot be deleted: " + shorten(r.stderr)
			}
			if fileExists("/sys/fs/cgroup/freezer/" + b.id) {
				return "its cgroup is left"
			}
			return ""
		},
	},
	{
		name:     "cgroups-nested-processes",
		view:     "v1",
		about:    "a container without a pid namespace hides a process in a cgroup whose path is longer than PATH_MAX, and the process outlives the container",
		kinds:    []string{"cgroups"},
		defences: []defence.Name{defence.CgroupTree},
		mount: func(t *try) string {
			name := strings.Repeat("x", 200)
			b := t.script("sleep 4242 & cd /sys/fs/cgroup/devices && for i in $(seq 30); do mkdir " + name + " && cd ./" + name + "; done; echo $! > ./cgroup.procs; touch /hidden; sleep 100")
			b.namespace(specs.PIDNamespace, "-")
			b.mountAt("/sys/fs/cgroup").Options = []string{"nosuid", "noexec", "nodev"}
			b.start()
			t.await("the process is hidden", func() bool { return fileExists(b.root("hidden")) })
			b.do("delete", "--force", b.id)
			if pid := processOf("sleep", "4242"); pid != 0 {
				return "the process is still there"
			}
			return ""
		},
	},
}

// processOf finds a process by its command line.
func processOf(args ...string) int {
	want := strings.Join(args, "\x00") + "\x00"
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && read("/proc/"+e.Name()+"/cmdline") == want {
			return pid
		}
	}
	return 0
}

func deviceAttack(name, view, about string, mount func(t *try) string) attack {
	return attack{
		name: name, view: view, about: about, mount: mount, kinds: []string{"device rules"}, defences: []defence.Name{defence.DeviceRules},
	}
}

func mknodAndRead(t *try) string {
	device, done := t.loopDevice()
	defer done()
	b := t.script(fmt.Sprintf("mknod /tmp/node b %d %d; head -c %d /tmp/node", unix.Major(device), unix.Minor(device), len(secret)))
	b.capabilities("CAP_MKNOD")
	return tell(b.run(), secret, "a device of the host was read")
}

// cgroupOptions are the options of cgroup v2, which apply to the whole machine.
func cgroupOptions(t *try) string {
	for line := range strings.Lines(read("/proc/self/mountinfo")) {
		if f := strings.Fields(line); f[4] == "/sys/fs/cgroup" {
			return f[len(f)-1]
		}
	}
	t.fail("/sys/fs/cgroup is no mount")
	return ""
}

func readNode(t *try) string {
	device, done := t.loopDevice()
	defer done()
	b := t.script(fmt.Sprintf("head -c %d /node", len(secret)))
	t.must(unix.Mknod(b.root("node"), unix.S_IFBLK|0o666, int(device)))
	t.must(os.Chmod(b.root("node"), 0o666))
	return tell(b.run(), secret, "a device of the host was read")
}

// cgroupWritable is about a container's root who owns its cgroup on the host, as in
// rootless containers, and has no cgroup namespace: its mount is read-only.
func cgroupWritable(name, view, outside, within string) attack {
	return attack{
		name: name, view: view,
		about:    "the root of a user namespace without a cgroup namespace writes to its cgroup, whose mount should be read-only",
		kinds:    []string{"CVE-2023-25809"},
		defences: []defence.Name{defence.CgroupMount},
		mount:    func(t *try) string { return t.writesToCgroup(outside, within, func(*bundle) {}) },
	}
}

func (t *try) writesToCgroup(outside, within string, change func(*bundle)) string {
	b := t.script("sleep 100")
	b.userNamespace(hostID)
	b.namespace(specs.CgroupNamespace, "-")
	change(b)
	b.start()
	file := fmt.Sprintf(outside, b.id)
	if !fileExists(file) {
		t.fail("no %s", file)
	}
	t.must(os.Chown(file, hostID, hostID))
	r := b.exec("/bin/"+attackerName, "open-for-writing", within, file)
	return tell(r, gained, "the cgroup is writable")
}
