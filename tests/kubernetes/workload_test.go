package kubernetes

import (
	"slices"
	"strings"
)

// template is the pod of a workload.
const template = `
    metadata: {labels: {app: <name>}}
    spec:
      runtimeClassName: <runtime>
      terminationGracePeriodSeconds: 1
`

// Workloads: the objects that make pods.
var workloadScenarios = []scenario{
	{
		name: "Deployment", objects: `
apiVersion: apps/v1
kind: Deployment
metadata: {name: <name>}
spec:
  replicas: 2
  selector: {matchLabels: {app: <name>}}
  template:` + template + `
      containers: [{name: box, image: <image>, command: [sleep, "1000"], env: [{name: VERSION, value: one}]}]`,
		check: func(r *run) {
			r.rolledOut("deployment/" + r.name)
			first := r.pods()
			equal(r, len(first), 2)
			r.kubectl("set", "env", "deployment/"+r.name, "VERSION=two")
			r.rolledOut("deployment/" + r.name)
			for _, pod := range r.pods() {
				equal(r, r.kubectl("exec", pod, "--", "sh", "-c", "echo $VERSION"), "two")
				equal(r, slices.Contains(first, pod), false)
			}
			r.kubectl("scale", "deployment/"+r.name, "--replicas=4")
			r.rolledOut("deployment/" + r.name)
			equal(r, len(r.pods()), 4)
			r.kubectl("scale", "deployment/"+r.name, "--replicas=1")
			r.eventually("there is one pod", func() bool { return len(r.pods()) == 1 })
			r.kubectl("rollout", "undo", "deployment/"+r.name)
			r.rolledOut("deployment/" + r.name)
			equal(r, r.kubectl("exec", "deployment/"+r.name, "--", "sh", "-c", "echo $VERSION"), "one")
		},
	},
	{
		name: "StatefulSet", objects: `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: <name>}
spec:
  serviceName: <name>
  replicas: 2
  selector: {matchLabels: {app: <name>}}
  template:` + template + `
      containers: [{name: box, image: <image>, command: [sleep, "1000"]}]`,
		check: func(r *run) {
			r.rolledOut("statefulset/" + r.name)
			equal(r, strings.Join(r.pods(), " "), r.name+"-0 "+r.name+"-1")
			uid := func() string {
				out, _ := r.try("", "get", "pod", r.name+"-0", "-o", "jsonpath={.metadata.uid} {.status.containerStatuses[0].ready}")
				return out
			}
			before := uid()
			r.kubectl("delete", "pod", r.name+"-0", "--timeout="+waiting())
			r.eventually("the pod comes back", func() bool { return strings.HasSuffix(uid(), " true") && uid() != before })
			r.contains(r.kubectl("exec", r.name+"-0", "--", "hostname", "-f"), r.name+"-0."+r.name)
		},
	},
	{
		name: "DaemonSet", objects: `
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: <name>}
spec:
  selector: {matchLabels: {app: <name>}}
  template:` + template + `
      containers: [{name: box, image: <image>, command: [sleep, "1000"], env: [{name: VERSION, value: one}]}]`,
		check: func(r *run) {
			r.rolledOut("daemonset/" + r.name)
			r.kubectl("set", "env", "daemonset/"+r.name, "VERSION=two")
			r.rolledOut("daemonset/" + r.name)
			equal(r, r.kubectl("exec", "daemonset/"+r.name, "--", "sh", "-c", "echo $VERSION"), "two")
		},
	},
	{
		name: "Job", objects: `
apiVersion: batch/v1
kind: Job
metadata: {name: <name>}
spec:
  completions: 3
  parallelism: 2
  completionMode: Indexed
  template:` + template + `
      restartPolicy: Never
      containers: [{name: box, image: <image>, command: [sh, -c, "echo index $JOB_COMPLETION_INDEX"]}]`,
		check: func(r *run) {
			r.wait("job/"+r.name, "condition=Complete")
			out := strings.Split(r.kubectl("logs", "--selector=app="+r.name), "\n")
			slices.Sort(out)
			equal(r, strings.Join(out, ", "), "index 0, index 1, index 2")
		},
	},
	{
		name: "Job that fails", objects: `
apiVersion: batch/v1
kind: Job
metadata: {name: <name>}
spec:
  backoffLimit: 1
  template:` + template + `
      restartPolicy: Never
      containers: [{name: box, image: <image>, command: [sh, -c, "exit 6"]}]`,
		check: func(r *run) {
			r.wait("job/"+r.name, "condition=Failed")
			equal(r, r.kubectl("get", "job", r.name, "-o", "jsonpath={.status.failed} {.status.conditions[?(@.type==\"Failed\")].reason}"), "2 BackoffLimitExceeded")
		},
	},
	{
		name: "CronJob", objects: `
apiVersion: batch/v1
kind: CronJob
metadata: {name: <name>}
spec:
  schedule: "* * * * *"
  jobTemplate:
    spec:
      template:
        metadata: {labels: {app: <name>}}
        spec:
          runtimeClassName: <runtime>
          restartPolicy: Never
          containers: [{name: box, image: <image>, command: [echo, on time]}]`,
		check: func(r *run) {
			r.eventually("the minute begins", func() bool {
				return r.kubectl("get", "pods", "--selector=app="+r.name, "-o", "jsonpath={.items[*].status.phase}") == "Succeeded"
			})
			equal(r, r.kubectl("logs", "--selector=app="+r.name), "on time")
		},
	},
}

// rolledOut waits until a workload is as it is to be.
func (r *run) rolledOut(object string) {
	r.Helper()
	r.kubectl("rollout", "status", object, "--timeout="+waiting())
}

// pods are the names of the scenario's pods that are not about to end.
func (r *run) pods() []string {
	r.Helper()
	out := r.kubectl("get", "pods", "--selector=app="+r.name, "-o", `jsonpath={range .items[*]}{.metadata.name}:{.metadata.deletionTimestamp} {end}`)
	var list []string
	for entry := range strings.FieldsSeq(out) {
		if name, end, _ := strings.Cut(entry, ":"); end == "" {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}
