package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/containerd/cgroups/v3"
	taskapi "github.com/containerd/containerd/api/runtime/task/v3"
	tasktypes "github.com/containerd/containerd/api/types/task"
	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer"
	"golang.org/x/sys/unix"
)

// A process that ends as it is made is waited for, and no other child in its place.
func TestContainerThatDiesAtOnce(t *testing.T) {
	s := newShim(t)
	other := exec.Command("/bin/sh", "-c", "exit 7")
	must(t, other.Start())
	awaitEnd(t, other.Process.Pid)
	p := newProcess("", stdio{})
	own, process, err := libcontainer.Create(t.Context(), libcontainer.Options{
		Root: filepath.Join(s.dir, "state"), ID: "box", Bundle: s.bundle("box", "sleep 1000", nil),
		PIDFD: p.takePidfd,
	})
	must(t, err)
	process.Close()
	defer own.Close()
	must(t, own.Signal(unix.SIGKILL))
	must(t, own.WaitStopped())
	c := &container{first: p}
	c.adopt(own, new(streams))
	status, err := p.reap()
	if err != nil || !status.Signaled() || status.Signal() != unix.SIGKILL {
		t.Errorf("%v, %v", status, err)
	}
	if pid, _, _ := p.exit(); pid == 0 {
		t.Error("its pid is not known")
	}
	// On v1 an ended process is in the root of the hierarchies.
	if _, err := c.usage(); err == nil && cgroups.Mode() != cgroups.Unified {
		t.Error("what the whole machine uses is told")
	}
	_ = other.Wait()
	if code := other.ProcessState.ExitCode(); code != 7 {
		t.Errorf("the status of another child: %d", code)
	}
	must(t, own.Delete(true, nil))
}

// awaitEnd waits until a child has ended, and leaves its status there.
func awaitEnd(t *testing.T, pid int) {
	t.Helper()
	err := error(unix.EINTR)
	for err == unix.EINTR {
		err = unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
	}
	must(t, err)
}

// What a container's state does not allow is refused when it is asked for.
func TestRefusals(t *testing.T) {
	s := newShim(t)
	s.create(&taskapi.CreateTaskRequest{ID: "box", Bundle: s.bundle("box", "sleep 1000", nil)})
	pause := func() error {
		_, err := s.Pause(s.ctx, &taskapi.PauseRequest{ID: "box"})
		return err
	}
	if err := pause(); !is(err, errdefs.ErrFailedPrecondition) || s.status("box", "") != tasktypes.Status_CREATED {
		t.Errorf("pause of a created container: %v", err)
	}
	s.start("box", "")
	must(t, pause())
	if got := s.status("box", ""); got != tasktypes.Status_PAUSED {
		t.Error(got)
	}
	if err := s.exec("box", "paused", []string{"/bin/sh"}, nil); !is(err, errdefs.ErrFailedPrecondition) {
		t.Errorf("exec into a paused container: %v", err)
	}
	s.kill("box", "")
	s.events.exit(t, "box")
	if err := s.exec("box", "stopped", []string{"/bin/sh"}, nil); !is(err, errdefs.ErrFailedPrecondition) {
		t.Errorf("exec into a stopped container: %v", err)
	}
	if err := pause(); !is(err, errdefs.ErrFailedPrecondition) {
		t.Errorf("pause of a stopped container: %v", err)
	}
}

// While a container's processes do not all stop it is being paused, which keeps
// nobody from asking for them and from killing them.
func TestPauseThatTakesLong(t *testing.T) {
	s := newShim(t)
	fs := hanging(t, s, "box")
	must(t, s.exec("box", "waits", []string{"/bin/sh", "-c", "cat /volume/hangs/file"}, nil))
	s.start("box", "waits")
	fs.await(t)
	pause := background(func() error {
		_, err := s.Pause(s.ctx, &taskapi.PauseRequest{ID: "box"})
		return err
	})
	c, _, err := s.find("box", "")
	must(t, err)
	for !c.pausing.Load() {
		select {
		case err := <-pause:
			t.Skipf("this kernel stops a process that waits for a file system: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	s.answers(t, "box", tasktypes.Status_PAUSING)
	s.kill("box", "")
	_ = result(t, "Pause", pause) // with what is left
	s.events.exit(t, "box")
}

// A container that is killed as it is being paused ends: on cgroup v1 the kernel keeps
// a frozen process that SIGKILL waits for.
func TestKillAsItIsPaused(t *testing.T) {
	s := newShim(t)
	for i := range 30 {
		id := fmt.Sprint("box", i)
		s.run(id, "sleep 1000 & sleep 1000 & sleep 1000", nil)
		pause := background(func() error {
			_, err := s.Pause(s.ctx, &taskapi.PauseRequest{ID: id})
			return err
		})
		c, _, err := s.find(id, "")
		must(t, err)
		for n := 0; !c.pausing.Load() && n < 1000; n++ {
			runtime.Gosched()
		}
		s.kill(id, "")
		_ = result(t, "Pause", pause)
		s.events.exit(t, id)
	}
}

// The time of the end is when the process ended, though its last output is waited for.
func TestTimeOfExit(t *testing.T) {
	s := newShim(t)
	fifo := makeFifo(t, "out")
	client, err := os.OpenFile(fifo, os.O_RDWR, 0) // which does not read
	must(t, err)
	defer client.Close()
	s.create(&taskapi.CreateTaskRequest{ID: "box", Bundle: s.bundle("box", "echo text", nil), Stdout: fifo})
	s.start("box", "")
	exit := s.events.exit(t, "box")
	if late := time.Since(exit.ExitedAt.AsTime()); late < drainTime {
		t.Errorf("it is told to have ended %v ago, when the output had been waited for", late)
	}
}

// A log that takes nothing more does not hold the news of the end up.
func TestLogThatHangs(t *testing.T) {
	s := newShim(t)
	fifo := makeFifo(t, "log") // as a file whose writing does not end
	log, err := os.OpenFile(fifo, os.O_RDWR, 0)
	must(t, err)
	defer log.Close()
	s.create(&taskapi.CreateTaskRequest{
		ID: "box", Bundle: s.bundle("box", "dd if=/dev/zero bs=1k count=100", func(spec *specs.Spec) {
			spec.Mounts = append(spec.Mounts, specs.Mount{Destination: "/dev", Type: "tmpfs", Source: "tmpfs"})
		}), Stdout: "file://" + fifo,
	})
	s.start("box", "")
	ctx, cancel := context.WithTimeout(s.ctx, patience/2)
	defer cancel()
	if _, err := s.Wait(ctx, &taskapi.WaitRequest{ID: "box"}); err != nil {
		t.Fatal(err)
	}
	s.events.exit(t, "box")
	if _, err := s.Delete(ctx, &taskapi.DeleteRequest{ID: "box"}); err != nil {
		t.Error(err)
	}
}

// containerd finds the shim of each container of a pod again, if it is not in $PATH, too.
func TestBundleNamesTheShim(t *testing.T) {
	s := newShim(t)
	self, err := os.Executable()
	must(t, err)
	for id, before := range map[string]string{"second": "", "first": "/usr/local/bin/other"} {
		bundle := s.bundle(id, "true", nil)
		want := self
		if before != "" {
			want = before
			must(t, os.WriteFile(filepath.Join(bundle, shimFile), []byte(before), 0o600))
		}
		s.create(&taskapi.CreateTaskRequest{ID: id, Bundle: bundle})
		if got, err := os.ReadFile(filepath.Join(bundle, shimFile)); err != nil || string(got) != want {
			t.Errorf("%s: %s, %v", id, got, err)
		}
	}
}
