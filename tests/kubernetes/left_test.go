package kubernetes

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const nothingLeft = "nothing is left"

// checkNothingLeft removes what is in the namespace of a column, and looks for what the
// runtime left. Nobody waits for the end of the namespace itself, which takes 40 seconds.
func (c *cluster) checkNothingLeft(t *testing.T, h handler, before []string) {
	c.kubectl(t, "delete", "deployments,statefulsets,daemonsets,cronjobs,jobs,pods", "--all", "--wait=false", "--namespace="+h.name)
	eventually(t, "all pods are deleted", func() bool {
		return c.kubectl(t, "get", "pods", "--namespace="+h.name, "-o", "name") == ""
	})
	// The kubelet would do this within a minute.
	for id := range strings.FieldsSeq(c.crictl(t, "pods", "-q")) {
		c.crictl(t, "rmp", "-f", id)
	}
	left := leftOver(before)
	for end := time.Now().Add(patience / 8); len(left) > 0 && time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
		left = leftOver(before)
	}
	if len(left) > 0 {
		t.Errorf("left:\n%s", strings.Join(left, "\n"))
	}
}

// leftOver are processes of shims, cgroups of pods, mounts, network namespaces and files that
// were not there before.
func leftOver(before []string) []string {
	var left []string
	commands, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, path := range commands {
		data, _ := os.ReadFile(path)
		if strings.HasPrefix(string(data), "containerd-shim") {
			left = append(left, "a shim: "+path)
		}
	}
	for _, pattern := range []string{"/sys/fs/cgroup/*/kubepods", "/sys/fs/cgroup/kubepods"} {
		roots, _ := filepath.Glob(pattern)
		for _, root := range roots {
			_ = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
				if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), "pod") {
					left = append(left, "a cgroup: "+path)
				}
				return nil
			})
		}
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		point := strings.Fields(line)[4]
		for _, dir := range []string{"/run/containerd/", "/var/lib/kubelet/pods/", "/run/netns/"} {
			if strings.HasPrefix(point, dir) {
				left = append(left, "a mount: "+point)
			}
		}
	}
	for _, dir := range []string{"/run/containerd/io.containerd.runtime.v2.task/k8s.io", "/run/containerd/rt/k8s.io", "/run/containerd/runc/k8s.io", "/run/containerd/s"} {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			left = append(left, "a file: "+dir+"/"+e.Name())
		}
	}
	return slices.DeleteFunc(left, func(s string) bool { return slices.Contains(before, s) })
}
