package kubernetes

import (
	"fmt"
	"strings"
)

// Names and addresses of pods.
var networkScenarios = []scenario{
	{
		name: "hostname and subdomain", pod: "hostname: first\nsubdomain: sub\n" + box,
		check: func(r *run) {
			r.ready()
			fqdn := "first.sub." + r.handler.name + ".svc.cluster.local"
			equal(r, r.sh("hostname; cat /etc/hostname; hostname -f"), "first\nfirst\n"+fqdn)
			r.contains(strings.Join(strings.Fields(r.exec("cat", "/etc/hosts")), " "), r.field(".status.podIP")+" "+fqdn+" first")
		},
	},
	{
		name: "setHostnameAsFQDN", pod: "hostname: first\nsubdomain: fqdn\nsetHostnameAsFQDN: true\n" + box,
		check: func(r *run) {
			r.ready()
			equal(r, r.exec("hostname"), "first.fqdn."+r.handler.name+".svc.cluster.local")
		},
	},
	{
		name: "hostAliases", pod: `hostAliases: [{ip: 10.1.2.3, hostnames: [first.example, second.example]}]
` + box,
		check: func(r *run) {
			r.ready()
			r.contains(strings.Join(strings.Fields(r.exec("cat", "/etc/hosts")), " "), "10.1.2.3 first.example second.example")
		},
	},
	{
		name: "dnsConfig", pod: `
dnsPolicy: None
dnsConfig: {nameservers: [10.9.8.7], searches: [one.example, two.example], options: [{name: ndots, value: "3"}]}
` + box,
		check: func(r *run) {
			r.ready()
			equal(r, r.exec("cat", "/etc/resolv.conf"), "search one.example two.example\nnameserver 10.9.8.7\noptions ndots:3")
		},
	},
	{
		name: "dnsPolicy ClusterFirst", pod: box,
		check: func(r *run) {
			r.ready()
			r.contains(r.exec("cat", "/etc/resolv.conf"), "search "+r.handler.name+".svc.cluster.local svc.cluster.local cluster.local", "nameserver 10.96.0.10", "ndots:5")
		},
	},
	{
		name: "from pod to pod", objects: `
apiVersion: v1
kind: Pod
metadata: {name: <name>-server}
spec:
  runtimeClassName: <runtime>
  terminationGracePeriodSeconds: 1
  containers: [{name: web, image: <image>, command: [httpd, -f, -p, "80", -h, /www]}]`,
		pod: box,
		check: func(r *run) {
			r.ready()
			r.wait("pod/"+r.name+"-server", "condition=Ready")
			address := r.kubectl("get", "pod", r.name+"-server", "-o", "jsonpath={.status.podIP}")
			r.eventually("the page comes through", func() bool {
				out, code := r.try("", "exec", r.name, "--", "wget", "-q", "-O-", "http://"+address+"/index.html")
				return code == 0 && out == "hello"
			})
		},
	},
	{
		name: "hostPort",
		check: func(r *run) {
			port := map[string]int{"runc": 7001, "rt": 7002, "rt-sandbox": 7003}[r.handler.name]
			r.create(r.podManifest(fmt.Sprintf(`containers: [{name: box, image: <image>, command: [httpd, -f, -p, "80", -h, /www], ports: [{containerPort: 80, hostPort: %d}]}]`, port)))
			r.ready()
			url := fmt.Sprintf("http://%s:%d/index.html", nodeAddress, port)
			r.eventually("the page comes through", func() bool { return get(url) == "hello\n" })
			r.kubectl("delete", "pod", r.name, "--timeout="+waiting())
			equal(r, get(url), "")
		},
	},
}
