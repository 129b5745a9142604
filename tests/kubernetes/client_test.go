package kubernetes

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// What kubectl does with the containers of a pod.
var clientScenarios = []scenario{
	{
		name: "exec", pod: box,
		check: func(r *run) {
			r.ready()
			equal(r, r.exec("echo", "inside"), "inside")
			out, code := r.try("", "exec", r.name, "--", "sh", "-c", "echo out; echo err >&2; exit 42")
			equal(r, code, 42)
			r.contains(out, "out", "err")
			out, code = r.try("", "exec", r.name, "--", "/no-such-program")
			equal(r, code != 0, true)
			r.contains(out, "no such file or directory")
		},
	},
	{
		name: "exec with input", pod: box,
		check: func(r *run) {
			r.ready()
			input := strings.Repeat("0123456789abcde\n", 1<<16)
			out, _ := r.try(input, "exec", "-i", r.name, "--", "sha256sum")
			r.contains(out, fmt.Sprintf("%x", sha256.Sum256([]byte(input))))
		},
	},
	{
		name: "exec on a terminal", pod: box,
		check: func(r *run) {
			r.ready()
			out := r.onTerminal("until stty size | grep ' '; do sleep 0.2; done; exit 9\n", "exec", "-it", r.name, "--", "sh")
			r.contains(out, "33 111", "exit code 9")
		},
	},
	{
		name: "20 execs at once", pod: box,
		check: func(r *run) {
			r.ready()
			equal(r, r.kubectl("get", "pod", r.name, "-o", "name"), "pod/"+r.name)
			done := make(chan string)
			for i := range 20 {
				go func() {
					out, err := r.command(context.Background(), "--namespace="+r.handler.name, "exec", r.name, "--", "echo", fmt.Sprint("call ", i)).CombinedOutput()
					if err != nil {
						out = append(out, err.Error()...)
					}
					done <- strings.TrimSpace(string(out))
				}()
			}
			all := ""
			for range 20 {
				all += <-done + "\n"
			}
			for i := range 20 {
				r.contains("\n"+all, fmt.Sprintf("\ncall %d\n", i))
			}
		},
	},
	{
		name: "attach", pod: `containers: [{name: box, image: <image>, stdin: true, stdinOnce: true, command: [sh, -c, "while read line; do echo got $line; done; echo the input has ended; sleep 2"]}]
restartPolicy: Never`,
		check: func(r *run) {
			r.wait("pod/"+r.name, "condition=Ready")
			out, _ := r.try("one\ntwo\n", "attach", "-i", r.name)
			r.contains(out, "got one", "got two")
			r.ends("Succeeded")
			equal(r, r.kubectl("logs", r.name), "got one\ngot two\nthe input has ended")
		},
	},
	{
		name: "logs", pod: `containers: [{name: box, image: <image>, command: [sh, -c, "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; sleep 1; echo error >&2; sleep 1000"]}]`,
		check: func(r *run) {
			r.ready()
			r.eventually("the last line", func() bool { return strings.Contains(r.kubectl("logs", r.name, "--tail=1"), "error") })
			out := r.kubectl("logs", r.name)
			equal(r, strings.Count(out, "\n"), 2000)
			r.contains(out, "line 0\n", "line 1999\n", "error")
			equal(r, r.kubectl("logs", r.name, "--limit-bytes=6"), "line 0")
		},
	},
	{
		name: "logs that are followed", pod: `
restartPolicy: Never
containers: [{name: box, image: <image>, command: [sh, -c, "for i in 1 2 3 4; do echo $i; sleep 0.5; done"]}]`,
		check: func(r *run) {
			r.eventually("the container starts", func() bool { return r.field(".status.containerStatuses[0].started") != "" })
			r.eventually("the log", func() bool {
				out, code := r.try("", "logs", "-f", r.name)
				return code == 0 && out == "1\n2\n3\n4"
			})
		},
	},
	{
		name: "logs of the previous container", pod: `
volumes: [{name: data, emptyDir: {}}]
containers:
- name: box
  image: <image>
  command: [sh, -c, "echo start >> /data/file; wc -l < /data/file; sleep 2; test $(wc -l < /data/file) -gt 1 && sleep 1000"]
  volumeMounts: [{name: data, mountPath: /data}]`,
		check: func(r *run) {
			r.becomes(".status.containerStatuses[0].restartCount", "1")
			r.ready()
			equal(r, r.kubectl("logs", "--previous", r.name), "1")
			r.eventually("the log of the second", func() bool { return r.kubectl("logs", r.name) == "2" })
		},
	},
	{
		name: "cp", pod: box,
		check: func(r *run) {
			r.ready()
			data := strings.Repeat("some text\n", 100000)
			from, to := filepath.Join(r.host(), "from"), filepath.Join(r.host(), "to")
			must(r.T, os.WriteFile(from, []byte(data), 0o600))
			r.kubectl("cp", from, r.name+":/tmp/file")
			r.contains(r.exec("sha256sum", "/tmp/file"), fmt.Sprintf("%x", sha256.Sum256([]byte(data))))
			r.kubectl("cp", r.name+":/tmp/file", to)
			equal(r, r.hostFile("to"), strings.TrimSpace(data))
		},
	},
	{
		name: "port-forward", pod: `containers: [{name: box, image: <image>, command: [httpd, -f, -p, "8080", -h, /www]}]`,
		check: func(r *run) {
			r.ready()
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			must(r.T, err)
			port := listener.Addr().(*net.TCPAddr).Port
			listener.Close()
			r.background("port-forward", r.name, fmt.Sprintf("%d:8080", port))
			r.eventually("the page comes through", func() bool { return get(fmt.Sprintf("http://127.0.0.1:%d/index.html", port)) == "hello\n" })
		},
	},
	{
		name: "stats of the kubelet", pod: `
containers:
- name: box
  image: <image>
  command: [sh, -c, "dd if=/dev/zero of=/tmp/data/file bs=1M count=40; sleep 1000"]
  volumeMounts: [{name: memory, mountPath: /tmp/data}]
volumes: [{name: memory, emptyDir: {medium: Memory}}]`,
		check: func(r *run) {
			r.ready()
			r.eventually("the memory is counted", func() bool {
				pod := statsOf(r)
				return pod != nil && pod.Memory.WorkingSetBytes > 40<<20 && len(pod.Containers) == 1 && pod.Containers[0].Memory.WorkingSetBytes > 40<<20 &&
					pod.CPU.UsageCoreNanoSeconds > 0 && pod.ProcessStats.ProcessCount > 0
			})
		},
	},
	{
		name: "crictl", pod: box,
		check: func(r *run) {
			r.ready()
			id := r.container("box").id
			equal(r, r.crictl(r.T, "ps", "-q", "--no-trunc", "--id", id), id)
			equal(r, r.crictl(r.T, "exec", id, "echo", "inside"), "inside")
			r.contains(r.crictl(r.T, "stats", "-o", "json", id), id, `"usageBytes"`)
			pod := r.crictl(r.T, "pods", "-q", "--no-trunc", "--name", r.name)
			r.contains(r.crictl(r.T, "inspectp", pod), `"runtimeHandler": "`+r.handler.name+`"`, `"SANDBOX_READY"`)
			r.contains(r.crictl(r.T, "statsp", "-o", "json", pod), pod)
			r.crictl(r.T, "rmp", "-f", pod)
			// The kubelet makes another.
			r.eventually("the kubelet makes the pod again", func() bool {
				again, code := r.try("", "get", "pod", r.name, "-o", `jsonpath={.status.containerStatuses[0].ready} {.status.containerStatuses[0].containerID}`)
				return code == 0 && strings.HasPrefix(again, "true") && !strings.Contains(again, id)
			})
			r.executesAgain()
		},
	},
}

// executesAgain waits until a command runs in a container that was made anew: for up to two
// seconds the kubelet knows only the previous one.
func (r *run) executesAgain() {
	r.Helper()
	r.eventually("a command runs in the new container", func() bool {
		out, _ := r.try("", "exec", r.name, "--", "echo", "again")
		return out == "again"
	})
}

// get is the body of a page.
func get(url string) string {
	client := http.Client{Timeout: 2 * time.Second}
	answer, err := client.Get(url)
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	data, _ := io.ReadAll(answer.Body)
	return string(data)
}

// podStats is what the kubelet tells of the resources that a pod uses.
type podStats struct {
	PodRef       struct{ Name, Namespace string }
	CPU          struct{ UsageCoreNanoSeconds int64 }
	Memory       struct{ WorkingSetBytes int64 }
	ProcessStats struct {
		ProcessCount int `json:"process_count"`
	} `json:"process_stats"`
	Containers []struct {
		Memory struct{ WorkingSetBytes int64 }
	}
}

// statsOf is nil as long as the kubelet has none.
func statsOf(r *run) *podStats {
	r.Helper()
	var summary struct{ Pods []podStats }
	must(r.T, json.Unmarshal([]byte(r.kubectl("get", "--raw", "/api/v1/nodes/"+nodeName+"/proxy/stats/summary")), &summary))
	for _, p := range summary.Pods {
		if p.PodRef.Name == r.name && p.PodRef.Namespace == r.handler.name {
			return &p
		}
	}
	return nil
}

// onTerminal runs kubectl on a pseudo terminal.
func (r *run) onTerminal(input string, args ...string) string {
	r.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	line := r.command(ctx, append([]string{"--namespace=" + r.handler.name}, args...)...).Args
	cmd := exec.CommandContext(ctx, "script", "-qec", "stty rows 33 cols 111; exec "+strings.Join(line, " "), "/dev/null")
	cmd.Env = append(os.Environ(), "SHELL=/bin/sh")
	stdin, err := cmd.StdinPipe()
	must(r.T, err)
	var b strings.Builder
	cmd.Stdout, cmd.Stderr = &b, &b
	must(r.T, cmd.Start())
	// A person types when the prompt is there.
	time.AfterFunc(3*time.Second, func() { _, _ = stdin.Write([]byte(input)) })
	_ = cmd.Wait()
	return b.String()
}
