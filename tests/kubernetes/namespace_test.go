package kubernetes

import (
	"fmt"
	"os"
	"syscall"
)

// Namespaces that containers share with each other or with the node.
var namespaceScenarios = []scenario{
	{
		name: "shareProcessNamespace", pod: `
shareProcessNamespace: true
containers:
- {name: box, image: <image>, command: [sleep, "1000"]}
- {name: other, image: <image>, command: [sh, -c, "(sleep 0.1 &) ; exec sleep 1003"]}`,
		check: func(r *run) {
			r.ready()
			r.contains(r.exec("ps"), "sleep 1000", "sleep 1003")
			equal(r, r.sh("cat /proc/$(ps | grep '[s]leep 1003' | (read pid rest; echo $pid))/root/etc/hostname"), r.name)
			equal(r, r.container("box").namespace(r, "pid"), r.container("other").namespace(r, "pid"))
			// A signal from the one ends the other, which is restarted.
			r.sh("kill -KILL $(ps | grep '[s]leep 1003' | (read pid rest; echo $pid))")
			r.becomes(`.status.containerStatuses[?(@.name=="other")].restartCount`, "1")
			equal(r, r.field(`.status.containerStatuses[?(@.name=="box")].restartCount`), "0")
		},
	},
	{
		name: "hostNetwork", pod: "hostNetwork: true\n" + box,
		check: func(r *run) {
			r.ready()
			r.contains(r.exec("ip", "address"), "node0", nodeAddress)
			equal(r, r.container("box").namespace(r, "net"), ownNamespace(r, "net"))
			equal(r, r.field(".status.podIP"), nodeAddress)
			equal(r, r.exec("hostname"), nodeName)
		},
	},
	{
		name: "hostIPC", pod: "hostIPC: true\n" + box,
		check: func(r *run) {
			r.ready()
			equal(r, r.container("box").namespace(r, "ipc"), ownNamespace(r, "ipc"))
			must(r.T, os.WriteFile("/dev/shm/"+r.handler.name, []byte("shared"), 0o644))
			equal(r, r.exec("cat", "/dev/shm/"+r.handler.name), "shared")
		},
	},
	{
		name: "hostPID", pod: "hostPID: true\n" + box,
		check: func(r *run) {
			r.ready()
			c := r.container("box")
			equal(r, c.namespace(r, "pid"), ownNamespace(r, "pid"))
			r.contains(r.exec("cat", fmt.Sprintf("/proc/%d/cmdline", c.pid)), "sleep\x001000")
			r.contains(r.exec("ps"), "kubelet")
			r.kubectl("delete", "pod", r.name, "--timeout="+waiting())
			equal(r, c.runs(), false)
		},
	},
	{
		name: "sysctls", pod: `
securityContext:
  sysctls:
  - {name: kernel.shm_rmid_forced, value: "1"}
  - {name: net.ipv4.ip_local_port_range, value: "2000 3000"}
  - {name: net.core.somaxconn, value: "77"}
` + box,
		check: func(r *run) {
			r.ready()
			equal(r, r.sh("cat /proc/sys/kernel/shm_rmid_forced; cat /proc/sys/net/core/somaxconn; set -- $(cat /proc/sys/net/ipv4/ip_local_port_range); echo $*"), "1\n77\n2000 3000")
		},
	},
	{
		name: "unsafe sysctl that is not allowed", pod: `
securityContext: {sysctls: [{name: kernel.msgmax, value: "1000"}]}
` + box,
		check: func(r *run) {
			r.ends("Failed")
			equal(r, r.field(".status.reason"), "SysctlForbidden")
		},
	},
	{
		name: "low ports without a capability", pod: `
containers:
- name: box
  image: <image>
  command: [httpd, -f, -p, "80", -h, /www]
  securityContext: {runAsUser: 1000, capabilities: {drop: [ALL]}}`,
		check: func(r *run) {
			r.ready()
			equal(r, get("http://"+r.field(".status.podIP")+"/index.html"), "hello\n")
		},
	},
}

// ownNamespace is a namespace of the node, as a link of /proc shows it.
func ownNamespace(r *run, kind string) string {
	r.Helper()
	link, err := os.Readlink("/proc/self/ns/" + kind)
	must(r.T, err)
	return link
}

// ownerOf is the user to whom a file of the node belongs.
func ownerOf(r *run, path string) uint32 {
	r.Helper()
	var st syscall.Stat_t
	must(r.T, syscall.Stat(path, &st))
	return st.Uid
}
