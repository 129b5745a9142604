package main

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	taskapi "github.com/containerd/containerd/api/runtime/task/v3"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// The program of a container that is being made ends while a hook takes longer than
// orphans are given: who makes the container learns how it ended.
func TestProgramThatEndsDuringAHook(t *testing.T) {
	s := newShim(t)
	pid := filepath.Join(s.dir, "init")
	bundle := s.bundle("box", "sleep 1000", func(spec *specs.Spec) {
		spec.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{
			Path: "/bin/sh",
			// The state on its standard input names the pid of the program.
			Args: []string{"sh", "-c", `sed 's/.*"pid":\([0-9]*\).*/\1/' > ` + pid + `.new; mv ` + pid + `.new ` + pid + `; sleep 4`},
		}}}
	})
	t.Cleanup(func() { s.remove("box") })
	creation := background(func() error {
		_, err := s.Create(s.ctx, &taskapi.CreateTaskRequest{ID: "box", Bundle: bundle, Options: s.options()})
		return err
	})
	must(t, unix.Kill(s.pidIn(pid), unix.SIGKILL))
	other := exec.Command("/bin/true") // whose end makes the shim look for orphans
	must(t, other.Run())
	if err := result(t, "Create", creation); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("it is not told that the program was killed: %v", err)
	}
}

// Those of containers that share the pids of the host are nobody's else.
func TestOrphans(t *testing.T) {
	needRoot(t)
	must(t, unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go reapOrphans(ctx, func(zombie) bool { return false })
	out, err := exec.Command("/bin/sh", "-c", "sleep 0.1 & echo $!").Output()
	must(t, err)
	process := "/proc/" + strings.TrimSpace(string(out))
	for deadline := time.Now().Add(patience); exec.Command("test", "-d", process).Run() == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("an orphan is not waited for")
		}
	}
}
