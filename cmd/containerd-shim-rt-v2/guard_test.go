package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sandboxapi "github.com/containerd/containerd/api/runtime/sandbox/v1"
	taskapi3 "github.com/containerd/containerd/api/runtime/task/v3"
	tasktypes "github.com/containerd/containerd/api/types/task"
	"github.com/containerd/containerd/v2/pkg/shim"
	"github.com/containerd/ttrpc"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// sharedShim is a shim for many pods, as processes, with one connection to it.
type sharedShim struct {
	*shimUnderTest
	client *ttrpc.Client
	worker int
}

func newSharedShim(t *testing.T) *sharedShim {
	t.Helper()
	t.Setenv(optionsEnv, `{Grouping = "node"}`)
	s := newShim(t)
	first := filepath.Join(s.dir, "first")
	must(t, os.Mkdir(first, 0o700))
	address, worker := startProcess(t, s, first, "first")
	guard := parentOfProcess(worker)
	t.Cleanup(func() { _ = unix.Kill(guard, unix.SIGKILL) })
	conn, err := net.Dial("unix", strings.TrimPrefix(address, "unix://"))
	must(t, err)
	client := ttrpc.NewClient(conn)
	t.Cleanup(func() { client.Close() })
	return &sharedShim{s, client, worker}
}

func (s *sharedShim) call(service, method string, request, response proto.Message) error {
	// Clean-up calls, too, when the test's own context has ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.t.Context()), patience)
	defer cancel()
	return s.client.Call(ctx, service, method, request, response)
}

func (s *sharedShim) task(method string, request, response proto.Message) {
	s.t.Helper()
	must(s.t, s.call(taskServices[withBootstrap], method, request, response))
}

func (s *sharedShim) pod(method string, request, response proto.Message) {
	s.t.Helper()
	must(s.t, s.call(sandboxService, method, request, response))
}

// crash kills the worker and waits for the next one.
func (s *sharedShim) crash() {
	s.t.Helper()
	must(s.t, unix.Kill(s.worker, unix.SIGKILL))
	r := new(taskapi3.ConnectResponse)
	for deadline := time.Now().Add(patience); ; {
		s.task("Connect", &taskapi3.ConnectRequest{ID: "none"}, r)
		if int(r.ShimPid) != s.worker {
			break
		}
		if time.Now().After(deadline) {
			s.t.Fatal("there is no other worker")
		}
	}
	s.worker = int(r.ShimPid)
}

// fifo makes one, whose reader gets what is written.
func (s *sharedShim) fifo(name string) (path string, text chan string) {
	s.t.Helper()
	path = filepath.Join(s.dir, name)
	must(s.t, unix.Mkfifo(path, 0o600))
	text = make(chan string, 1)
	go func() {
		f, err := os.Open(path)
		if err != nil {
			text <- err.Error()
			return
		}
		defer f.Close()
		data, _ := io.ReadAll(f)
		text <- string(data)
	}()
	return path, text
}

func (s *sharedShim) createBox(id, script string, stdin string) (stdout chan string) {
	s.t.Helper()
	out, text := s.fifo(id + "-stdout")
	request := &taskapi3.CreateTaskRequest{ID: id, Bundle: s.bundle(id, script, nil), Stdin: stdin, Stdout: out, Options: s.options()}
	s.task("Create", request, new(taskapi3.CreateTaskResponse))
	s.t.Cleanup(func() {
		_ = s.call(taskServices[withBootstrap], "Kill", &taskapi3.KillRequest{ID: id, Signal: uint32(unix.SIGKILL)}, empty)
		_ = s.call(taskServices[withBootstrap], "Wait", &taskapi3.WaitRequest{ID: id}, new(taskapi3.WaitResponse))
		_ = s.call(taskServices[withBootstrap], "Delete", &taskapi3.DeleteRequest{ID: id}, new(taskapi3.DeleteResponse))
	})
	return text
}

// A crash of the worker ends no container and no pod. Who waits hears of the true end, and
// output and input go on.
func TestCrashOfASharedShim(t *testing.T) {
	s := newSharedShim(t)
	p := s.newPod("pod")
	data, err := proto.Marshal(p.config)
	must(t, err)
	s.pod("CreateSandbox", &sandboxapi.CreateSandboxRequest{
		SandboxID: p.id, BundlePath: p.bundle, Options: &anypb.Any{TypeUrl: podConfigName, Value: data},
	}, new(sandboxapi.CreateSandboxResponse))
	started := new(sandboxapi.StartSandboxResponse)
	s.pod("StartSandbox", &sandboxapi.StartSandboxRequest{SandboxID: p.id}, started)

	stdin := filepath.Join(s.dir, "stdin")
	must(t, unix.Mkfifo(stdin, 0o600))
	writer, err := os.OpenFile(stdin, os.O_RDWR, 0)
	must(t, err)
	defer writer.Close()
	stdout := s.createBox("box", "echo one; while read line; do echo $line; [ $line = end ] && exit 7; done", stdin)
	waitingStdout := s.createBox("waiting", "echo started", "")
	s.task("Start", &taskapi3.StartRequest{ID: "box"}, new(taskapi3.StartResponse))
	_, err = writer.WriteString("two\n")
	must(t, err)
	wait := func(id string) chan error {
		return background(func() error {
			r := new(taskapi3.WaitResponse)
			err := s.call(taskServices[withBootstrap], "Wait", &taskapi3.WaitRequest{ID: id}, r)
			if want := map[string]uint32{"box": 7}[id]; err == nil && r.ExitStatus != want {
				err = fmt.Errorf("%s ended with %d, not %d", id, r.ExitStatus, want)
			}
			return err
		})
	}
	boxEnds, waitingEnds := wait("box"), wait("waiting")
	podEnds := background(func() error {
		return s.call(sandboxService, "WaitSandbox", &sandboxapi.WaitSandboxRequest{SandboxID: p.id}, new(sandboxapi.WaitSandboxResponse))
	})

	for range 2 {
		s.crash()
		status := new(sandboxapi.SandboxStatusResponse)
		s.pod("SandboxStatus", &sandboxapi.SandboxStatusRequest{SandboxID: p.id}, status)
		if status.State != "SANDBOX_READY" || status.Pid != started.Pid {
			t.Errorf("the pod: %v", status)
		}
		for id, want := range map[string]tasktypes.Status{"box": tasktypes.Status_RUNNING, "waiting": tasktypes.Status_CREATED} {
			state := new(taskapi3.StateResponse)
			s.task("State", &taskapi3.StateRequest{ID: id}, state)
			if state.Status != want || state.Pid == 0 {
				t.Errorf("%s: %v", id, state)
			}
		}
	}
	_, err = writer.WriteString("three\nend\n")
	must(t, err)
	must(t, result(t, "Wait", boxEnds))
	s.task("Start", &taskapi3.StartRequest{ID: "waiting"}, new(taskapi3.StartResponse))
	must(t, result(t, "Wait", waitingEnds))
	for name, test := range map[string]struct {
		text chan string
		want string
	}{"box": {stdout, "one\ntwo\nthree\nend\n"}, "waiting": {waitingStdout, "started\n"}} {
		select {
		case text := <-test.text:
			if text != test.want {
				t.Errorf("%s wrote %q", name, text)
			}
		case <-time.After(patience):
			t.Errorf("the output of %s has no end", name)
		}
	}

	// What ended is known after another crash, too.
	s.crash()
	must(t, result(t, "Wait", wait("box")))
	for _, id := range []string{"box", "waiting"} {
		s.task("Delete", &taskapi3.DeleteRequest{ID: id}, new(taskapi3.DeleteResponse))
	}
	must(t, unix.Kill(int(started.Pid), unix.SIGKILL))
	must(t, result(t, "WaitSandbox", podEnds))
	s.pod("ShutdownSandbox", &sandboxapi.ShutdownSandboxRequest{SandboxID: p.id}, new(sandboxapi.ShutdownSandboxResponse))
	p.checkGone()
}

// A call that is under way when the worker crashes fails, and leaves nothing.
func TestCrashWhileAContainerIsMade(t *testing.T) {
	s := newSharedShim(t)
	hook := filepath.Join(s.dir, "hook")
	must(t, unix.Mkfifo(hook, 0o600))
	bundle := s.bundle("box", "true", func(c *specs.Spec) {
		c.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "echo there > " + hook + "; sleep 5"}}}}
	})
	create := &taskapi3.CreateTaskRequest{ID: "box", Bundle: bundle, Options: s.options()}
	making := background(func() error {
		return s.call(taskServices[withBootstrap], "Create", create, new(taskapi3.CreateTaskResponse))
	})
	f, err := os.Open(hook) // until the hook runs
	must(t, err)
	defer f.Close()
	s.crash()
	if err := result(t, "Create", making); err == nil || !strings.Contains(err.Error(), "crashed") {
		t.Errorf("%v", err)
	}
	if there(filepath.Join(s.dir, "state/test/box")) {
		t.Error("its state is left")
	}
	must(t, os.WriteFile(filepath.Join(bundle, "config.json"), []byte(strings.Replace(readFile(t, filepath.Join(bundle, "config.json")), `"hooks"`, `"x"`, 1)), 0o600))
	s.task("Create", create, new(taskapi3.CreateTaskResponse))
	s.task("Kill", &taskapi3.KillRequest{ID: "box", Signal: uint32(unix.SIGKILL)}, empty)
	s.task("Wait", &taskapi3.WaitRequest{ID: "box"}, new(taskapi3.WaitResponse))
	s.task("Delete", &taskapi3.DeleteRequest{ID: "box"}, new(taskapi3.DeleteResponse))
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	must(t, err)
	return string(data)
}

// The guard gives a worker up that crashes again and again: the client is told.
func TestGuardGivesUp(t *testing.T) {
	s := newSharedShim(t)
	guard := parentOfProcess(s.worker)
	p := s.newPod("pod")
	log := filepath.Join(p.bundle, "log")
	must(t, unix.Mkfifo(log, 0o600))
	reader, err := os.OpenFile(log, os.O_RDWR|unix.O_NONBLOCK, 0)
	must(t, err)
	defer reader.Close()
	data, err := proto.Marshal(p.config)
	must(t, err)
	s.pod("CreateSandbox", &sandboxapi.CreateSandboxRequest{
		SandboxID: p.id, BundlePath: p.bundle, Options: &anypb.Any{TypeUrl: podConfigName, Value: data},
	}, new(sandboxapi.CreateSandboxResponse))
	for range mostCrashes - 1 {
		s.crash()
	}
	must(t, unix.Kill(s.worker, unix.SIGKILL))
	awaitEnd(t, guard)
	text := make([]byte, 1<<16)
	n, err := reader.Read(text)
	if err != nil || !strings.Contains(string(text[:n]), "5 times") {
		t.Errorf("the log has %q, %v", text[:n], err)
	}
	ctx := context.WithValue(p.ctx, shim.OptsKey{}, shim.Opts{BundlePath: p.bundle})
	if _, err := (manager{}).Stop(ctx, p.id); err != nil {
		t.Error(err)
	}
	p.checkGone()
	if err := s.call(taskServices[withBootstrap], "Connect", &taskapi3.ConnectRequest{}, new(taskapi3.ConnectResponse)); err == nil {
		t.Error("somebody answers")
	}
}

// A worker does not outlive its guard.
func TestGuardIsKilled(t *testing.T) {
	s := newSharedShim(t)
	must(t, unix.Kill(parentOfProcess(s.worker), unix.SIGKILL))
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if _, dead := readZombie(s.worker); dead || unix.Kill(s.worker, 0) == unix.ESRCH {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("it runs on")
		}
	}
}

// A guard that is slow to end takes nothing away from the one that comes after it.
func TestGuardEndsLate(t *testing.T) {
	s := newSharedShim(t)
	guard := parentOfProcess(s.worker)
	must(t, unix.Kill(guard, unix.SIGSTOP))
	must(t, unix.Kill(s.worker, unix.SIGTERM))
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if _, dead := readZombie(s.worker); dead {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the worker does not end")
		}
	}
	second := filepath.Join(s.dir, "second")
	must(t, os.Mkdir(second, 0o700))
	address, worker := startProcess(t, s.shimUnderTest, second, "second")
	next := parentOfProcess(worker)
	t.Cleanup(func() { _ = unix.Kill(next, unix.SIGKILL) })
	must(t, unix.Kill(guard, unix.SIGCONT))
	awaitEnd(t, guard)
	if _, err := versionOf(t.Context(), address); err != nil {
		t.Error(err)
	}
}

// What the guard keeps of a pod may be larger than a datagram.
func TestCrashWithLargePods(t *testing.T) {
	s := newSharedShim(t)
	pids := map[string]uint32{}
	for id, size := range map[string]int{"small": 1, "middle": 130 << 10, "large": 3 << 20} {
		p := s.newPod(id)
		p.config.Annotations = map[string]string{"a": strings.Repeat("x", size)}
		data, err := proto.Marshal(p.config)
		must(t, err)
		s.pod("CreateSandbox", &sandboxapi.CreateSandboxRequest{
			SandboxID: id, BundlePath: p.bundle, Options: &anypb.Any{TypeUrl: podConfigName, Value: data},
		}, new(sandboxapi.CreateSandboxResponse))
		started := new(sandboxapi.StartSandboxResponse)
		s.pod("StartSandbox", &sandboxapi.StartSandboxRequest{SandboxID: id}, started)
		pids[id] = started.Pid
	}
	for range 2 {
		s.crash()
		for id, pid := range pids {
			status := new(sandboxapi.SandboxStatusResponse)
			s.pod("SandboxStatus", &sandboxapi.SandboxStatusRequest{SandboxID: id}, status)
			if status.State != "SANDBOX_READY" || status.Pid != pid {
				t.Errorf("%s: %v", id, status)
			}
		}
	}
	for id := range pids {
		s.pod("ShutdownSandbox", &sandboxapi.ShutdownSandboxRequest{SandboxID: id}, new(sandboxapi.ShutdownSandboxResponse))
	}
}
