package main

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	taskapi "github.com/containerd/containerd/api/runtime/task/v3"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/shim"
	"github.com/rtcontainers/rt/libcontainer"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
)

// left makes what a shim that was killed has left: a container that runs.
func left(t *testing.T, s *shimUnderTest, id string) (bundle string, pid int) {
	t.Helper()
	bundle = s.bundle(id, "sleep 1000", nil)
	o := &taskOptions{Root: filepath.Join(s.dir, "state")}
	must(t, o.save(bundle))
	var pidfd *os.File
	c, process, err := libcontainer.Create(t.Context(), libcontainer.Options{
		Root: o.root("test"), ID: id, Bundle: bundle,
		PIDFD: func(f *os.File) error { pidfd = f; return nil },
	})
	must(t, err)
	process.Close()
	must(t, c.Start(t.Context()))
	pid = c.Pid()
	must(t, c.Close())
	go func() { // as the process that takes orphans
		_, _ = unix.Wait4(pid, nil, 0, nil)
		pidfd.Close()
	}()
	return bundle, pid
}

// stop cleans up as containerd lets a shim do it.
func stop(t *testing.T, bundle string) shim.StopStatus {
	t.Helper()
	t.Chdir(bundle)
	ctx := namespaces.WithNamespace(context.Background(), "test")
	began := time.Now()
	status, err := manager{}.Stop(ctx, filepath.Base(bundle))
	if err != nil {
		t.Errorf("no answer: %v", err)
	}
	// containerd kills it after five.
	if took := time.Since(began); took > 4500*time.Millisecond {
		t.Errorf("it takes %v", took)
	}
	return status
}

func TestStop(t *testing.T) {
	s := newShim(t)
	bundle, pid := left(t, s, "box")
	status := stop(t, bundle)
	if status.Pid != pid || status.ExitStatus != 137 {
		t.Errorf("%+v, want pid %d", status, pid)
	}
	if _, err := libcontainer.Load(filepath.Join(s.dir, "state/test"), "box"); err == nil {
		t.Error("the container is left")
	}
	if again := stop(t, bundle); again.ExitStatus != 137 {
		t.Errorf("%+v", again)
	}
}

// Options that cannot be read are no reason to leave the rest.
func TestStopWithoutOptions(t *testing.T) {
	s := newShim(t)
	bundle := s.bundle("box", "", nil)
	must(t, os.WriteFile(filepath.Join(bundle, optionsFile), []byte("{"), 0o600))
	must(t, unix.Mount("tmpfs", rootfsOf(bundle), "tmpfs", 0, ""))
	stop(t, bundle)
	if err := unix.Unmount(rootfsOf(bundle), unix.MNT_DETACH); err == nil {
		t.Error("the root file system is still mounted")
	}
}

// A root file system that somebody uses does not keep the bundle.
func TestStopWithBusyRoot(t *testing.T) {
	s := newShim(t)
	bundle := s.bundle("box", "", nil)
	must(t, unix.Mount("tmpfs", rootfsOf(bundle), "tmpfs", 0, ""))
	busy, err := os.Open(rootfsOf(bundle))
	must(t, err)
	defer busy.Close()
	stop(t, bundle)
	if err := unix.Unmount(rootfsOf(bundle), unix.MNT_DETACH); err == nil {
		t.Error("the root file system is still mounted")
	}
}

// A directory in which a creator that was killed has left no state.
func TestStopWithoutState(t *testing.T) {
	s := newShim(t)
	bundle := s.bundle("box", "", nil)
	o := &taskOptions{Root: filepath.Join(s.dir, "state")}
	must(t, o.save(bundle))
	dir := filepath.Join(o.root("test"), "box")
	must(t, os.MkdirAll(dir, 0o700))
	stop(t, bundle)
	if _, err := os.Stat(dir); err == nil {
		t.Error("the directory is left")
	}
}

// A container that another one works on for long, such as an rt whose hook hangs: the
// answer comes all the same. What is left is removed when the id is used again.
func TestStopThatTakesLong(t *testing.T) {
	s := newShim(t)
	bundle, pid := left(t, s, "box")
	lock, err := os.Open(filepath.Join(s.dir, "state/test/box"))
	must(t, err)
	must(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX))
	began := time.Now()
	out, err := shimProcess(t, s, bundle, "box", "delete").Output()
	must(t, err)
	if took := time.Since(began); took > 4500*time.Millisecond { // containerd kills it after five
		t.Errorf("it takes %v", took)
	}
	var status taskapi.DeleteResponse
	must(t, proto.Unmarshal(out, &status))
	if int(status.Pid) != pid || status.ExitStatus != 137 {
		t.Errorf("%v, want pid %d", &status, pid)
	}
	must(t, lock.Close())
	s.create(&taskapi.CreateTaskRequest{ID: "box", Bundle: bundle})
}

// The status of a container that ended before its shim was killed is not lost.
func TestStopKnowsTheStatus(t *testing.T) {
	s := newShim(t)
	ended(t, s, "box")
	exit := s.events.exit(t, "box")
	t.Chdir(filepath.Join(s.dir, "box"))
	status, err := manager{}.Stop(s.ctx, "box")
	must(t, err)
	if status.ExitStatus != 3 || status.Pid != int(exit.Pid) || !status.ExitedAt.Equal(exit.ExitedAt.AsTime()) {
		t.Errorf("%+v, not %v", status, exit)
	}
}
