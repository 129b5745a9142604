package kubernetes

import (
	"os"
	"path/filepath"
	"strings"
)

// Security contexts.
var securityScenarios = []scenario{
	{
		name: "seccomp: RuntimeDefault", pod: `
securityContext: {seccompProfile: {type: RuntimeDefault}}
` + box,
		check: func(r *run) {
			r.ready()
			equal(r, r.status("Seccomp"), "2")
			out, code := r.try("", "exec", r.name, "--", "unshare", "-U", "true")
			equal(r, code != 0, true)
			r.contains(out, "Operation not permitted")
		},
	},
	{
		name: "seccomp: Localhost",
		check: func(r *run) {
			profile := `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]}`
			must(r.T, os.WriteFile(filepath.Join("/var/lib/kubelet/seccomp", r.handler.name+".json"), []byte(profile), 0o644))
			r.create(r.podManifest("securityContext: {seccompProfile: {type: Localhost, localhostProfile: <runtime>.json}}\n" + box))
			r.ready()
			equal(r, r.status("Seccomp"), "2")
			out, _ := r.try("", "exec", r.name, "--", "mkdir", "/tmp/new")
			r.contains(out, "Function not implemented")
			r.exec("touch", "/tmp/file")
		},
	},
	{
		name: "seccomp: Unconfined", pod: `
securityContext: {seccompProfile: {type: Unconfined}}
` + box,
		check: func(r *run) {
			r.ready()
			equal(r, r.status("Seccomp"), "0")
			r.exec("unshare", "-U", "true")
		},
	},
	{
		name: "users and groups", pod: `
securityContext: {runAsUser: 1000, runAsGroup: 2000, fsGroup: 3000, supplementalGroups: [5000], runAsNonRoot: true}
volumes: [{name: data, emptyDir: {}}]
containers:
- {name: box, image: <image>, command: [sleep, "1000"], volumeMounts: [{name: data, mountPath: /data}]}
- {name: other, image: <image>, command: [sleep, "1000"], securityContext: {runAsUser: 1234}}`,
		check: func(r *run) {
			r.ready()
			equal(r, r.sh("id -u; id -g; id -G"), "1000\n2000\n2000 3000 4000 5000")
			equal(r, r.sh("touch /data/file; stat -c '%u %g' /data/file; stat -c '%g %a' /data"), "1000 3000\n3000 2777")
			equal(r, r.kubectl("exec", r.name, "-c", "other", "--", "id", "-u"), "1234")
		},
	},
	{
		name: "supplementalGroupsPolicy Strict", pod: `
securityContext: {runAsUser: 1000, runAsGroup: 2000, supplementalGroups: [5000], supplementalGroupsPolicy: Strict}
` + box,
		check: func(r *run) {
			r.ready()
			equal(r, r.exec("id", "-G"), "2000 5000")
		},
	},
	{
		name: "runAsNonRoot refuses root", pod: `
securityContext: {runAsNonRoot: true}
` + box,
		check: func(r *run) {
			r.becomes(".status.containerStatuses[0].state.waiting.reason", "CreateContainerConfigError")
		},
	},
	{
		name: "readOnlyRootFilesystem", pod: `
volumes: [{name: data, emptyDir: {}}]
containers:
- name: box
  image: <image>
  command: [sleep, "1000"]
  securityContext: {readOnlyRootFilesystem: true}
  volumeMounts: [{name: data, mountPath: /data}]`,
		check: func(r *run) {
			r.ready()
			out, _ := r.try("", "exec", r.name, "--", "touch", "/file")
			r.contains(out, "Read-only file system")
			r.exec("touch", "/data/file", "/dev/shm/file")
		},
	},
	{
		name: "capabilities", pod: `
containers:
- {name: box, image: <image>, command: [sleep, "1000"], securityContext: {capabilities: {drop: [ALL], add: [NET_BIND_SERVICE, SYS_TIME]}}}
- {name: plain, image: <image>, command: [sleep, "1000"]}
- {name: added, image: <image>, command: [sleep, "1000"], securityContext: {capabilities: {drop: [CHOWN], add: [NET_ADMIN]}}}`,
		check: func(r *run) {
			r.ready()
			equal(r, r.status("CapEff"), "0000000002000400")
			equal(r, r.status("CapBnd"), "0000000002000400")
			equal(r, r.kubectl("exec", r.name, "-c", "plain", "--", "grep", "CapEff", "/proc/self/status"), "CapEff:\t00000000a80425fb")
			equal(r, r.kubectl("exec", r.name, "-c", "added", "--", "grep", "CapEff", "/proc/1/status"), "CapEff:\t00000000a80435fa")
			r.kubectl("exec", r.name, "-c", "added", "--", "ip", "link", "set", "lo", "mtu", "1400")
		},
	},
	{
		name: "allowPrivilegeEscalation", pod: `
containers:
- {name: box, image: <image>, command: [sleep, "1000"], securityContext: {allowPrivilegeEscalation: false}}
- {name: plain, image: <image>, command: [sleep, "1000"]}`,
		check: func(r *run) {
			r.ready()
			equal(r, r.status("NoNewPrivs"), "1")
			equal(r, r.kubectl("exec", r.name, "-c", "plain", "--", "grep", "NoNewPrivs", "/proc/1/status"), "NoNewPrivs:\t0")
		},
	},
	{
		name: "privileged", pod: `
containers:
- {name: box, image: <image>, command: [sleep, "1000"], securityContext: {privileged: true}}`,
		check: func(r *run) {
			r.ready()
			own, err := os.ReadFile("/proc/self/status")
			must(r.T, err)
			_, caps, _ := strings.Cut(string(own), "CapEff:\t")
			equal(r, r.status("CapEff"), caps[:16])
			equal(r, r.status("Seccomp"), "0")
			r.sh("mount -t tmpfs none /tmp && test -c /dev/kmsg && test -w /proc/sys/kernel/hostname && mkdir -p /tmp/x && umount /tmp")
			r.contains(r.sh("grep ' /sys ' /proc/mounts"), "rw")
		},
	},
	{
		name: "masked paths", pod: box,
		check: func(r *run) {
			r.ready()
			equal(r, r.sh("cat /proc/keys /proc/timer_list | wc -c; ls /proc/acpi /sys/firmware | grep -v :"), "0")
			out, _ := r.try("", "exec", r.name, "--", "sh", "-c", "echo 1 > /proc/sys/kernel/panic")
			r.contains(out, "Read-only file system")
			out, _ = r.try("", "exec", r.name, "--", "mkdir", map[bool]string{true: "/sys/fs/cgroup/new", false: "/sys/fs/cgroup/memory/new"}[isV2()])
			r.contains(out, "Read-only file system")
		},
	},
	{
		name: "procMount Unmasked", pod: `
hostUsers: false
containers:
- {name: box, image: <image>, command: [sleep, "1000"], securityContext: {procMount: Unmasked}}
- {name: masked, image: <image>, command: [sleep, "1000"]}`,
		check: func(r *run) {
			r.ready()
			equal(r, r.sh("grep -c ' /proc/' /proc/self/mountinfo || true"), "0")
			equal(r, r.kubectl("exec", r.name, "-c", "masked", "--", "grep", "-c", " /proc/keys ", "/proc/self/mountinfo"), "1")
		},
	},
	{
		name: "hostUsers: false", objects: `
apiVersion: v1
kind: ConfigMap
metadata: {name: <name>}
data: {file: text}`,
		pod: `
hostUsers: false
securityContext: {fsGroup: 3000}
volumes:
- {name: data, emptyDir: {}}
- {name: map, configMap: {name: <name>}}
containers:
- name: box
  image: <image>
  command: [sleep, "1000"]
  securityContext: {capabilities: {add: [SYS_ADMIN]}}
  volumeMounts: [{name: data, mountPath: /data}, {name: map, mountPath: /map}]`,
		check: func(r *run) {
			r.ready()
			equal(r, r.exec("id", "-u"), "0")
			fields := strings.Fields(r.exec("cat", "/proc/self/uid_map"))
			equal(r, fields[0]+" "+fields[2], "0 65536")
			equal(r, fields[1] == "0", false)
			equal(r, r.sh("touch /data/file /file; stat -c '%u %g' /data/file; stat -c %u /file; cat /map/file"), "0 3000\n0\ntext")
			c := r.container("box")
			equal(r, strings.Join(strings.Fields(c.proc(r, "uid_map")), " "), strings.Join(fields, " "))
			equal(r, c.namespace(r, "user") == ownNamespace(r, "user"), false)
			// The volume has the same owner on the node as in the container.
			file := filepath.Join("/var/lib/kubelet/pods", r.field(".metadata.uid"), "volumes/kubernetes.io~empty-dir/data/file")
			equal(r, ownerOf(r, file), 0)
			// The capability is one over the pod's namespaces, not over the node.
			r.sh("mount -t tmpfs none /tmp")
			out, _ := r.try("", "exec", r.name, "--", "mknod", "/tmp/device", "c", "1", "3")
			r.contains(out, "Operation not permitted")
		},
	},
	{
		name: "AppArmor", only: appArmorColumns(), pod: `
securityContext: {appArmorProfile: {type: RuntimeDefault}}
` + box,
		check: func(r *run) {
			r.ready()
			r.contains(r.exec("cat", "/proc/1/attr/current"), "cri-containerd.apparmor.d (enforce)")
		},
	},
}

// appArmorColumns are all columns on a machine with AppArmor, else none.
func appArmorColumns() []string {
	if hasAppArmor() {
		return nil
	}
	return []string{}
}

// status is a field of the status of the container's first process.
func (r *run) status(field string) string {
	r.Helper()
	_, value, _ := strings.Cut(r.exec("grep", "^"+field+":", "/proc/1/status"), ":")
	return strings.TrimSpace(value)
}
