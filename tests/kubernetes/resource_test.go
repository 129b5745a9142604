package kubernetes

import (
	"fmt"
	"path"
	"strings"
	"syscall"
)

// Limits, and the cgroups of pods and containers.
var resourceScenarios = []scenario{
	{
		name: "limits", pod: `
containers:
- name: box
  image: <image>
  command: [sleep, "1000"]
  resources: {requests: {cpu: 50m, memory: 20Mi}, limits: {cpu: 200m, memory: 64Mi}}`,
		check: func(r *run) {
			r.ready()
			c := r.container("box")
			equal(r, c.cgroup(r, "memory", "memory.limit_in_bytes", "memory.max"), "67108864")
			if isV2() {
				equal(r, c.cgroup(r, "cpu", "", "cpu.max"), "20000 100000")
			} else {
				equal(r, c.cgroup(r, "cpu", "cpu.cfs_quota_us", "")+" of "+c.cgroup(r, "cpu", "cpu.cfs_period_us", ""), "20000 of 100000")
				equal(r, c.cgroup(r, "cpu", "cpu.shares", ""), "51")
			}
			// The container sees its own cgroup.
			r.contains(r.sh("cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null || true"), "67108864")
		},
	},
	{
		name: "QoS: guaranteed", pod: `
containers:
- name: box
  image: <image>
  command: [sleep, "1000"]
  resources: {limits: {cpu: 100m, memory: 64Mi}}`,
		check: func(r *run) { r.checkQOS("Guaranteed", "/kubepods/pod") },
	},
	{
		name: "QoS: burstable", pod: `
containers:
- name: box
  image: <image>
  command: [sleep, "1000"]
  resources: {requests: {cpu: 100m}}`,
		check: func(r *run) { r.checkQOS("Burstable", "/kubepods/burstable/pod") },
	},
	{
		name: "QoS: best effort", pod: box,
		check: func(r *run) { r.checkQOS("BestEffort", "/kubepods/besteffort/pod") },
	},
	{
		name: "resize in place", pod: `
containers:
- name: box
  image: <image>
  command: [sleep, "1000"]
  resources: {requests: {cpu: 50m, memory: 32Mi}, limits: {cpu: 100m, memory: 64Mi}}`,
		check: func(r *run) {
			r.ready()
			before := r.container("box")
			r.kubectl("patch", "pod", r.name, "--subresource=resize", "--patch",
				`{"spec": {"containers": [{"name": "box", "resources": {"requests": {"cpu": "60m", "memory": "48Mi"}, "limits": {"cpu": "300m", "memory": "128Mi"}}}]}}`)
			r.eventually("the limit of memory is there", func() bool {
				return before.cgroup(r, "memory", "memory.limit_in_bytes", "memory.max") == "134217728"
			})
			r.eventually("the quota is there", func() bool {
				return strings.HasPrefix(before.cgroup(r, "cpu", "cpu.cfs_quota_us", "cpu.max"), "30000")
			})
			r.becomes(".status.containerStatuses[0].resources.limits.memory", "128Mi")
			after := r.container("box")
			equal(r, after.id, before.id)
			equal(r, r.field(".status.containerStatuses[0].restartCount"), "0")
		},
	},
	{
		name: "limit of processes", pod: box,
		check: func(r *run) {
			r.ready()
			// The kubelet's podPidsLimit.
			pod := path.Dir(r.container("box").cgroupPath(r, "pids"))
			equal(r, readCgroup(r, "pids", pod, "pids.max", "pids.max"), "100")
			out, _ := r.try("", "exec", r.name, "--", "sh", "-c", "i=0; while [ $i -lt 150 ]; do sleep 3 & i=$((i+1)); done")
			r.contains(out, "can't fork")
		},
	},
	{
		name: "overhead of a RuntimeClass", objects: `
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: <runtime>-overhead}
handler: <runtime>
overhead: {podFixed: {memory: 16Mi, cpu: 10m}}`,
		pod: noClass + `
runtimeClassName: <runtime>-overhead
containers:
- name: box
  image: <image>
  command: [sleep, "1000"]
  resources: {limits: {cpu: 100m, memory: 64Mi}}`,
		check: func(r *run) {
			r.ready()
			pod := path.Dir(r.container("box").cgroupPath(r, "memory"))
			equal(r, readCgroup(r, "memory", pod, "memory.limit_in_bytes", "memory.max"), fmt.Sprint(80<<20))
		},
	},
	{
		name: "eviction: too much in an emptyDir", pod: `
volumes: [{name: data, emptyDir: {sizeLimit: 1Mi}}]
containers:
- name: box
  image: <image>
  command: [sh, -c, "dd if=/dev/zero of=/data/file bs=1M count=4; sleep 1000"]
  volumeMounts: [{name: data, mountPath: /data}]`,
		check: func(r *run) {
			r.ready()
			c := r.container("box")
			r.ends("Failed")
			equal(r, r.field(".status.reason"), "Evicted")
			r.eventually("the process is gone", func() bool { return !c.runs() })
		},
	},
	{
		name: "eviction by the API", objects: `
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: <name>}
spec: {maxUnavailable: 0, selector: {matchLabels: {app: <name>}}}`,
		pod: box,
		check: func(r *run) {
			r.ready()
			c := r.container("box")
			eviction := fmt.Sprintf(`{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": %q, "namespace": %q}}`, r.name, r.handler.name)
			evict := func() (string, int) {
				return r.try(eviction, "create", "-f", "-", "--raw", "/api/v1/namespaces/"+r.handler.name+"/pods/"+r.name+"/eviction")
			}
			out, code := evict()
			equal(r, code, 1)
			r.contains(out, "disruption budget")
			r.kubectl("delete", "pdb", r.name)
			r.eventually("the pod is evicted", func() bool { _, code := evict(); return code == 0 })
			r.eventually("the process is gone", func() bool { return !c.runs() })
		},
	},
}

// checkQOS looks in which cgroup the pod is.
func (r *run) checkQOS(class, prefix string) {
	r.Helper()
	r.ready()
	equal(r, r.field(".status.qosClass"), class)
	c := r.container("box")
	for _, controller := range []string{"cpu", "memory", "pids"} {
		if got := c.cgroupPath(r, controller); got != prefix+r.field(".metadata.uid")+"/"+c.id {
			r.Errorf("%s: the cgroup is %s", controller, got)
		}
	}
	want := map[string]string{"Guaranteed": "-997", "Burstable": "999", "BestEffort": "1000"}[class]
	got := strings.TrimSpace(c.proc(r, "oom_score_adj"))
	// Without CAP_SYS_RESOURCE nobody can lower the value.
	if got != want && (class != "Guaranteed" || got != "0") {
		r.Errorf("oom_score_adj is %s, not %s", got, want)
	}
}

// runs tells whether the container's process is there.
func (c container) runs() bool { return syscall.Kill(c.pid, 0) == nil }
