package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	taskapi "github.com/containerd/containerd/api/runtime/task/v3"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// A process of a user namespace can open its streams anew, as /dev/stdout does,
// though no option says whose they are: with a fifo, and with the pipe to a file.
func TestStreamsOfAUserNamespace(t *testing.T) {
	for _, user := range []uint32{0, 1000} {
		s := newShim(t)
		for dir := s.dir; dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) {
			must(t, os.Chmod(dir, 0o755))
		}
		fifo, log := makeFifo(t, "out"), filepath.Join(s.dir, "log")
		client, err := os.OpenFile(fifo, os.O_RDWR, 0)
		must(t, err)
		defer client.Close()
		const script = `echo out > /proc/self/fd/1; echo err > /proc/self/fd/2`
		s.create(&taskapi.CreateTaskRequest{
			ID: "box", Stdout: fifo, Stderr: "file://" + log,
			Bundle: s.bundle("box", script, func(spec *specs.Spec) {
				spec.Mounts = append(spec.Mounts, specs.Mount{Destination: "/dev", Type: "tmpfs", Source: "tmpfs"})
				spec.Process.User = specs.User{UID: user, GID: user}
				spec.Linux.Namespaces = append(spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
				ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 200_000, Size: 65536}}
				spec.Linux.UIDMappings, spec.Linux.GIDMappings = ids, ids
			}),
		})
		s.start("box", "")
		if exit := s.events.exit(t, "box"); exit.ExitStatus != 0 {
			t.Errorf("user %d: exit status %d", user, exit.ExitStatus)
		}
		data, err := os.ReadFile(log)
		if err != nil || string(data) != "err\n" {
			t.Errorf("user %d: %q, %v", user, data, err)
		}
		text := make([]byte, 16)
		must(t, client.SetReadDeadline(time.Now().Add(time.Second)))
		if n, err := client.Read(text); string(text[:n]) != "out\n" {
			t.Errorf("user %d: %q, %v", user, text[:n], err)
		}
		s.remove("box")
	}
}
