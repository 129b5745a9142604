package kubernetes

import (
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// pair is a pod whose second container ends when it is told to.
const pair = `
containers:
- {name: box, image: <image>, command: [sleep, "1000"]}
- {name: other, image: <image>, command: [sleep, "1000"]}`

// What happens to the node. These scenarios run one at a time.
var nodeScenarios = []scenario{
	{
		name: "kubelet restarts", alone: true, pod: pair,
		check: func(r *run) { r.checkRestart(r.kubelet) },
	},
	{
		name: "containerd restarts", alone: true, pod: pair,
		check: func(r *run) { r.checkRestart(r.containerd) },
	},
	{
		name: "shim is killed", alone: true, pod: pair,
		check: func(r *run) {
			r.ready()
			box, other := r.container("box"), r.container("other")
			shim, err := strconv.Atoi(box.parent(r))
			must(r.T, err)
			must(r.T, syscall.Kill(shim, syscall.SIGKILL))
			r.eventually("the containers are made anew", func() bool {
				out, code := r.try("", "get", "pod", r.name, "-o", `jsonpath={.status.containerStatuses[*].ready} {.status.containerStatuses[*].containerID}`)
				return code == 0 && strings.HasPrefix(out, "true true") && !strings.Contains(out, box.id) && !strings.Contains(out, other.id)
			})
			r.executesAgain()
			equal(r, box.runs() || other.runs(), false)
		},
	},
	{
		name: "node is drained", alone: true, objects: `
apiVersion: apps/v1
kind: Deployment
metadata: {name: <name>}
spec:
  replicas: 3
  selector: {matchLabels: {app: <name>}}
  template:` + template + `
      containers: [{name: box, image: <image>, command: [sleep, "1000"]}]`,
		check: func(r *run) {
			r.rolledOut("deployment/" + r.name)
			before := r.pods()
			r.kubectl("drain", nodeName, "--pod-selector=app="+r.name, "--timeout="+waiting())
			r.eventually("no pod of it runs", func() bool {
				return r.crictl(r.T, "pods", "-q", "--state", "ready", "--label", "app="+r.name) == ""
			})
			r.kubectl("uncordon", nodeName)
			r.rolledOut("deployment/" + r.name)
			after := r.pods()
			equal(r, len(after), 3)
			equal(r, slices.Contains(before, after[0]), false)
		},
	},
}

// checkRestart restarts a daemon. The containers stay; one that ends meanwhile is made anew.
func (r *run) checkRestart(d *daemon) {
	r.Helper()
	r.ready()
	box, other := r.container("box"), r.container("other")
	d.stop()
	must(r.T, syscall.Kill(other.pid, syscall.SIGKILL))
	d.start(r.T)
	r.becomes(`.status.containerStatuses[?(@.name=="other")].restartCount`, "1")
	r.ready()
	equal(r, r.container("box").id, box.id)
	equal(r, r.field(`.status.containerStatuses[?(@.name=="box")].restartCount`), "0")
	equal(r, r.exec("hostname"), r.name)
	equal(r, r.kubectl("exec", r.name, "-c", "other", "--", "echo", "again"), "again")
	equal(r, r.container("box").pid, box.pid)
}
