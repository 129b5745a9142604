package main

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	taskapi "github.com/containerd/containerd/api/runtime/task/v3"
)

// The shim has as many descriptors and goroutines after many containers as after the
// first ones. Each has execs, some of which fail, are never started, or are killed.
func TestNothingIsLeft(t *testing.T) {
	s := newShim(t)
	round := func(n int) {
		id := fmt.Sprint("box", n)
		s.create(&taskapi.CreateTaskRequest{ID: id, Bundle: s.bundle(id, "sleep 1000", nil), Stdin: makeFifo(t, "in"), Stdout: "file://" + s.dir + "/log"})
		s.start(id, "")
		must(t, s.exec(id, "prepared", []string{"/bin/sh"}, nil))
		for exec, args := range map[string][]string{
			"ends": {"/bin/sh", "-c", "exit 3"}, "fails": {"/no/such"}, "runs": {"/bin/sh", "-c", "sleep 1000"},
		} {
			must(t, s.exec(id, exec, args, func(r *taskapi.ExecProcessRequest) { r.Stdout = "file://" + s.dir + "/log" }))
			_, err := s.Start(s.ctx, &taskapi.StartRequest{ID: id, ExecID: exec})
			if (err != nil) != (exec == "fails") {
				t.Errorf("%s: %v", exec, err)
			}
		}
		for range 2 {
			_, err := s.Pause(s.ctx, &taskapi.PauseRequest{ID: id})
			must(t, err)
			_, err = s.Resume(s.ctx, &taskapi.ResumeRequest{ID: id})
			must(t, err)
		}
		s.kill(id, "")
		s.events.exit(t, id)
		for _, exec := range []string{"prepared", "ends", "fails", "runs", ""} {
			_, err := s.Delete(s.ctx, &taskapi.DeleteRequest{ID: id, ExecID: exec})
			must(t, err)
		}
	}
	for n := range 3 {
		round(n)
	}
	fds, goroutines := descriptors(t), runtime.NumGoroutine()
	for n := range 30 {
		round(3 + n)
	}
	for deadline := time.Now().Add(patience); descriptors(t) > fds || runtime.NumGoroutine() > goroutines; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d descriptors and %d goroutines, now %d and %d", fds, goroutines, descriptors(t), runtime.NumGoroutine())
		}
	}
}

// Many execs at once, while the container is paused, resumed and updated: each has its
// status, and the first process ends last.
func TestExecsAtOnce(t *testing.T) {
	s := newShim(t)
	s.run("box", "sleep 1000", nil)
	stop := make(chan struct{})
	changes := background(func() error {
		for {
			select {
			case <-stop:
				return nil
			default:
			}
			if _, err := s.Pause(s.ctx, &taskapi.PauseRequest{ID: "box"}); err != nil {
				return err
			}
			if _, err := s.Resume(s.ctx, &taskapi.ResumeRequest{ID: "box"}); err != nil {
				return err
			}
		}
	})
	var calls []chan error
	const n = 100
	for i := range n {
		calls = append(calls, background(func() error {
			id := fmt.Sprint("exec", i)
			for { // a paused container refuses it
				err := s.exec("box", id, []string{"/bin/sh", "-c", fmt.Sprint("exit ", i)}, nil)
				if err == nil {
					_, err = s.Start(s.ctx, &taskapi.StartRequest{ID: "box", ExecID: id})
					if err == nil {
						break
					}
					_, _ = s.Delete(s.ctx, &taskapi.DeleteRequest{ID: "box", ExecID: id})
				}
			}
			w, err := s.Wait(s.ctx, &taskapi.WaitRequest{ID: "box", ExecID: id})
			if err == nil && w.ExitStatus != uint32(i) {
				err = fmt.Errorf("%s: exit status %d", id, w.ExitStatus)
			}
			return err
		}))
	}
	for _, c := range calls {
		if err := result(t, "an exec", c); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	must(t, result(t, "pause and resume", changes))
	s.kill("box", "")
	list := s.events.await(t, "Exit box")
	ends := 0
	for i := range n {
		ends += count(list, fmt.Sprint("Exit exec", i))
	}
	if ends != n || list[len(list)-1] != "Exit box" {
		t.Errorf("%d of %d ends came before the first process's", ends, n)
	}
}
