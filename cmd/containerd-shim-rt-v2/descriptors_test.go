package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	taskapi "github.com/containerd/containerd/api/runtime/task/v3"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// No child of the shim has a descriptor that is not for it: hooks, loggers, first and
// further processes, while the shim holds terminals, fifos and logs.
func TestDescriptorsOfChildren(t *testing.T) {
	s := newShim(t)
	keepInherited() // as main does
	// What the shim holds: a terminal, with its streams.
	terminal := func(spec *specs.Spec) {
		spec.Process.Terminal = true
		spec.Mounts = append(spec.Mounts,
			specs.Mount{Destination: "/dev", Type: "tmpfs", Source: "tmpfs"},
			specs.Mount{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"newinstance", "ptmxmode=0666"}})
	}
	s.create(&taskapi.CreateTaskRequest{
		ID: "terminal", Bundle: s.bundle("terminal", "sleep 1000", terminal), Terminal: true,
		Stdin: makeFifo(t, "in"), Stdout: "file://" + filepath.Join(s.dir, "log"),
	})
	s.start("terminal", "")

	list := func(name string) string {
		file := filepath.Join(s.dir, name)
		return `ls -l /proc/$$/fd > ` + file + `.new; mv ` + file + `.new ` + file
	}
	logger := filepath.Join(s.dir, "logger")
	must(t, os.WriteFile(logger, []byte("#!/bin/sh\n"+list("logged")+"\nexec 5>&-\ncat <&3 >&2 & cat <&4 >&2; wait\n"), 0o755))
	hook := func(name string) []specs.Hook {
		return []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", list(name)}}}
	}
	inside := `ls -l /proc/$$/fd > /tmp/new; mv /tmp/new /tmp/`
	bundle := s.bundle("box", inside+"first; sleep 1000", func(spec *specs.Spec) {
		spec.Hooks = &specs.Hooks{
			CreateRuntime: hook("createRuntime"), Poststart: hook("poststart"), Poststop: hook("poststop"),
			StartContainer: []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", inside + "startContainer"}}},
		}
	})
	s.create(&taskapi.CreateTaskRequest{ID: "box", Bundle: bundle, Stdin: makeFifo(t, "in"), Stdout: "binary://" + logger})
	s.start("box", "")
	must(t, s.exec("box", "further", []string{"/bin/sh", "-c", inside + "further"}, nil))
	s.start("box", "further")
	s.events.exit(t, "further")
	s.kill("box", "")
	s.events.exit(t, "box")
	_, err := s.Delete(s.ctx, &taskapi.DeleteRequest{ID: "box"})
	must(t, err)

	tmp := filepath.Join(bundle, "rootfs/tmp")
	for _, file := range []string{
		filepath.Join(s.dir, "logged"), filepath.Join(s.dir, "createRuntime"), filepath.Join(s.dir, "poststart"), filepath.Join(s.dir, "poststop"),
		filepath.Join(tmp, "startContainer"), filepath.Join(tmp, "first"), filepath.Join(tmp, "further"),
	} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
			continue
		}
		var got []string
		for line := range strings.Lines(string(data)) {
			name, _, _ := strings.Cut(line, " -> ")
			// 10 and 11 are a shell's script, and its own output meanwhile.
			if f := strings.Fields(name); len(f) > 2 && f[len(f)-1] != "10" && f[len(f)-1] != "11" {
				got = append(got, f[len(f)-1])
			}
		}
		slices.Sort(got)
		want := []string{"0", "1", "2"}
		if strings.HasSuffix(file, "logged") {
			want = append(want, "3", "4", "5")
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s has other descriptors than %q:\n%s", filepath.Base(file), want, data)
		}
	}
}
