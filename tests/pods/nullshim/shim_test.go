package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/containerd/api/runtime/task/v3"
	types "github.com/containerd/containerd/api/types/task"
	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

func TestLifecycle(t *testing.T) {
	ctx, s := context.Background(), newShim(17)
	created, err := s.create(ctx, &task.CreateTaskRequest{ID: "box"})
	if err != nil || created.Pid != 17 {
		t.Fatalf("%v, %v", created, err)
	}
	if _, err := s.create(ctx, &task.CreateTaskRequest{ID: "box"}); !errdefs.IsAlreadyExists(err) {
		t.Errorf("a second container of a name: %v", err)
	}
	if _, err := s.start(ctx, &task.StartRequest{ID: "box"}); err != nil {
		t.Fatal(err)
	}
	waited := make(chan *task.WaitResponse)
	go func() {
		w, _ := s.wait(ctx, &task.WaitRequest{ID: "box"})
		waited <- w
	}()
	if st, err := s.state(ctx, &task.StateRequest{ID: "box"}); err != nil || st.Status != types.Status_RUNNING {
		t.Errorf("%v, %v", st, err)
	}
	if _, err := s.kill(ctx, &task.KillRequest{ID: "box", Signal: 9}); err != nil {
		t.Fatal(err)
	}
	if w := <-waited; w.GetExitStatus() != 137 || w.GetExitedAt() == nil {
		t.Errorf("%v", w)
	}
	if d, err := s.delete(ctx, &task.DeleteRequest{ID: "box"}); err != nil || d.ExitStatus != 137 {
		t.Errorf("%v, %v", d, err)
	}
	if _, err := s.state(ctx, &task.StateRequest{ID: "box"}); !errdefs.IsNotFound(err) {
		t.Errorf("a container that was deleted: %v", err)
	}
}

// The reader of an exec's output comes to its end.
func TestExecEndsWithItsOutput(t *testing.T) {
	ctx, s := context.Background(), newShim(17)
	fifo := filepath.Join(t.TempDir(), "stdout")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.exec(ctx, &task.ExecProcessRequest{ID: "box", ExecID: "e", Stdout: fifo}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.start(ctx, &task.StartRequest{ID: "box", ExecID: "e"}); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(fifo)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if data, err := io.ReadAll(f); err != nil || len(data) != 0 {
		t.Errorf("%q, %v", data, err)
	}
	if w, err := s.wait(ctx, &task.WaitRequest{ID: "box", ExecID: "e"}); err != nil || w.ExitStatus != 0 {
		t.Errorf("%v, %v", w, err)
	}
}
