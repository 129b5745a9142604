package kubernetes

// Volumes that the kubelet makes.
var volumeScenarios = []scenario{
	{
		name: "emptyDir", pod: `
volumes: [{name: data, emptyDir: {}}]
containers:
- {name: box, image: <image>, command: [sleep, "1000"], volumeMounts: [{name: data, mountPath: /data}]}
- {name: other, image: <image>, command: [sleep, "1000"], volumeMounts: [{name: data, mountPath: /elsewhere, readOnly: true}]}`,
		check: func(r *run) {
			r.ready()
			r.sh("echo text > /data/file")
			equal(r, r.kubectl("exec", r.name, "-c", "other", "--", "cat", "/elsewhere/file"), "text")
			out, _ := r.try("", "exec", r.name, "-c", "other", "--", "touch", "/elsewhere/new")
			r.contains(out, "Read-only file system")
		},
	},
	{
		name: "emptyDir in memory", pod: `
volumes: [{name: data, emptyDir: {medium: Memory, sizeLimit: 8Mi}}]
containers:
- {name: box, image: <image>, command: [sleep, "1000"], volumeMounts: [{name: data, mountPath: /data}]}`,
		check: func(r *run) {
			r.ready()
			r.contains(r.sh("grep ' /data ' /proc/mounts"), "tmpfs", "size=8192k")
			out, _ := r.try("", "exec", r.name, "--", "dd", "if=/dev/zero", "of=/data/file", "bs=1M", "count=9")
			r.contains(out, "No space left")
		},
	},
	{
		name: "volume stays when a container is restarted", pod: `
volumes: [{name: data, emptyDir: {}}]
containers:
- {name: box, image: <image>, command: [sh, -c, "echo start >> /data/file; sleep 2; test $(wc -l < /data/file) -gt 1 && sleep 1000"], volumeMounts: [{name: data, mountPath: /data}]}`,
		check: func(r *run) {
			r.becomes(".status.containerStatuses[0].restartCount", "1")
			r.ready()
			equal(r, r.exec("cat", "/data/file"), "start\nstart")
		},
	},
	{
		name: "configMap", objects: `
apiVersion: v1
kind: ConfigMap
metadata: {name: <name>}
data: {one: first, two: second}`,
		pod: `
volumes: [{name: map, configMap: {name: <name>, defaultMode: 0440, items: [{key: one, path: sub/file}]}}]
containers:
- {name: box, image: <image>, command: [sleep, "1000"], volumeMounts: [{name: map, mountPath: /map}]}`,
		check: func(r *run) {
			r.ready()
			equal(r, r.sh("cat /map/sub/file; echo; ls /map; stat -L -c %a /map/sub/file"), "first\nsub\n440")
			out, _ := r.try("", "exec", r.name, "--", "touch", "/map/file")
			r.contains(out, "Read-only file system")
		},
	},
	{
		name: "secret", objects: `
apiVersion: v1
kind: Secret
metadata: {name: <name>}
stringData: {word: hidden}`,
		pod: `
volumes: [{name: secret, secret: {secretName: <name>, defaultMode: 0400}}]
containers:
- {name: box, image: <image>, command: [sleep, "1000"], volumeMounts: [{name: secret, mountPath: /secret}]}`,
		check: func(r *run) {
			r.ready()
			equal(r, r.sh("cat /secret/word; stat -L -c %a /secret/word; stat -f -c %T /secret"), "hidden400\ntmpfs")
		},
	},
	{
		name: "projected volume", objects: `
apiVersion: v1
kind: ConfigMap
metadata: {name: <name>}
data: {one: first}`,
		pod: `
volumes:
- name: all
  projected:
    sources:
    - {serviceAccountToken: {path: token, expirationSeconds: 600}}
    - {configMap: {name: <name>}}
    - downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}, {path: limit, resourceFieldRef: {containerName: box, resource: limits.memory}}]}
containers:
- {name: box, image: <image>, command: [sleep, "1000"], resources: {limits: {memory: 64Mi}}, volumeMounts: [{name: all, mountPath: /all}]}`,
		check: func(r *run) {
			r.ready()
			equal(r, r.sh("cat /all/one; echo; cat /all/labels; echo; cat /all/limit; echo; cut -c 1-2 /all/token"), "first\napp=\""+r.name+"\"\n67108864\ney")
			equal(r, r.sh("ls /var/run/secrets/kubernetes.io/serviceaccount"), "ca.crt\nnamespace\ntoken")
		},
	},
	{
		name: "subPath", objects: `
apiVersion: v1
kind: ConfigMap
metadata: {name: <name>}
data: {file: text}`,
		pod: `
volumes:
- {name: data, emptyDir: {}}
- {name: map, configMap: {name: <name>}}
containers:
- name: box
  image: <image>
  command: [sleep, "1000"]
  env: [{name: WHO, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
  volumeMounts:
  - {name: data, mountPath: /data, subPath: inner}
  - {name: data, mountPath: /expanded, subPathExpr: of/$(WHO)}
  - {name: data, mountPath: /all}
  - {name: map, mountPath: /etc/file, subPath: file}`,
		check: func(r *run) {
			r.ready()
			equal(r, r.sh("echo one > /data/file; echo two > /expanded/file; cd /all; find . -type f | sort; cat /etc/file"),
				"./inner/file\n./of/"+r.name+"/file\ntext")
		},
	},
	{
		name: "image volume", pod: `
volumes: [{name: other, image: {reference: "<image>", pullPolicy: Never}}]
containers:
- {name: box, image: <image>, command: [sleep, "1000"], volumeMounts: [{name: other, mountPath: /other}]}`,
		check: func(r *run) {
			r.ready()
			equal(r, r.exec("cat", "/other/www/index.html"), "hello")
			out, _ := r.try("", "exec", r.name, "--", "touch", "/other/file")
			r.contains(out, "Read-only file system")
		},
	},
	{
		name: "device of the node", pod: `
volumes: [{name: device, hostPath: {path: /dev/null, type: CharDevice}}]
containers:
- {name: box, image: <image>, command: [sleep, "1000"], volumeMounts: [{name: device, mountPath: /dev/nothing}]}`,
		check: func(r *run) {
			r.ready()
			equal(r, r.sh("test -c /dev/nothing && stat -c '%t %T' /dev/nothing"), "1 3")
		},
	},
}
