package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	eventstypes "github.com/containerd/containerd/api/events"
	taskapi "github.com/containerd/containerd/api/runtime/task/v3"
	tasktypes "github.com/containerd/containerd/api/types/task"
	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// hanging makes a running container in which "/volume/hangs/program" cannot be executed for
// a file system that does not answer.
func hanging(t *testing.T, s *shimUnderTest, id string) silent {
	t.Helper()
	volume := filepath.Join(s.dir, "volume")
	must(t, os.MkdirAll(filepath.Join(volume, "hangs"), 0o755))
	fs := mountSilent(t, filepath.Join(volume, "hangs"))
	s.run(id, "sleep 1000", func(spec *specs.Spec) {
		spec.Mounts = append(spec.Mounts, specs.Mount{Destination: "/volume", Type: "bind", Source: volume, Options: []string{"rbind"}})
	})
	return fs
}

// The end of a container's first process is the last news of its processes, also of
// one that was being started.
func TestFirstEndsLast(t *testing.T) {
	s := newShim(t)
	fs := hanging(t, s, "box")
	must(t, s.exec("box", "runs", []string{"/bin/sh", "-c", "sleep 1000"}, nil))
	s.start("box", "runs")
	must(t, s.exec("box", "starts", []string{"/volume/hangs/program"}, nil))
	start := background(func() error {
		_, err := s.Start(s.ctx, &taskapi.StartRequest{ID: "box", ExecID: "starts"})
		return err
	})
	fs.await(t)
	s.kill("box", "")
	list := s.events.await(t, "Exit box")
	if last := list[len(list)-1]; last != "Exit box" || !slices.Contains(list, "Exit runs") {
		t.Errorf("the first process ended before others: %q", list)
	}
	_ = result(t, "Start", start) // one that is killed in its execve may have started
	for _, exec := range []string{"runs", "starts", ""} {
		if _, err := s.Delete(s.ctx, &taskapi.DeleteRequest{ID: "box", ExecID: exec}); err != nil {
			t.Errorf("%q: %v", exec, err)
		}
	}
	list = s.events.await(t, "Delete")
	if list[len(list)-1] != "Delete" || count(list, "Exit box") != 1 || count(list, "Exit runs") != 1 ||
		count(list, "ExecStarted starts") != count(list, "Exit starts") {
		t.Errorf("%q", list)
	}
}

// A process whose client does not come to read does not keep the container from
// ending, and is not started any more.
func TestExecWaitsForClientOfEndedContainer(t *testing.T) {
	s := newShim(t)
	s.run("box", "sleep 1000", nil)
	fifo := makeFifo(t, "out")
	must(t, s.exec("box", "late", []string{"/bin/sh", "-c", "true"}, nil))
	must(t, s.exec("box", "waits", []string{"/bin/sh", "-c", "sleep 1000"}, func(r *taskapi.ExecProcessRequest) { r.Stdout = fifo }))
	start := background(func() error {
		_, err := s.Start(s.ctx, &taskapi.StartRequest{ID: "box", ExecID: "waits"})
		return err
	})
	for s.status("box", "waits") == tasktypes.Status_CREATED && !beingStarted(s, "box", "waits") {
		time.Sleep(time.Millisecond)
	}
	s.kill("box", "")
	s.events.await(t, "Exit box")
	if err := result(t, "Start", start); !is(err, errdefs.ErrFailedPrecondition) {
		t.Errorf("a start that waits for a client: %v", err)
	}
	// What was prepared before is not started either, and no other one is prepared.
	if _, err := s.Start(s.ctx, &taskapi.StartRequest{ID: "box", ExecID: "late"}); !is(err, errdefs.ErrFailedPrecondition) {
		t.Errorf("a late start: %v", err)
	}
	if err := s.exec("box", "later", []string{"/bin/sh", "-c", "true"}, nil); !is(err, errdefs.ErrFailedPrecondition) {
		t.Errorf("a late exec: %v", err)
	}
}

// A process that is being started can be killed, and deleted only after that.
func TestDeleteWhileItStarts(t *testing.T) {
	s := newShim(t)
	fs := hanging(t, s, "box")
	must(t, s.exec("box", "starts", []string{"/volume/hangs/program"}, nil))
	start := background(func() error {
		_, err := s.Start(s.ctx, &taskapi.StartRequest{ID: "box", ExecID: "starts"})
		return err
	})
	fs.await(t)
	before := descriptors(t)
	if _, err := s.Delete(s.ctx, &taskapi.DeleteRequest{ID: "box", ExecID: "starts"}); !is(err, errdefs.ErrFailedPrecondition) {
		t.Errorf("it is deleted while it is being started: %v", err)
	}
	if _, err := s.Start(s.ctx, &taskapi.StartRequest{ID: "box", ExecID: "starts"}); !is(err, errdefs.ErrFailedPrecondition) {
		t.Errorf("it is started twice: %v", err)
	}
	wait := background(func() error {
		_, err := s.Wait(s.ctx, &taskapi.WaitRequest{ID: "box", ExecID: "starts"})
		return err
	})
	s.kill("box", "starts")
	_ = result(t, "Start", start) // one that is killed in its execve may have started
	must(t, result(t, "Wait", wait))
	_, err := s.Delete(s.ctx, &taskapi.DeleteRequest{ID: "box", ExecID: "starts"})
	must(t, err)
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors, %d after the end", before, after)
	}
	s.kill("box", "")
	if list := s.events.await(t, "Exit box"); count(list, "ExecStarted starts") != count(list, "Exit starts") {
		t.Errorf("%q", list)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(list)
}

// What asks for the container's processes, and what ends them, does not wait for a
// start that hangs.
func TestHungStart(t *testing.T) {
	s := newShim(t)
	bundle := s.bundle("box", "sleep 1000", func(spec *specs.Spec) {
		spec.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{
			Path: "/bin/sh", Args: []string{"sh", "-c", "echo $$ > /tmp/new; mv /tmp/new /tmp/hook; exec sleep 1000"},
		}}}
	})
	s.create(&taskapi.CreateTaskRequest{ID: "box", Bundle: bundle})
	start := background(func() error {
		_, err := s.Start(s.ctx, &taskapi.StartRequest{ID: "box"})
		return err
	})
	s.pidIn(filepath.Join(bundle, "rootfs/tmp/hook"))
	s.answers(t, "box", tasktypes.Status_CREATED)
	s.kill("box", "")
	if err := result(t, "Start", start); err == nil {
		t.Error("what was killed is started")
	}
	s.events.exit(t, "box")
	_, err := s.Delete(s.ctx, &taskapi.DeleteRequest{ID: "box"})
	must(t, err)
}

// answers asks all that a container must answer while another call hangs.
func (s *shimUnderTest) answers(t *testing.T, id string, want tasktypes.Status) {
	t.Helper()
	// One more that changes the container, and waits for the first.
	ctx, cancel := context.WithCancel(s.ctx)
	waits := background(func() error {
		_, err := s.Resume(ctx, &taskapi.ResumeRequest{ID: id})
		return err
	})
	for range 20 { // with a lock that prefers writers the first may still pass
		state, err := soon(t, "State", func() (*taskapi.StateResponse, error) {
			return s.State(s.ctx, &taskapi.StateRequest{ID: id})
		})
		if err != nil || state.Status != want {
			t.Fatalf("State: %v, %v", state, err)
		}
		pids, err := soon(t, "Pids", func() (*taskapi.PidsResponse, error) {
			return s.Pids(s.ctx, &taskapi.PidsRequest{ID: id})
		})
		if err != nil || len(pids.Processes) == 0 {
			t.Fatalf("Pids: %v, %v", pids, err)
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	_ = result(t, "a call that was cancelled", waits)
}

// The same with a hook that does not end.
func TestHungHook(t *testing.T) {
	s := newShim(t)
	pid := filepath.Join(s.dir, "hook")
	bundle := s.bundle("box", "sleep 1000", func(spec *specs.Spec) {
		spec.Hooks = &specs.Hooks{Poststart: []specs.Hook{{
			Path: "/bin/sh", Args: []string{"sh", "-c", "echo $$ > " + pid + ".new; mv " + pid + ".new " + pid + "; exec sleep 1000"},
		}}}
	})
	s.create(&taskapi.CreateTaskRequest{ID: "box", Bundle: bundle})
	start := background(func() error {
		_, err := s.Start(s.ctx, &taskapi.StartRequest{ID: "box"})
		return err
	})
	hook := s.pidIn(pid)
	s.answers(t, "box", tasktypes.Status_CREATED)
	s.kill("box", "")
	if got := <-s.stopped("box"); got != tasktypes.Status_STOPPED {
		t.Errorf("it ended, and is %v", got)
	}
	must(t, unix.Kill(hook, unix.SIGKILL))
	if err := result(t, "Start", start); err == nil {
		t.Error("the hook failed, and the start succeeds")
	}
	s.events.exit(t, "box")
	_, err := s.Delete(s.ctx, &taskapi.DeleteRequest{ID: "box"})
	must(t, err)
}

// A container that containerd has given up while it was made does not stay, nor does its
// shim: nobody knows of them.
func TestContainerThatNobodyWants(t *testing.T) {
	for name, giveUp := range map[string]func(s *shimUnderTest, cancel func()){
		"containerd is gone": func(s *shimUnderTest, cancel func()) { cancel() },
		"containerd lost patience": func(s *shimUnderTest, cancel func()) {
			_, err := s.Shutdown(s.ctx, &taskapi.ShutdownRequest{ID: "box"})
			must(s.t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShim(t)
			dir := t.TempDir()
			bundle := s.bundle("box", "sleep 1000", func(spec *specs.Spec) {
				spec.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{
					Path: "/bin/sh", Args: []string{"sh", "-c", "echo $$ > " + dir + "/new; mv " + dir + "/new " + dir + "/hook; while [ ! -e " + dir + "/go ]; do sleep 0.01; done"},
				}}}
			})
			ctx, cancel := context.WithCancel(s.ctx)
			defer cancel()
			create := background(func() error {
				_, err := s.Create(ctx, &taskapi.CreateTaskRequest{ID: "box", Bundle: bundle, Options: s.options()})
				return err
			})
			s.pidIn(filepath.Join(dir, "hook"))
			giveUp(s, cancel)
			must(t, os.WriteFile(filepath.Join(dir, "go"), nil, 0o644))
			if err := result(t, "Create", create); err == nil {
				t.Error("it is made")
			}
			if _, err := s.State(s.ctx, &taskapi.StateRequest{ID: "box"}); !is(err, errdefs.ErrNotFound) {
				t.Errorf("its state: %v", err)
			}
			select {
			case <-s.end.Done():
			case <-time.After(patience):
				t.Error("the shim does not end")
			}
			if left, _ := filepath.Glob("/sys/fs/cgroup/*/" + s.name + "/box"); len(left) > 0 {
				t.Errorf("left: %q", left)
			}
		})
	}
}

// pidIn reads a pid from a file as soon as it is there.
func (s *shimUnderTest) pidIn(file string) (pid int) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		data, err := os.ReadFile(file)
		if err == nil {
			_, err = fmt.Sscan(string(data), &pid)
		}
		if err == nil {
			return pid
		}
		if time.Now().After(deadline) {
			s.t.Fatal(err)
		}
	}
}

// stopped tells the status of a container that was killed, when it has changed.
func (s *shimUnderTest) stopped(id string) chan tasktypes.Status {
	c := make(chan tasktypes.Status, 1)
	go func() {
		defer close(c)
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			state, err := s.State(s.ctx, &taskapi.StateRequest{ID: id})
			if err != nil || state.Status == tasktypes.Status_STOPPED {
				c <- state.GetStatus()
				return
			}
		}
	}()
	return c
}

// What happens while the first process is being started is told after its start, and
// who tells it does not wait: a watcher of memory, for which Delete waits.
func TestNewsDuringTheStart(t *testing.T) {
	p := &published{more: make(chan struct{})}
	n := &news{events: publish(t.Context(), p)}
	n.hold()
	n.tell(&eventstypes.TaskOOM{})
	n.tell(&eventstypes.TaskExit{ID: "box"})
	n.release(&eventstypes.TaskStart{})
	n.tell(&eventstypes.TaskDelete{})
	want := []string{"Start", "OOM", "Exit box", "Delete"}
	if list := p.await(t, "Delete"); !slices.Equal(list, want) {
		t.Errorf("%q", list)
	}
}
