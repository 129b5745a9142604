package kubernetes

// Probes and hooks.
var probeScenarios = []scenario{
	{
		name: "liveness probe that executes", pod: `
containers:
- name: box
  image: <image>
  command: [sh, -c, "touch /tmp/alive; sleep 1000"]
  livenessProbe: {exec: {command: [cat, /tmp/alive]}, periodSeconds: 1, failureThreshold: 2}`,
		check: func(r *run) {
			r.ready()
			before := r.container("box")
			r.exec("rm", "/tmp/alive")
			r.becomes(".status.containerStatuses[0].restartCount", "1")
			r.ready()
			equal(r, r.exec("ls", "/tmp/alive"), "/tmp/alive")
			equal(r, r.container("box").id == before.id, false)
			equal(r, r.field(".status.containerStatuses[0].lastState.terminated.exitCode"), "137")
			r.event("Unhealthy", "can't open '/tmp/alive'")
		},
	},
	{
		name: "liveness probe by HTTP", pod: `
containers:
- name: box
  image: <image>
  command: [sh, -c, "cp -r /www /tmp/www; httpd -f -p 80 -h /tmp/www"]
  livenessProbe: {httpGet: {path: /index.html, port: 80}, periodSeconds: 1, failureThreshold: 2}
  readinessProbe: {httpGet: {path: /index.html, port: 80}, periodSeconds: 1}`,
		check: func(r *run) {
			r.ready()
			r.exec("rm", "/tmp/www/index.html")
			r.becomes(".status.containerStatuses[0].restartCount", "1")
			r.event("Unhealthy", "statuscode: 404")
		},
	},
	{
		name: "readiness probe", pod: `
containers:
- name: box
  image: <image>
  command: [sleep, "1000"]
  readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 1, failureThreshold: 1}`,
		check: func(r *run) {
			r.becomes(".status.containerStatuses[0].started", "true")
			equal(r, r.field(".status.containerStatuses[0].ready"), "false")
			r.exec("touch", "/tmp/ready")
			r.ready()
			r.exec("rm", "/tmp/ready")
			r.becomes(".status.containerStatuses[0].ready", "false")
			equal(r, r.field(".status.containerStatuses[0].restartCount"), "0")
		},
	},
	{
		name: "startup probe by TCP", pod: `
containers:
- name: box
  image: <image>
  command: [sh, -c, "sleep 3; exec httpd -f -p 80 -h /www"]
  startupProbe: {tcpSocket: {port: 80}, periodSeconds: 1, failureThreshold: 30}
  livenessProbe: {tcpSocket: {port: 80}, periodSeconds: 1, failureThreshold: 1}`,
		check: func(r *run) {
			r.ready()
			equal(r, r.field(".status.containerStatuses[0].restartCount"), "0")
			r.event("Unhealthy", "connection refused")
		},
	},
	{
		name: "startup probe that fails", pod: `
containers:
- name: box
  image: <image>
  command: [sleep, "1000"]
  startupProbe: {exec: {command: [sh, -c, "echo not yet; exit 3"]}, periodSeconds: 1, failureThreshold: 2}`,
		check: func(r *run) {
			r.event("Unhealthy", "Startup probe failed: not yet")
			r.becomes(".status.containerStatuses[0].restartCount", "1")
		},
	},
	{
		name: "probe that takes too long", pod: `
containers:
- name: box
  image: <image>
  command: [sleep, "1000"]
  readinessProbe: {exec: {command: [sleep, "77"]}, periodSeconds: 2, timeoutSeconds: 1}`,
		check: func(r *run) {
			r.event("Unhealthy", "timed out")
			// The kubelet's patience ends, and with it the process.
			r.eventually("no process is left of the first probe", func() bool {
				out, code := r.try("", "exec", r.name, "--", "sh", "-c", "ps | grep -c '[s]leep 77'")
				return code < 2 && (out == "0" || out == "1" || code == 1)
			})
		},
	},
	{
		name: "postStart and preStop", pod: `
volumes: [{name: host, hostPath: {path: <host>}}]
terminationGracePeriodSeconds: 10
containers:
- name: box
  image: <image>
  command: [sh, -c, "trap 'echo TERM >> /host/file; exit 0' TERM; while sleep 0.1; do :; done"]
  volumeMounts: [{name: host, mountPath: /host}]
  lifecycle:
    postStart: {exec: {command: [sh, -c, "echo postStart >> /host/file"]}}
    preStop: {exec: {command: [sh, -c, "sleep 1; echo preStop >> /host/file"]}}`,
		check: func(r *run) {
			r.ready()
			equal(r, r.hostFile("file"), "postStart")
			r.kubectl("delete", "pod", r.name, "--timeout="+waiting())
			equal(r, r.hostFile("file"), "postStart\npreStop\nTERM")
		},
	},
	{
		name: "preStop that sleeps", pod: `
terminationGracePeriodSeconds: 60
containers:
- name: box
  image: <image>
  command: [sh, -c, "trap 'exit 0' TERM; while sleep 0.1; do :; done"]
  lifecycle: {preStop: {sleep: {seconds: 3}}}`,
		check: func(r *run) {
			r.ready()
			took := r.timeOf(func() { r.kubectl("delete", "pod", r.name, "--timeout="+waiting()) })
			equal(r, took > 2.5 && took < 50, true)
		},
	},
	{
		name: "postStart that fails", pod: `
containers:
- name: box
  image: <image>
  command: [sleep, "1000"]
  lifecycle: {postStart: {exec: {command: [sh, -c, "echo no luck; exit 5"]}}}`,
		check: func(r *run) {
			r.event("FailedPostStartHook", "PostStartHook failed")
			r.eventually("the container is restarted", func() bool { return r.field(".status.containerStatuses[0].restartCount") != "0" })
		},
	},
}
