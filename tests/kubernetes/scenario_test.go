package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// scenario is something that people do with pods.
//
// Its manifests have <name>, the name of the scenario in the form of a name of Kubernetes;
// <runtime>, the RuntimeClass; <image>; and <host>, a directory of the node for the scenario.
type scenario struct {
	name string
	// pod is the specification of a pod, less its RuntimeClass; objects are manifests of
	// other objects, which are made before.
	pod, objects string
	check        func(*run)
	// only names the columns that have it, if not all.
	only []string
	// alone is true if it disturbs the others.
	alone bool
}

// scenarios are all of them, by subject.
func scenarios() []scenario {
	return slices.Concat(lifeScenarios, clientScenarios, probeScenarios, endScenarios, resourceScenarios,
		securityScenarios, namespaceScenarios, volumeScenarios, mountScenarios, networkScenarios, workloadScenarios, nodeScenarios)
}

// run is a scenario that runs with a handler.
type run struct {
	*testing.T
	*cluster
	handler handler
	name    string
}

var notInName = regexp.MustCompile("[^a-z0-9]+")

// box is the specification of a pod that sleeps.
const box = `containers: [{name: box, image: <image>, command: [sleep, "1000"]}]`

// runAll runs all scenarios with a handler, and returns the errors that the kubelet and
// containerd logged meanwhile.
func (c *cluster) runAll(t *testing.T, h handler) (errorLines []string) {
	before := leftOver(nil)
	marks := []*logMark{markLog(c.kubelet), markLog(c.containerd)}
	c.kubectl(t, "create", "namespace", h.name)
	eventually(t, "the account of the namespace", func() bool {
		_, code := c.try(t, "", "get", "serviceaccount/default", "--namespace="+h.name)
		return code == 0
	})
	for _, alone := range []bool{false, true} {
		// It ends when the parallel ones have ended.
		t.Run(map[bool]string{false: "together", true: "alone"}[alone], func(t *testing.T) {
			for _, s := range scenarios() {
				if s.alone != alone || s.only != nil && !slices.Contains(s.only, h.name) {
					continue
				}
				t.Run(s.name, func(t *testing.T) {
					if !alone {
						t.Parallel()
					}
					c.runOne(t, h, s)
				})
			}
		})
	}
	t.Run(nothingLeft, func(t *testing.T) {
		defer results.record(t, nothingLeft, h)
		c.checkNothingLeft(t, h, before)
	})
	for _, m := range marks {
		errorLines = append(errorLines, m.errors()...)
	}
	return errorLines
}

// runOne makes what the scenario needs, and looks whether it comes about.
func (c *cluster) runOne(t *testing.T, h handler, s scenario) {
	r := &run{T: t, cluster: c, handler: h, name: strings.Trim(notInName.ReplaceAllString(strings.ToLower(s.name), "-"), "-")}
	defer results.record(t, s.name, h)
	must(t, os.MkdirAll(r.host(), 0o777))
	began := time.Now()
	manifests := r.replace(s.objects)
	if s.pod != "" {
		manifests += "\n---\n" + r.podManifest(s.pod)
	}
	if manifests != "" {
		r.create(manifests)
		defer func() {
			if t.Failed() && s.pod != "" {
				out, _ := r.try("", "describe", "pod", r.name)
				t.Logf("%s", out)
			}
			// Nobody waits: the check at the end of the column finds what stays.
			_, _ = c.try(t, manifests, "delete", "--namespace="+h.name, "--wait=false", "--ignore-not-found", "-f", "-")
		}()
	}
	s.check(r)
	t.Logf("took %.1f s", time.Since(began).Seconds())
}

func (r *run) replace(text string) string {
	return strings.NewReplacer("<name>", r.name, "<runtime>", r.handler.name, "<image>", image, "<host>", r.host()).Replace(text)
}

// podManifest is a pod with a specification.
func (r *run) podManifest(spec string) string {
	manifest := "apiVersion: v1\nkind: Pod\nmetadata: {name: <name>, labels: {app: <name>}}\nspec:\n  runtimeClassName: <runtime>\n"
	if strings.Contains(spec, noClass) {
		manifest = strings.Replace(manifest, "  runtimeClassName: <runtime>\n", "", 1)
	}
	if !strings.Contains(spec, "terminationGracePeriodSeconds:") {
		manifest += "  terminationGracePeriodSeconds: 1\n"
	}
	return r.replace(manifest + "  " + strings.ReplaceAll(strings.TrimSpace(spec), "\n", "\n  ") + "\n")
}

// noClass in a specification stands for a pod of the default runtime, or of another class.
const noClass = "# no class"

// host is a directory of the node for the scenario.
func (r *run) host() string { return filepath.Join(state, "host", r.handler.name, r.name) }

func (r *run) create(manifest string) {
	r.Helper()
	if out, code := r.try(manifest, "create", "-f", "-"); code != 0 {
		r.Fatalf("%s\n%s", out, manifest)
	}
}

// try runs kubectl in the namespace of the column.
func (r *run) try(input string, args ...string) (out string, code int) {
	r.Helper()
	return r.cluster.try(r.T, input, append([]string{"--namespace=" + r.handler.name}, args...)...)
}

// kubectl runs a command that must succeed.
func (r *run) kubectl(args ...string) string {
	r.Helper()
	out, code := r.try("", args...)
	if code != 0 {
		r.Fatalf("kubectl %q: exit status %d: %s", args, code, out)
	}
	return out
}

// exec runs a command in the pod's first container.
func (r *run) exec(args ...string) string {
	r.Helper()
	return r.kubectl(append([]string{"exec", r.name, "--"}, args...)...)
}

// sh runs a script there.
func (r *run) sh(script string) string {
	r.Helper()
	return r.exec("sh", "-c", script)
}

// ready waits until the pod is ready.
func (r *run) ready() {
	r.Helper()
	r.wait("pod/"+r.name, "condition=Ready")
}

// ends waits until the pod has ended in a phase: Succeeded or Failed.
func (r *run) ends(phase string) {
	r.Helper()
	r.wait("pod/"+r.name, "jsonpath={.status.phase}="+phase)
}

// wait waits for a condition of an object.
func (r *run) wait(object, condition string) {
	r.Helper()
	r.kubectl("wait", "--for="+condition, object, "--timeout="+waiting())
}

// field is a field of the pod, as a path of JSON.
func (r *run) field(path string) string {
	r.Helper()
	return r.kubectl("get", "pod", r.name, "-o", "jsonpath={"+path+"}")
}

// becomes waits until a field of the pod has a value.
func (r *run) becomes(path, want string) {
	r.Helper()
	var got string
	r.eventually(fmt.Sprintf("%s is %s", path, want), func() bool {
		got, _ = r.try("", "get", "pod", r.name, "-o", "jsonpath={"+path+"}")
		return got == want
	})
}

// event waits for an event of the pod whose message contains a text.
func (r *run) event(reason, text string) {
	r.Helper()
	r.eventually(fmt.Sprintf("an event %s: %s", reason, text), func() bool {
		out, _ := r.try("", "get", "events", "--field-selector", "involvedObject.name="+r.name+",reason="+reason, "-o", "jsonpath={.items[*].message}")
		return out != "" && strings.Contains(out, text)
	})
}

func (r *run) eventually(what string, check func() bool) {
	r.Helper()
	eventually(r.T, what, check)
}

// eventually repeats a check until it holds.
func eventually(t testing.TB, what string, check func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
		if check() {
			return
		}
	}
	t.Fatalf("it does not come about: %s", what)
}

func equal[T comparable](t testing.TB, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%#v, not %#v", got, want)
	}
}

func (r *run) contains(got string, wants ...string) {
	r.Helper()
	for _, want := range wants {
		if !strings.Contains(got, want) {
			r.Errorf("no %q in %.2000q", want, got)
		}
	}
}

// container is the id and the process of a container of the pod.
type container struct {
	id  string
	pid int
}

// container finds a container of the pod by its name.
func (r *run) container(name string) container {
	r.Helper()
	id := r.field(`.status.containerStatuses[?(@.name=="` + name + `")].containerID`)
	c := container{id: strings.TrimPrefix(id, "containerd://")}
	var status struct{ Info struct{ Pid int } }
	must(r.T, json.Unmarshal([]byte(r.crictl(r.T, "inspect", "-o", "json", c.id)), &status))
	c.pid = status.Info.Pid
	return c
}

// proc reads a file of the container's process.
func (c container) proc(r *run, file string) string {
	r.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", c.pid, file))
	must(r.T, err)
	return string(data)
}

// cgroup reads a file of the container's cgroup; the names are those of version 1 and of
// version 2.
func (c container) cgroup(r *run, controller, v1, v2 string) string {
	r.Helper()
	return readCgroup(r, controller, c.cgroupPath(r, controller), v1, v2)
}

// cgroupPath is the path of the container's cgroup in a hierarchy.
func (c container) cgroupPath(r *run, controller string) string {
	r.Helper()
	for line := range strings.Lines(c.proc(r, "cgroup")) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if fields[1] == "" || slices.Contains(strings.Split(fields[1], ","), controller) {
			return fields[2]
		}
	}
	r.Fatalf("no cgroup of %s", controller)
	return ""
}

func readCgroup(r *run, controller, path, v1, v2 string) string {
	r.Helper()
	file := filepath.Join("/sys/fs/cgroup", controller, path, v1)
	if isV2() {
		file = filepath.Join("/sys/fs/cgroup", path, v2)
	}
	data, err := os.ReadFile(file)
	must(r.T, err)
	return strings.TrimSpace(string(data))
}

func isV2() bool {
	_, err := os.Stat("/sys/fs/cgroup/cgroup.controllers")
	return err == nil
}

// background runs kubectl until the end of the scenario, or until stop.
func (r *run) background(args ...string) (stop func()) {
	r.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := r.command(ctx, append([]string{"--namespace=" + r.handler.name}, args...)...)
	must(r.T, cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	stop = func() {
		cancel()
		<-ended
	}
	r.Cleanup(stop)
	return stop
}
