package main

import (
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
	"golang.org/x/sys/unix"
)

// Devices and cgroups.

var deviceAttacks = []attack{
	deviceAttack("device-mknod-v1", "v1", "a container with CAP_MKNOD makes a node of a block device of the host and reads it", mknodAndRead),
	deviceAttack("device-mknod-v2", "v2", "the same in cgroup v2", mknodAndRead),
	deviceAttack("device-node-v1", "v1", "a container reads a block device of the host by a node that its image brings", readNode),
	deviceAttack("device-node-v2", "v2", "the same in cgroup v2", readNode),
	{
		name:     "release-agent",
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
		about:    "a container widens its device rules in a cgroup mount that is to be read-only",
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

func readNode(t *try) string {
	device, done := t.loopDevice()
	defer done()
	b := t.script(fmt.Sprintf("head -c %d /node", len(secret)))
	t.must(unix.Mknod(b.root("node"), unix.S_IFBLK|0o666, int(device)))
	t.must(os.Chmod(b.root("node"), 0o666))
	return tell(b.run(), secret, "a device of the host was read")
}

// cgroupWritable is about a container's root who owns its cgroup on the host, as
// with rootless containers, and has no cgroup namespace: its mount is read-only.
func cgroupWritable(name, view, outside, within string) attack {
	return attack{
		name: name, view: view,
		about:    "the root of a user namespace without a cgroup namespace writes to its cgroup, whose mount is to be read-only",
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
