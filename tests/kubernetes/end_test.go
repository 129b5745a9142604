package kubernetes

import (
	"strings"
	"time"
)

// How containers end, and what happens then.
var endScenarios = []scenario{
	{
		name: "exit code", pod: `
restartPolicy: Never
containers:
- {name: box, image: <image>, command: [sh, -c, "exit 3"]}
- {name: good, image: <image>, command: ["true"]}
- {name: killed, image: <image>, command: [sh, -c, "sleep 1000 & kill -KILL $!; wait $!"]}`,
		check: func(r *run) {
			r.ends("Failed")
			equal(r, r.field(".status.containerStatuses[*].state.terminated.exitCode"), "3 0 137")
			equal(r, r.field(".status.containerStatuses[*].state.terminated.reason"), "Error Completed Error")
		},
	},
	{
		name: "restartPolicy OnFailure", pod: `
restartPolicy: OnFailure
volumes: [{name: data, emptyDir: {}}]
containers:
- name: box
  image: <image>
  command: [sh, -c, "test -e /data/file || { touch /data/file; exit 1; }; echo second time"]
  volumeMounts: [{name: data, mountPath: /data}]`,
		check: func(r *run) {
			r.ends("Succeeded")
			equal(r, r.field(".status.containerStatuses[0].restartCount"), "1")
			equal(r, r.kubectl("logs", r.name), "second time")
		},
	},
	{
		name: "CrashLoopBackOff", pod: `containers: [{name: box, image: <image>, command: [sh, -c, "exit 4"]}]`,
		check: func(r *run) {
			r.becomes(".status.containerStatuses[0].state.waiting.reason", "CrashLoopBackOff")
			equal(r, r.field(".status.containerStatuses[0].lastState.terminated.exitCode"), "4")
			r.event("BackOff", "Back-off restarting failed container box")
			// The second restart is ten seconds after the first.
			r.eventually("it is restarted again", func() bool { return r.field(".status.containerStatuses[0].restartCount") >= "2" })
		},
	},
	{
		name: "graceful end", pod: `
volumes: [{name: host, hostPath: {path: <host>}}]
terminationGracePeriodSeconds: 60
containers:
- name: box
  image: <image>
  command: [sh, -c, "trap 'sleep 2; echo ended by TERM > /host/file; exit 0' TERM; while sleep 0.1; do :; done"]
  volumeMounts: [{name: host, mountPath: /host}]`,
		check: func(r *run) {
			r.ready()
			took := r.timeOf(func() { r.kubectl("delete", "pod", r.name, "--timeout="+waiting()) })
			equal(r, r.hostFile("file"), "ended by TERM")
			equal(r, took > 1.5 && took < 50, true)
		},
	},
	{
		name: "SIGKILL at the limit", pod: `
volumes: [{name: host, hostPath: {path: <host>}}]
terminationGracePeriodSeconds: 3
containers:
- name: box
  image: <image>
  command: [sh, -c, "trap 'echo TERM >> /host/file' TERM; while sleep 0.1; do :; done"]
  volumeMounts: [{name: host, mountPath: /host}]`,
		check: func(r *run) {
			r.ready()
			took := r.timeOf(func() { r.kubectl("delete", "pod", r.name, "--timeout="+waiting()) })
			equal(r, r.hostFile("file"), "TERM")
			equal(r, took > 2.5 && took < 50, true)
		},
	},
	{
		name: "delete by force", pod: "terminationGracePeriodSeconds: 100\n" + box,
		check: func(r *run) {
			r.ready()
			c := r.container("box")
			r.kubectl("delete", "pod", r.name, "--force", "--grace-period=0")
			r.eventually("the process is gone", func() bool { return !c.runs() })
		},
	},
	{
		name: "out of memory", pod: `
restartPolicy: Never
containers:
- name: box
  image: <image>
  command: [sh, -c, "exec tail /dev/zero"]
  resources: {limits: {memory: 32Mi}}
- {name: other, image: <image>, command: [sh, -c, "sleep 6; echo still here"]}`,
		check: func(r *run) {
			r.ends("Failed")
			equal(r, r.field(`.status.containerStatuses[?(@.name=="box")].state.terminated.reason`), "OOMKilled")
			equal(r, r.field(`.status.containerStatuses[?(@.name=="box")].state.terminated.exitCode`), "137")
			equal(r, r.kubectl("logs", r.name, "-c", "other"), "still here")
		},
	},
	{
		name: "child out of memory", pod: `
containers:
- name: box
  image: <image>
  command: [sh, -c, "tail /dev/zero; echo the child ended with $?; sleep 1000"]
  resources: {limits: {memory: 32Mi}}`,
		check: func(r *run) {
			if isV2() {
				// The kubelet asks that the whole container ends: memory.oom.group.
				r.becomes(".status.containerStatuses[0].lastState.terminated.reason", "OOMKilled")
				return
			}
			r.ready()
			r.eventually("the child is killed", func() bool {
				return strings.Contains(r.kubectl("logs", r.name), "the child ended with 137")
			})
			equal(r, r.field(".status.containerStatuses[0].restartCount"), "0")
		},
	},
	{
		name: "termination message", pod: `
restartPolicy: Never
containers:
- {name: box, image: <image>, command: [sh, -c, "echo from the file > /dev/termination-log; exit 1"]}
- {name: log, image: <image>, terminationMessagePolicy: FallbackToLogsOnError, command: [sh, -c, "echo from the log; exit 1"]}
- {name: path, image: <image>, terminationMessagePath: /tmp/message, command: [sh, -c, "echo elsewhere > /tmp/message"]}`,
		check: func(r *run) {
			r.ends("Failed")
			equal(r, r.field(".status.containerStatuses[*].state.terminated.message"), "from the file\n from the log\n elsewhere")
		},
	},
	{
		name: "activeDeadlineSeconds", pod: "activeDeadlineSeconds: 3\n" + box,
		check: func(r *run) {
			r.ends("Failed")
			equal(r, r.field(".status.reason"), "DeadlineExceeded")
		},
	},
}

// timeOf is how many seconds something takes.
func (r *run) timeOf(what func()) float64 {
	began := time.Now()
	what()
	return time.Since(began).Seconds()
}
