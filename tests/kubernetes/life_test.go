package kubernetes

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The containers of a pod, and how they start.
var lifeScenarios = []scenario{
	{
		name: "pod runs", pod: box,
		check: func(r *run) {
			r.ready()
			equal(r, r.exec("hostname"), r.name)
			c := r.container("box")
			equal(r, filepath.Base(c.shim(r)), r.handler.shim)
			equal(r, c.pauseContainers(r), map[bool]int{true: 1, false: 0}[r.handler.pause])
		},
	},
	{
		name: "pod of the default runtime", only: []string{"rt"}, pod: noClass + "\n" + box,
		check: func(r *run) {
			r.ready()
			equal(r, filepath.Base(r.container("box").shim(r)), r.handler.shim)
		},
	},
	{
		name: "several containers", pod: `
containers:
- {name: box, image: <image>, command: [sleep, "1000"]}
- {name: web, image: <image>, command: [httpd, -f, -p, "80", -h, /www]}
- {name: third, image: <image>, command: [sleep, "1001"]}`,
		check: func(r *run) {
			r.ready()
			equal(r, r.exec("wget", "-q", "-O-", "http://127.0.0.1/index.html"), "hello")
			equal(r, r.kubectl("exec", r.name, "-c", "third", "--", "cat", "/proc/1/cmdline"), "sleep\x001001\x00")
			box, web := r.container("box"), r.container("web")
			for kind, shared := range map[string]bool{"net": true, "ipc": true, "uts": true, "pid": false, "mnt": false} {
				equal(r, box.namespace(r, kind) == web.namespace(r, kind), shared)
			}
			equal(r, box.shim(r), web.shim(r))
		},
	},
	{
		name: "init containers", pod: `
restartPolicy: Never
volumes: [{name: data, emptyDir: {}}]
initContainers:
- {name: first, image: <image>, command: [sh, -c, "sleep 1; echo first >> /data/file"], volumeMounts: [{name: data, mountPath: /data}]}
- {name: second, image: <image>, command: [sh, -c, "echo second >> /data/file"], volumeMounts: [{name: data, mountPath: /data}]}
containers:
- {name: box, image: <image>, command: [cat, /data/file], volumeMounts: [{name: data, mountPath: /data}]}`,
		check: func(r *run) {
			r.ends("Succeeded")
			equal(r, r.kubectl("logs", r.name), "first\nsecond")
		},
	},
	{
		name: "init container that fails", pod: `
restartPolicy: Never
initContainers: [{name: first, image: <image>, command: [sh, -c, "exit 7"]}]
containers: [{name: box, image: <image>, command: [touch, /proc/none]}]`,
		check: func(r *run) {
			r.ends("Failed")
			equal(r, r.field(".status.initContainerStatuses[0].state.terminated.exitCode"), "7")
			equal(r, r.field(".status.containerStatuses[0].state.waiting.reason"), "PodInitializing")
		},
	},
	{
		name: "sidecar container", pod: `
restartPolicy: Never
volumes: [{name: host, hostPath: {path: <host>}}]
terminationGracePeriodSeconds: 5
initContainers:
- name: sidecar
  image: <image>
  restartPolicy: Always
  command: [sh, -c, "trap 'echo sidecar ended >> /host/file; exit 0' TERM; httpd -p 80 -h /www; while sleep 0.1; do :; done"]
  startupProbe: {httpGet: {path: /index.html, port: 80}, periodSeconds: 1}
  volumeMounts: [{name: host, mountPath: /host}]
containers:
- name: box
  image: <image>
  command: [sh, -c, "wget -q -O- http://127.0.0.1/index.html > /host/file; echo box ended >> /host/file"]
  volumeMounts: [{name: host, mountPath: /host}]`,
		check: func(r *run) {
			r.ends("Succeeded")
			equal(r, r.hostFile("file"), "hello\nbox ended\nsidecar ended")
		},
	},
	{
		name: "sidecar container that is restarted", pod: `
initContainers: [{name: sidecar, image: <image>, restartPolicy: Always, command: [sh, -c, "sleep 2; exit 1"]}]
` + box,
		check: func(r *run) {
			r.ready()
			r.eventually("the sidecar is restarted", func() bool { return r.field(".status.initContainerStatuses[0].restartCount") == "1" })
			equal(r, r.field(".status.containerStatuses[0].restartCount"), "0")
		},
	},
	{
		name: "ephemeral container", pod: box,
		check: func(r *run) {
			r.ready()
			r.kubectl("debug", r.name, "--image="+image, "--image-pull-policy=Never", "--target=box", "--container=debugger", "--profile=general", "--", "sleep", "1002")
			r.eventually("the debugger runs", func() bool { return r.field(".status.ephemeralContainerStatuses[0].state.running.startedAt") != "" })
			out := r.kubectl("exec", r.name, "-c", "debugger", "--", "sh", "-c", "cat /proc/1/cmdline; cat /proc/1/root/etc/hostname")
			r.contains(out, "sleep\x001000", r.name)
		},
	},
	{
		name: "environment and directory", objects: `
apiVersion: v1
kind: ConfigMap
metadata: {name: <name>}
data: {FROM_MAP: map}
---
apiVersion: v1
kind: Secret
metadata: {name: <name>}
stringData: {secret: hidden}`,
		pod: `
restartPolicy: Never
containers:
- name: box
  image: <image>
  workingDir: /tmp/new
  command: [sh, -c, "echo $(GREETING) $FROM_MAP $SECRET $NAME $IP $LIMIT $PWD"]
  resources: {limits: {memory: 64Mi}}
  envFrom: [{configMapRef: {name: <name>}}]
  env:
  - {name: GREETING, value: hello}
  - {name: SECRET, valueFrom: {secretKeyRef: {name: <name>, key: secret}}}
  - {name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
  - {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
  - {name: LIMIT, valueFrom: {resourceFieldRef: {resource: limits.memory}}}`,
		check: func(r *run) {
			r.ends("Succeeded")
			equal(r, r.kubectl("logs", r.name), "hello map hidden "+r.name+" "+r.field(".status.podIP")+" 67108864 /tmp/new")
		},
	},
	{
		name: "terminal", pod: `containers: [{name: box, image: <image>, tty: true, stdin: true, command: [sh, -c, "tty; sleep 1000"]}]`,
		check: func(r *run) {
			r.ready()
			r.contains(r.kubectl("logs", r.name), "/dev/pts/0")
		},
	},
	{
		name: "command that is not there", pod: `
restartPolicy: Never
containers: [{name: box, image: <image>, command: [/no-such-program]}]`,
		check: func(r *run) {
			r.ends("Failed")
			equal(r, r.field(".status.containerStatuses[0].state.terminated.reason"), "StartError")
			r.contains(r.field(".status.containerStatuses[0].state.terminated.message"), "/no-such-program", "no such file or directory")
		},
	},
	{
		name: "RuntimeClass without a handler", objects: `
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: <runtime>-none}
handler: none`,
		pod: noClass + "\nruntimeClassName: <runtime>-none\n" + box,
		check: func(r *run) {
			r.event("FailedCreatePodSandBox", `no runtime for "none" is configured`)
		},
	},
	{
		name: "static pod",
		check: func(r *run) {
			file := filepath.Join(state, "static", r.name+".yaml")
			manifest := strings.Replace(r.podManifest(box), "metadata: {", "metadata: {namespace: "+r.handler.name+", ", 1)
			must(r.T, os.WriteFile(file, []byte(manifest), 0o644))
			defer os.Remove(file)
			r.name += "-" + nodeName
			r.eventually("the kubelet starts the pod", func() bool {
				out, _ := r.try("", "get", "pod", r.name, "-o", "jsonpath={.status.phase}")
				return out == "Running"
			})
			equal(r, r.exec("hostname"), r.name)
		},
	},
}

// namespace is a namespace of a container, as a link of /proc shows it.
func (c container) namespace(r *run, kind string) string {
	r.Helper()
	link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", c.pid, kind))
	must(r.T, err)
	return link
}

// parent is the process whose child the container's process is: the shim.
func (c container) parent(r *run) string {
	r.Helper()
	return statParent(c.proc(r, "stat"))
}

// statParent is the fourth field of /proc/PID/stat. The second is in parentheses.
func statParent(stat string) string {
	if fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:]); len(fields) > 1 {
		return fields[1]
	}
	return ""
}

// shim is the process id and the program of the container's shim.
func (c container) shim(r *run) string {
	r.Helper()
	parent := c.parent(r)
	exe, err := os.Readlink("/proc/" + parent + "/exe")
	must(r.T, err)
	return parent + exe
}

// pauseContainers counts the children of the container's shim that are pause containers.
func (c container) pauseContainers(r *run) int {
	r.Helper()
	count := 0
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		stat, _ := os.ReadFile(file)
		command, _ := os.ReadFile(filepath.Dir(file) + "/cmdline")
		if statParent(string(stat)) == c.parent(r) && strings.HasPrefix(string(command), "tail\x00-f") {
			count++
		}
	}
	return count
}

// hostFile is a file in the scenario's directory of the node.
func (r *run) hostFile(name string) string {
	r.Helper()
	data, err := os.ReadFile(filepath.Join(r.host(), name))
	must(r.T, err)
	return strings.TrimSpace(string(data))
}
