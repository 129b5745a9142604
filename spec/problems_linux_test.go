package spec

import (
	"fmt"
	"strings"
)

func deadline(runtime, deadline, period uint64) string {
	return fmt.Sprintf(`{"process": {"scheduler": {"policy": "SCHED_DEADLINE", "runtime": %d, "deadline": %d, "period": %d}}}`, runtime, deadline, period)
}

// idMappings is a document with a user namespace and these entries on both
// lists.
func idMappings(entries string) string {
	return fmt.Sprintf(`{"linux": {"namespaces": [{"type": "user"}, {"type": "uts"}], "uidMappings": [%s], "gidMappings": [%s]}}`, entries, entries)
}

// many is a list of n entries that do not overlap.
func many(n int) string {
	entries := make([]string, n)
	for i := range entries {
		entries[i] = fmt.Sprintf(`{"containerID": %d, "hostID": %d, "size": 1}`, i, i)
	}
	return strings.Join(entries, ",")
}

// bound is a bind mount with these options and members.
func bound(options, members string) string {
	return fmt.Sprintf(`{"mounts": [{"destination": "/d", "type": "none", "source": "/s", "options": ["rbind"%s]%s}]}`, options, members)
}

const ids = `[{"hostID": 1000, "size": 10}]`

var mountProblems = []problemCase{
	{"mounts[0].destination", `{"mounts": [{"type": "tmpfs"}]}`, `{"mounts": [{"type": "tmpfs", "destination": "tmp"}]}`},
	{"mounts[0].destination", `{"mounts": [{"type": "tmpfs", "destination": "/\u0000"}]}`, `{"mounts": [{"type": "tmpfs", "destination": "/"}]}`},
	{"mounts[0].type", `{"mounts": [{"destination": "/d"}]}`, `{"mounts": [{"destination": "/d", "options": ["remount", "ro"]}]}`},
	{"mounts[0].type", `{"mounts": [{"destination": "/d", "type": "none", "source": "/s"}]}`, bound("", "")},
	{"mounts[0].source", `{"mounts": [{"destination": "/d", "type": "bind"}]}`, `{"mounts": [{"destination": "/d", "type": "bind", "source": "s"}]}`},
	{"mounts[0].source", `{"mounts": [{"destination": "/d", "type": "bind", "source": "\u0000"}]}`, `{"mounts": [{"destination": "/d", "type": "tmpfs", "source": ""}]}`},
	{"mounts[0].options[1]", bound(`, "tmpcopyup"`, ""), bound(`, "", "nofail"`, "")},
	{"mounts[0].options[1]", bound(`, "nosuidd"`, ""), bound(`, "nosuid"`, "")},
	{"mounts[0].options[1]", bound(`, "ro,nosuid"`, ""), bound(`, "ro", "nosuid"`, "")},
	{"mounts[0].options[1]", bound(`, "noswap"`, ""), bound(`, "x-systemd.automount", "X-mount.mkdir", "comment=a, b"`, "")},
	{"mounts[0].options[1]", bound(`, "O"`, ""), bound(`, "cached", "nocopy", "users", "_netdev"`, "")},
	{"mounts[0].options[0]", `{"mounts": [{"destination": "/d", "type": "cgroup", "options": ["readonly"]}]}`, `{"mounts": [{"destination": "/d", "type": "cgroup", "options": ["ro"]}]}`},
	{"mounts[0].options[0]", `{"mounts": [{"destination": "/d", "type": "ramfs", "options": ["readonly"]}]}`, `{"mounts": [{"destination": "/d", "type": "ramfs", "options": ["ro", "mode=700"]}]}`},
	{"mounts[0].options[2]", bound(`, "private", "rshared"`, ""), bound(`, "private", "rprivate", "ro", "rw"`, "")},
	{"mounts[0].options[0]", `{"mounts": [{"destination": "/d", "type": "ramfs", "options": ["tmpcopyup"]}]}`, `{"mounts": [{"destination": "/d", "type": "tmpfs", "options": ["tmpcopyup"]}]}`},
	{"mounts[0].gidMappings", bound(`, "idmap"`, `, "uidMappings": `+ids), bound(`, "idmap"`, `, "uidMappings": `+ids+`, "gidMappings": `+ids)},
	{"mounts[0].uidMappings", bound(`, "ridmap"`, `, "gidMappings": `+ids), bound("", `, "uidMappings": `+ids+`, "gidMappings": `+ids)},
	{"mounts[0].uidMappings[0].size", bound("", `, "uidMappings": [{}], "gidMappings": `+ids), bound(`, "ridmap"`, `, "uidMappings": `+ids+`, "gidMappings": `+ids)},
	{"mounts[0].gidMappings[1].hostID", bound("", `, "uidMappings": `+ids+`, "gidMappings": [{"size": 5}, {"containerID": 5, "hostID": 4, "size": 1}]`),
		bound("", `, "uidMappings": `+ids+`, "gidMappings": [{"size": 5}, {"containerID": 5, "hostID": 5, "size": 1}]`)},
	{"mounts[0].options[1]", bound(`, "idmap"`, ""), strings.TrimSuffix(bound(`, "idmap"`, ""), "}") + ", " + userNamespace},
	{"mounts[0].options", `{"mounts": [{"destination": "/d", "type": "tmpfs", "uidMappings": ` + ids + `, "gidMappings": ` + ids + `}]}`, bound("", "")},
}

var linuxProblems = []problemCase{
	{"linux.gidMappings", `{"linux": {"namespaces": [{"type": "user"}]}}`, `{"linux": {"namespaces": [{"type": "user", "path": "/ns"}, {"type": "uts"}]}}`},
	{"linux.uidMappings", idMappings(many(341)), idMappings(many(340))},
	{"linux.uidMappings[0].size", idMappings(`{"size": 0}`), idMappings(`{"size": 4294967295}`)},
	{"linux.gidMappings[0].containerID", idMappings(`{"containerID": 1, "size": 4294967295}`), idMappings(`{"size": 1}, {"containerID": 1, "hostID": 1, "size": 4294967294}`)},
	{"linux.gidMappings[0].hostID", idMappings(`{"hostID": 4294967295, "size": 1}`), idMappings(`{"hostID": 4294967294, "size": 1}`)},
	{"linux.uidMappings[1].containerID", idMappings(`{"size": 10}, {"containerID": 9, "hostID": 10, "size": 1}`), idMappings(`{"size": 10}, {"containerID": 10, "hostID": 10, "size": 1}`)},
	{"linux.uidMappings[1].hostID", idMappings(`{"hostID": 5, "size": 10}, {"containerID": 20, "hostID": 0, "size": 6}`), idMappings(`{"hostID": 5, "size": 10}, {"containerID": 20, "hostID": 0, "size": 5}`)},

	{`linux.sysctl["vm.swappiness"]`, sysctl("vm.swappiness"), sysctl("net.ipv4.ip_forward")},
	{`linux.sysctl["kernel.pid_max"]`, sysctl("kernel.pid_max"), sysctl("kernel.shm_rmid_forced")},
	{`linux.sysctl["net.x"]`, `{"hostname": "", "linux": {"namespaces": [], "sysctl": {"net.x": "1"}}}`, sysctl("net/ipv4/conf/eth0.1/forwarding")},
	{`linux.sysctl["net/x"]`, `{"linux": {"namespaces": [{"type": "uts"}, {"type": "network", "path": "/proc/1/ns/net"}], "sysctl": {"net/x": "1"}}}`,
		`{"linux": {"namespaces": [{"type": "uts"}, {"type": "network", "path": "/proc/7/ns/net"}], "sysctl": {"net/x": "1"}}}`},
	{`linux.sysctl["kernel.sem"]`, `{"hostname": "", "linux": {"namespaces": [], "sysctl": {"kernel.sem": "1"}}}`, sysctl("kernel.sem")},
	{`linux.sysctl["fs.mqueue.msg_max"]`, `{"hostname": "", "linux": {"namespaces": [], "sysctl": {"fs.mqueue.msg_max": "1"}}}`, sysctl("fs.mqueue.msg_max")},
	{`linux.sysctl["user.max_user_namespaces"]`, sysctl("user.max_user_namespaces"), `{"linux": {"namespaces": [{"type": "uts"}, {"type": "user", "path": "/ns"}], "sysctl": {"user.max_user_namespaces": "1"}}}`},
	{`linux.sysctl["kernel.hostname"]`, sysctl("kernel.hostname"), `{"hostname": "1", "linux": {"sysctl": {"kernel.hostname": "1"}}}`},
	{`linux.sysctl["kernel.domainname"]`, `{"linux": {"namespaces": [{"type": "uts", "path": "/ns"}], "sysctl": {"kernel.domainname": "1"}}}`, sysctl("kernel.domainname")},
	{`linux.sysctl["net/../vm/swappiness"]`, sysctl("net/../vm/swappiness"), sysctl("net.core.somaxconn")},
	{`linux.sysctl[""]`, sysctl(""), sysctl("net.ipv4.conf.eth0/1.forwarding")},
	{`linux.sysctl["net/core/somaxconn"]`, `{"linux": {"sysctl": {"net.core.somaxconn": "1", "net/core/somaxconn": "1"}}}`, `{"linux": {"sysctl": {}}}`},
	{`linux.sysctl["net.x"]`, `{"linux": {"sysctl": {"net.x": "\u0000"}}}`, `{"linux": {"sysctl": {"net.x": ""}}}`},

	{"linux.cgroupsPath", `{"linux": {"cgroupsPath": "/a/../../b"}}`, `{"linux": {"cgroupsPath": "system.slice:rt:id..x"}}`},
	{"linux.namespaces[1].type", `{"linux": {"namespaces": [{"type": "uts"}, {"type": "uts"}]}}`, `{"linux": {"namespaces": [{"type": "uts"}]}}`},
	{"linux.namespaces[0].path", `{"linux": {"namespaces": [{"type": "uts", "path": "ns"}]}}`, `{"linux": {"namespaces": [{"type": "uts", "path": "/ns"}]}}`},

	{"linux.devices[0].path", device(`"path": ""`), device(`"path": "/opt/x"`)},
	{"linux.devices[0].type", device(`"type": ""`), device(`"type": "b"`)},
	{"linux.devices[0].major", device(`"major": 0`), device(`"type": "p", "major": 0`)},
	{"linux.devices[0].major", device(`"major": 4096`), device(`"major": 4095`)},
	{"linux.devices[0].minor", device(`"minor": 1048576`), device(`"minor": 1048575`)},
	{"linux.devices[0].fileMode", device(`"fileMode": 69206416`), device(`"fileMode": 438`)},
	{"linux.devices[0].fileMode", device(`"fileMode": 25008`), device(`"fileMode": 8630`)},
	{"linux.devices[0].uid", device(`"uid": 4294967295`), device(`"uid": 0`)},
	{"linux.devices[0].gid", device(`"gid": 4294967295`), device(`"gid": 5`)},
	{"linux.devices[1].path", `{"linux": {"devices": [{"path": "/dev/a", "type": "c", "major": 1}, {"path": "/dev//a", "type": "b", "major": 1}]}}`,
		`{"linux": {"devices": [{"path": "/dev/a", "type": "c", "major": 1}, {"path": "/dev/a", "type": "c", "major": 1}]}}`},

	{"linux.netDevices", `{"hostname": "", "linux": {"namespaces": [], "netDevices": {"eth0": {}}}}`, netDevice("eth0", "")},
	{"linux.netDevices", `{"linux": {"namespaces": [{"type": "uts"}, {"type": "network", "path": "/proc/self/ns/net"}], "netDevices": {"eth0": {}}}}`, netDevice("eth0.1", "")},
	{`linux.netDevices["a/b"]`, netDevice("a/b", ""), netDevice("a-b", "")},
	{`linux.netDevices["eth0"].name`, netDevice("eth0", ".."), netDevice("eth0", "..a")},
	{`linux.netDevices["eth0"].name`, netDevice("eth0", "sixteen-bytes-ab"), netDevice("eth0", "fifteen-bytes-a")},
	{`linux.netDevices["eth0"].name`, netDevice("eth0", "a%d%d"), netDevice("eth0", "a%d")},
	{`linux.netDevices["b"].name`, `{"linux": {"netDevices": {"a": {"name": "x"}, "b": {"name": "x"}}}}`, `{"linux": {"netDevices": {"a": {"name": "x%d"}, "b": {"name": "x%d"}}}}`},

	{"linux.rootfsPropagation", `{"linux": {"rootfsPropagation": "public"}}`, `{"linux": {"rootfsPropagation": "rslave"}}`},
	{"linux.maskedPaths[0]", `{"linux": {"maskedPaths": ["x"]}}`, `{"linux": {"maskedPaths": ["/x"]}}`},
	{"linux.readonlyPaths[1]", `{"linux": {"readonlyPaths": ["/x", ""]}}`, `{"linux": {"readonlyPaths": []}}`},
	{"linux.mountLabel", `{"linux": {"mountLabel": "label"}}`, `{"linux": {"mountLabel": "system_u:object_r:svirt_sandbox_file_t:s0:c715,c811"}}`},

	{"linux.intelRdt.closID", `{"linux": {"intelRdt": {"closID": "../x"}}}`, `{"linux": {"intelRdt": {"closID": "/"}}}`},
	{"linux.intelRdt.closID", `{"linux": {"intelRdt": {"closID": ".."}}}`, `{"linux": {"intelRdt": {"closID": "group", "enableMonitoring": true}}}`},
	{"linux.intelRdt.schemata[1]", `{"linux": {"intelRdt": {"schemata": ["L3:0=f", "L2:0=f\n"]}}}`, `{"linux": {"intelRdt": {"schemata": ["L3:0=7f0;1=1f", "MB:0=20;1=70"]}}}`},
	{"linux.intelRdt.schemata[0]", `{"linux": {"intelRdt": {"schemata": [""]}}}`, `{"linux": {"intelRdt": {"l3CacheSchema": "L3:0=f"}}}`},
	{"linux.intelRdt.memBwSchema", `{"linux": {"intelRdt": {"memBwSchema": "L3:0=f"}}}`, `{"linux": {"intelRdt": {"memBwSchema": "MB:0=20;1=70"}}}`},
	{"linux.intelRdt.memBwSchema", `{"linux": {"intelRdt": {"memBwSchema": "MB:0=f\n"}}}`, `{"linux": {"intelRdt": {}}}`},

	{"linux.memoryPolicy.mode", `{"linux": {"memoryPolicy": {}}}`, `{"linux": {"memoryPolicy": {"mode": "MPOL_DEFAULT"}}}`},
	{"linux.memoryPolicy.mode", `{"linux": {"memoryPolicy": {"mode": "MPOL_MOST"}}}`, `{"linux": {"memoryPolicy": {"mode": "MPOL_PREFERRED"}}}`},
	{"linux.memoryPolicy.nodes", `{"linux": {"memoryPolicy": {"mode": "MPOL_LOCAL", "nodes": "0"}}}`, `{"linux": {"memoryPolicy": {"mode": "MPOL_PREFERRED", "nodes": "0"}}}`},
	{"linux.memoryPolicy.nodes", `{"linux": {"memoryPolicy": {"mode": "MPOL_BIND"}}}`, `{"linux": {"memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0-1"}}}`},
	{"linux.memoryPolicy.nodes", `{"linux": {"memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0-"}}}`, `{"linux": {"memoryPolicy": {"mode": "MPOL_WEIGHTED_INTERLEAVE", "nodes": "0,2"}}}`},
	{"linux.memoryPolicy.flags[0]", memoryFlags("MPOL_BIND", `"MPOL_F_X"`), memoryFlags("MPOL_BIND", `"MPOL_F_NUMA_BALANCING"`)},
	{"linux.memoryPolicy.flags[0]", memoryFlags("MPOL_INTERLEAVE", `"MPOL_F_NUMA_BALANCING"`), memoryFlags("MPOL_INTERLEAVE", `"MPOL_F_STATIC_NODES"`)},
	{"linux.memoryPolicy.flags[1]", memoryFlags("MPOL_BIND", `"MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"`), memoryFlags("MPOL_BIND", `"MPOL_F_RELATIVE_NODES", "MPOL_F_NUMA_BALANCING"`)},
	{"linux.memoryPolicy.flags[0]", `{"linux": {"memoryPolicy": {"mode": "MPOL_LOCAL", "flags": ["MPOL_F_STATIC_NODES"]}}}`, `{"linux": {"memoryPolicy": {"mode": "MPOL_LOCAL"}}}`},

	{"linux.personality.domain", `{"linux": {"personality": {"domain": "BSD"}}}`, `{"linux": {"personality": {"domain": "LINUX32"}}}`},
	{"linux.personality.flags[0]", `{"linux": {"personality": {"domain": "LINUX", "flags": ["X"]}}}`, `{"linux": {"personality": {"domain": "LINUX", "flags": []}}}`},

	{"linux.timeOffsets", `{"linux": {"timeOffsets": {"boottime": {}}}}`, offsets(`"boottime": {"secs": -1}`)},
	{"linux.timeOffsets", `{"linux": {"namespaces": [{"type": "uts"}, {"type": "time", "path": "/ns"}], "timeOffsets": {"boottime": {}}}}`, offsets("")},
	{`linux.timeOffsets["realtime"]`, offsets(`"realtime": {}`), offsets(`"monotonic": {}`)},
	{"linux.timeOffsets.boottime.secs", offsets(`"boottime": {"secs": 4611686019}`), offsets(`"boottime": {"secs": 4611686018}`)},
	{"linux.timeOffsets.boottime.nanosecs", offsets(`"boottime": {"nanosecs": 1000000000}`), offsets(`"boottime": {"nanosecs": 999999999}`)},
}

func sysctl(name string) string { return fmt.Sprintf(`{"linux": {"sysctl": {%q: "1"}}}`, name) }

// device is a document with a character device, of which members can be
// replaced: the last one of a name counts.
func device(members string) string {
	return fmt.Sprintf(`{"linux": {"devices": [{"path": "/dev/x", "type": "c", "major": 10, "minor": 229, %s}]}}`, members)
}

func netDevice(host, name string) string {
	return fmt.Sprintf(`{"linux": {"netDevices": {%q: {"name": %q}}}}`, host, name)
}

func memoryFlags(mode, flags string) string {
	return fmt.Sprintf(`{"linux": {"memoryPolicy": {"mode": %q, "nodes": "0-1", "flags": [%s]}}}`, mode, flags)
}

func offsets(clocks string) string {
	return fmt.Sprintf(`{"linux": {"namespaces": [{"type": "uts"}, {"type": "time"}], "timeOffsets": {%s}}}`, clocks)
}
