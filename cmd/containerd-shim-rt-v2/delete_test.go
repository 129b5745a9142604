package main

import (
	"context"
	"os"
	"testing"

	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/errdefs"
)

// ended makes a container with a mounted root file system that has ended.
func ended(t *testing.T, s *shimUnderTest, id string) (rootfs string) {
	t.Helper()
	bundle := s.bundle(id, "exit 3", nil)
	rootfs = rootfsOf(bundle)
	s.create(&taskapi.CreateTaskRequest{
		ID: id, Bundle: bundle, Rootfs: []*types.Mount{{Type: "bind", Source: rootfs, Options: []string{"rbind"}}},
	})
	s.start(id, "")
	s.events.exit(t, id)
	return rootfs
}

// What could not be unmounted is unmounted later: the container can still be deleted.
func TestDeleteAgain(t *testing.T) {
	s := newShim(t)
	busy, err := os.Open(ended(t, s, "box"))
	must(t, err)
	r := &taskapi.DeleteRequest{ID: "box"}
	if _, err := s.Delete(s.ctx, r); err == nil {
		t.Fatal("a root file system is unmounted that is busy")
	}
	busy.Close()
	response, err := s.Delete(s.ctx, r)
	must(t, err)
	if response.ExitStatus != 3 || response.Pid == 0 {
		t.Error(response)
	}
	if _, err := s.Delete(s.ctx, r); !is(err, errdefs.ErrNotFound) {
		t.Errorf("after the last one: %v", err)
	}
	if list := s.events.await(t, "Delete"); count(list, "Delete") != 1 {
		t.Error(list)
	}
}

func count(list []string, word string) (n int) {
	for _, w := range list {
		if w == word {
			n++
		}
	}
	return n
}

// Of many at once one deletes, and the others learn that there is nothing any more.
func TestDeleteAtOnce(t *testing.T) {
	s := newShim(t)
	ended(t, s, "box")
	var calls []chan error
	for range 8 {
		calls = append(calls, background(func() error {
			_, err := s.Delete(s.ctx, &taskapi.DeleteRequest{ID: "box"})
			return err
		}))
	}
	done := 0
	for _, c := range calls {
		switch err := result(t, "Delete", c); {
		case err == nil:
			done++
		case !is(err, errdefs.ErrNotFound):
			t.Error(err)
		}
	}
	if done != 1 {
		t.Errorf("%d deletions", done)
	}
}

// A call that was cancelled has no status to tell.
func TestCancelledDelete(t *testing.T) {
	s := newShim(t)
	s.run("box", "sleep 1000", nil)
	c, _, err := s.find("box", "")
	must(t, err)
	must(t, c.lock(s.ctx)) // as a call that takes long
	ctx, cancel := context.WithCancel(s.ctx)
	deletion := background(func() error {
		_, err := s.Delete(ctx, &taskapi.DeleteRequest{ID: "box"})
		return err
	})
	cancel()
	if err := result(t, "Delete", deletion); err == nil {
		t.Error("it succeeds")
	}
	c.unlock()
}
