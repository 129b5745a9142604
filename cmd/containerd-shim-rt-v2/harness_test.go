package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	eventstypes "github.com/containerd/containerd/api/events"
	taskapi "github.com/containerd/containerd/api/runtime/task/v3"
	"github.com/containerd/containerd/api/types/runc/options"
	tasktypes "github.com/containerd/containerd/api/types/task"
	containerdevents "github.com/containerd/containerd/v2/core/events"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/shutdown"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// needRoot skips a test that makes containers.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("it makes containers: run by root")
	}
}

// published are the events that a shim has told.
type published struct {
	mu   sync.Mutex
	list []any
	more chan struct{} // closed at the next event
}

func (p *published) Publish(_ context.Context, _ string, event containerdevents.Event) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append(p.list, event)
	close(p.more)
	p.more = make(chan struct{})
	return nil
}

func (p *published) Close() error { return nil }

// words are the events in short; the channel is closed when there are more.
func (p *published) words() (list []string, more chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, event := range p.list {
		name := strings.TrimPrefix(string(proto.MessageName(event.(proto.Message))), "containerd.events.Task")
		switch e := event.(type) {
		case *eventstypes.TaskExit:
			name += " " + e.ID
		case *eventstypes.TaskExecStarted:
			name += " " + e.ExecID
		case *eventstypes.TaskExecAdded:
			name += " " + e.ExecID
		}
		list = append(list, name)
	}
	return list, p.more
}

// await waits for an event, and returns all that came up to then.
func (p *published) await(t *testing.T, word string) []string {
	t.Helper()
	deadline := time.After(patience)
	for {
		list, more := p.words()
		if slices.Contains(list, word) {
			return list
		}
		select {
		case <-more:
		case <-deadline:
			t.Fatalf("no event %q among %q", word, list)
		}
	}
}

// exit is the news of a process's end.
func (p *published) exit(t *testing.T, id string) *eventstypes.TaskExit {
	t.Helper()
	p.await(t, "Exit "+id)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, event := range p.list {
		if e, ok := event.(*eventstypes.TaskExit); ok && e.ID == id {
			return e
		}
	}
	return nil
}

// shimUnderTest is a task service in the test's process.
type shimUnderTest struct {
	*service
	t      *testing.T
	ctx    context.Context
	events *published
	dir    string
	name   string // of this test's containers and their cgroup
	// socketDir is made when it is needed.
	socketDir string
}

func newShim(t *testing.T) *shimUnderTest {
	t.Helper()
	needRoot(t)
	must(t, unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
	ctx, end := shutdown.WithShutdown(namespaces.WithNamespace(context.Background(), "test"))
	t.Cleanup(end.Shutdown)
	p := &published{more: make(chan struct{})}
	name := fmt.Sprintf("rt-shim-test-%d-%d", os.Getpid(), time.Now().UnixNano())
	s := &shimUnderTest{service: newService(ctx, p, end), t: t, ctx: ctx, events: p, dir: t.TempDir(), name: name}
	t.Cleanup(func() { removeCgroups(name) })
	t.Cleanup(s.checkMemory)
	return s
}

// checkMemory checks that every call that made or started something has said that it is over.
func (s *shimUnderTest) checkMemory() {
	open := func() int {
		s.memory.mu.Lock()
		defer s.memory.mu.Unlock()
		return s.memory.calls
	}
	for deadline := time.Now().Add(patience); open() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Errorf("%d calls still count as making containers", open())
			break
		}
	}
	s.memory.timer.Stop()
}

func removeCgroups(name string) {
	for _, pattern := range []string{"/sys/fs/cgroup/*/" + name, "/sys/fs/cgroup/" + name} {
		found, _ := filepath.Glob(pattern)
		for _, dir := range found {
			_ = os.Remove(dir)
		}
	}
}

// bundle makes a bundle whose process runs a script; change may be nil.
func (s *shimUnderTest) bundle(id, script string, change func(*specs.Spec)) string {
	s.t.Helper()
	bundle := filepath.Join(s.dir, id)
	rootfs := filepath.Join(bundle, "rootfs")
	for _, dir := range []string{"bin", "dev", "proc", "sys", "tmp"} {
		must(s.t, os.MkdirAll(filepath.Join(rootfs, dir), 0o755))
	}
	must(s.t, os.Link(busybox(s.t, s.dir), filepath.Join(rootfs, "bin/sh")))
	spec := &specs.Spec{
		Version: "1.0.2",
		Root:    &specs.Root{Path: "rootfs"},
		Process: &specs.Process{Args: []string{"/bin/sh", "-c", script}, Cwd: "/", Env: []string{"PATH=/bin"}},
		Mounts:  []specs.Mount{{Destination: "/proc", Type: "proc", Source: "proc"}},
		Linux: &specs.Linux{
			CgroupsPath: "/" + s.name + "/" + id,
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.PIDNamespace}, {Type: specs.MountNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace},
			},
		},
	}
	if change != nil {
		change(spec)
	}
	data, err := json.Marshal(spec)
	must(s.t, err)
	must(s.t, os.WriteFile(filepath.Join(bundle, "config.json"), data, 0o644))
	return bundle
}

// busybox is a copy of the static program, as a file system of the test's own has it.
func busybox(t testing.TB, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "busybox")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	data, err := os.ReadFile("/bin/busybox")
	must(t, err)
	must(t, os.WriteFile(path, data, 0o755))
	return path
}

func (s *shimUnderTest) options() *anypb.Any {
	a, err := pack(&options.Options{Root: filepath.Join(s.dir, "state")})
	must(s.t, err)
	return a
}

// create makes a container, which the end of the test removes.
func (s *shimUnderTest) create(r *taskapi.CreateTaskRequest) {
	s.t.Helper()
	s.t.Cleanup(func() { s.remove(r.ID) })
	r.Options = s.options()
	_, err := s.Create(s.ctx, r)
	must(s.t, err)
}

// remove ends a container and forgets it, whatever state it is in.
func (s *shimUnderTest) remove(id string) {
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	_, _ = s.Kill(ctx, &taskapi.KillRequest{ID: id, Signal: uint32(unix.SIGKILL), All: true})
	_, _ = s.Wait(ctx, &taskapi.WaitRequest{ID: id})
	_, _ = s.Delete(ctx, &taskapi.DeleteRequest{ID: id})
}

// run makes and starts a container.
func (s *shimUnderTest) run(id, script string, change func(*specs.Spec)) {
	s.t.Helper()
	s.create(&taskapi.CreateTaskRequest{ID: id, Bundle: s.bundle(id, script, change)})
	s.start(id, "")
}

func (s *shimUnderTest) start(id, exec string) {
	s.t.Helper()
	_, err := s.Start(s.ctx, &taskapi.StartRequest{ID: id, ExecID: exec})
	must(s.t, err)
}

// exec prepares a process; change may be nil.
func (s *shimUnderTest) exec(id, exec string, args []string, change func(*taskapi.ExecProcessRequest)) error {
	s.t.Helper()
	data, err := json.Marshal(&specs.Process{Args: args, Cwd: "/", Env: []string{"PATH=/bin"}})
	must(s.t, err)
	r := &taskapi.ExecProcessRequest{ID: id, ExecID: exec, Spec: &anypb.Any{Value: data}}
	if change != nil {
		change(r)
	}
	_, err = s.Exec(s.ctx, r)
	return err
}

func (s *shimUnderTest) kill(id, exec string) {
	s.t.Helper()
	_, err := s.Kill(s.ctx, &taskapi.KillRequest{ID: id, ExecID: exec, Signal: uint32(unix.SIGKILL)})
	must(s.t, err)
}

func (s *shimUnderTest) status(id, exec string) tasktypes.Status {
	s.t.Helper()
	state, err := s.State(s.ctx, &taskapi.StateRequest{ID: id, ExecID: exec})
	must(s.t, err)
	return state.Status
}

// is tells whether a client sees an error as one of a class.
func is(err, class error) bool {
	if err == nil {
		return false
	}
	err = errgrpc.ToNative(err)
	switch class {
	case errdefs.ErrNotFound:
		return errdefs.IsNotFound(err)
	case errdefs.ErrFailedPrecondition:
		return errdefs.IsFailedPrecondition(err)
	}
	return false
}

// soon is what a call returns that must not wait for another one.
func soon[T any](t *testing.T, what string, call func() (T, error)) (T, error) {
	t.Helper()
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := call()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-time.After(patience / 4):
		t.Fatalf("%s waits for another call", what)
		panic("unreachable")
	}
}

// background is a call that another one has to end.
func background(call func() error) chan error {
	done := make(chan error, 1)
	go func() { done <- call() }()
	return done
}

// result is what a call in the background returns.
func result(t *testing.T, what string, done chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		t.Fatalf("%s does not end", what)
		return nil
	}
}

// silent is a file system whose server takes no requests (fuse(4)): who looks a file
// up waits until it is killed.
type silent struct{ fd int }

// mountSilent mounts such a file system.
func mountSilent(t *testing.T, dir string) silent {
	t.Helper()
	fuse, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	must(t, err)
	fd := int(fuse.Fd())
	must(t, unix.Mount("fuse", dir, "fuse", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fd)))
	t.Cleanup(func() {
		_ = unix.Unmount(dir, unix.MNT_DETACH)
		fuse.Close() // who waits is told that there is nobody
	})
	// The kernel's first request is FUSE_INIT: the answer is a fuse_out_header and a
	// fuse_init_out, of version 7.31.
	request := make([]byte, 1<<20)
	if n, err := unix.Read(fd, request); err != nil || binary.NativeEndian.Uint32(request[4:]) != 26 {
		t.Fatalf("no FUSE_INIT: %d bytes, %v", n, err)
	}
	var answer [16 + 64]byte
	binary.NativeEndian.PutUint32(answer[0:], uint32(len(answer)))
	copy(answer[8:16], request[8:16])
	binary.NativeEndian.PutUint32(answer[16:], 7)
	binary.NativeEndian.PutUint32(answer[20:], 31)
	binary.NativeEndian.PutUint32(answer[36:], 4096)
	_, err = unix.Write(fd, answer[:])
	must(t, err)
	return silent{fd}
}

// await waits until somebody waits for the file system.
func (s silent) await(t *testing.T) {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN}}
	n, err := 0, error(unix.EINTR)
	for err == unix.EINTR {
		n, err = unix.Poll(fds, int(patience.Milliseconds()))
	}
	if n != 1 || err != nil {
		t.Fatalf("nobody looks a file up: %v", err)
	}
}

// beingStarted tells whether the start of an exec has begun.
func beingStarted(s *shimUnderTest, id, exec string) bool {
	_, p, err := s.find(id, exec)
	if err != nil {
		return false
	}
	return p.at() == starting
}
