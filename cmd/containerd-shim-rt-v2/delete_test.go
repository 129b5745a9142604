package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	taskapi "github.com/containerd/containerd/api/runtime/task/v3"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
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

// The shim ends when its last container is deleted: those who have asked for it before
// have their answers by then, such as who has killed it.
func TestDeleteComesLast(t *testing.T) {
	s := newShim(t)
	socket := serve(t, s.RegisterTTRPC)
	for i := range 20 {
		id := fmt.Sprint("box", i)
		s.run(id, "sleep 1000", nil)
		c, err := s.container(id)
		must(t, err)
		kill := background(func() error {
			return call(t, "unix://"+socket, "Kill", &taskapi.KillRequest{ID: id, Signal: uint32(unix.SIGKILL)}, empty)
		})
		must(t, c.first.wait(s.ctx))
		answered := false
		c.calls.RLock() // as the kill, had it not answered
		deletion := background(func() error {
			_, err := s.Delete(s.ctx, &taskapi.DeleteRequest{ID: id})
			if err == nil && !answered {
				err = errors.New("it is answered before another call")
			}
			return err
		})
		must(t, result(t, "Kill", kill))
		for !s.forgotten(id) {
			runtime.Gosched()
		}
		answered = true
		c.calls.RUnlock()
		must(t, result(t, "Delete", deletion))
	}
}

func (s *shimUnderTest) forgotten(id string) bool {
	_, err := s.container(id)
	return err != nil
}

// A shim without a container ends also when nobody asks for it.
func TestShimThatNobodyEnds(t *testing.T) {
	s := newShim(t)
	s.run("box", "exit 0", nil)
	s.events.exit(t, "box")
	_, err := s.Delete(s.ctx, &taskapi.DeleteRequest{ID: "box"})
	must(t, err)
	select {
	case <-s.end.Done():
	case <-time.After(shutdownPatience + patience):
		t.Error("it stays")
	}
}
