package kubernetes

import (
	"os"
	"path/filepath"
	"syscall"
)

// Directories of the node, and how mounts come through.
var mountScenarios = []scenario{
	{
		name: "hostPath", pod: `
volumes: [{name: host, hostPath: {path: <host>/new, type: DirectoryOrCreate}}]
containers:
- {name: box, image: <image>, command: [sleep, "1000"], volumeMounts: [{name: host, mountPath: /host}, {name: host, mountPath: /readonly, readOnly: true}]}`,
		check: func(r *run) {
			r.ready()
			r.sh("echo text > /host/file")
			equal(r, r.hostFile("new/file"), "text")
			out, _ := r.try("", "exec", r.name, "--", "touch", "/readonly/file")
			r.contains(out, "Read-only file system")
		},
	},
	{
		name: "hostPath without propagation", pod: `
volumes: [{name: host, hostPath: {path: <host>}}]
containers:
- {name: box, image: <image>, command: [sleep, "1000"], volumeMounts: [{name: host, mountPath: /host}]}`,
		check: func(r *run) {
			r.ready()
			r.mountOnNode("late")
			equal(r, r.sh("ls /host/late"), "")
		},
	},
	{
		name: "hostPath with HostToContainer", pod: `
volumes: [{name: host, hostPath: {path: <host>}}]
containers:
- {name: box, image: <image>, command: [sleep, "1000"], volumeMounts: [{name: host, mountPath: /host, mountPropagation: HostToContainer}]}`,
		check: func(r *run) {
			r.ready()
			r.mountOnNode("late")
			equal(r, r.sh("ls /host/late"), "file")
		},
	},
	{
		name: "hostPath with Bidirectional", pod: `
volumes: [{name: host, hostPath: {path: <host>}}]
containers:
- name: box
  image: <image>
  command: [sleep, "1000"]
  securityContext: {privileged: true}
  volumeMounts: [{name: host, mountPath: /host, mountPropagation: Bidirectional}]
- {name: other, image: <image>, command: [sleep, "1000"], volumeMounts: [{name: host, mountPath: /host, mountPropagation: HostToContainer}]}`,
		check: func(r *run) {
			r.ready()
			r.sh("mkdir /host/inner && mount -t tmpfs none /host/inner && echo text > /host/inner/file")
			r.Cleanup(func() { _ = syscall.Unmount(filepath.Join(r.host(), "inner"), syscall.MNT_DETACH) })
			equal(r, r.hostFile("inner/file"), "text")
			equal(r, r.kubectl("exec", r.name, "-c", "other", "--", "cat", "/host/inner/file"), "text")
			r.mountOnNode("late")
			equal(r, r.sh("ls /host/late; umount /host/inner"), "file")
			if _, err := os.Stat(filepath.Join(r.host(), "inner/file")); err == nil {
				r.Error("the mount is still there on the node")
			}
		},
	},
	{
		name: "recursiveReadOnly",
		check: func(r *run) {
			r.mountOnNode("inner")
			r.create(r.podManifest(`
volumes: [{name: host, hostPath: {path: <host>}}]
containers:
- name: box
  image: <image>
  command: [sleep, "1000"]
  volumeMounts:
  - {name: host, mountPath: /shallow, readOnly: true}
  - {name: host, mountPath: /deep, readOnly: true, recursiveReadOnly: Enabled}`))
			r.ready()
			r.exec("touch", "/shallow/inner/new")
			out, _ := r.try("", "exec", r.name, "--", "touch", "/deep/inner/newer")
			r.contains(out, "Read-only file system")
		},
	},
}

// mountOnNode mounts a file system with a file below the scenario's directory, until the
// scenario ends.
func (r *run) mountOnNode(name string) {
	r.Helper()
	dir := filepath.Join(r.host(), name)
	must(r.T, os.MkdirAll(dir, 0o755))
	must(r.T, syscall.Mount("none", dir, "tmpfs", 0, ""))
	r.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	must(r.T, os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
}
