package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/containerd/containerd/api/runtime/task/v3"
	types "github.com/containerd/containerd/api/types/task"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/containerd/ttrpc"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// shim has the processes that containerd believes to exist.
type shim struct {
	pid uint32

	mu        sync.Mutex
	processes map[key]*process
}

// key names a process: the first one of a container has no exec id.
type key struct{ container, exec string }

type process struct {
	stdout, stderr string
	status         types.Status
	code           uint32
	exitedAt       time.Time
	ended          chan struct{}
}

func newShim(pid int) *shim { return &shim{pid: uint32(pid), processes: map[key]*process{}} }

// taskService is the name of the API whose messages these are.
const taskService = "containerd.task.v3.Task"

func (s *shim) register(server *ttrpc.Server) {
	server.RegisterService(taskService, &ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
		"Create": method(s.create), "Start": method(s.start), "State": method(s.state), "Wait": method(s.wait),
		"Kill": method(s.kill), "Delete": method(s.delete), "Exec": method(s.exec), "Pids": method(s.pids),
		"Connect": method(s.connect), "Shutdown": method(s.shutdown), "CloseIO": method(s.closeIO),
	}})
}

// method makes an answer to a call from a function.
func method[Request, Response any](call func(context.Context, *Request) (*Response, error)) ttrpc.Method {
	return func(ctx context.Context, decode func(any) error) (any, error) {
		request := new(Request)
		if err := decode(request); err != nil {
			return nil, err
		}
		response, err := call(ctx, request)
		return response, errgrpc.ToGRPC(err)
	}
}

func (s *shim) add(k key, stdout, stderr string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.processes[k] != nil {
		return fmt.Errorf("process %v: %w", k, errdefs.ErrAlreadyExists)
	}
	s.processes[k] = &process{stdout: stdout, stderr: stderr, status: types.Status_CREATED, ended: make(chan struct{})}
	return nil
}

// find returns a process with the lock held, if there is no error.
func (s *shim) find(container, exec string) (*process, error) {
	s.mu.Lock()
	if p := s.processes[key{container, exec}]; p != nil {
		return p, nil
	}
	s.mu.Unlock()
	return nil, fmt.Errorf("process %q %q: %w", container, exec, errdefs.ErrNotFound)
}

// end is called with the lock held.
func (p *process) end(code uint32) {
	if p.status == types.Status_STOPPED {
		return
	}
	p.status, p.code, p.exitedAt = types.Status_STOPPED, code, time.Now()
	close(p.ended)
}

func (s *shim) create(_ context.Context, r *task.CreateTaskRequest) (*task.CreateTaskResponse, error) {
	return &task.CreateTaskResponse{Pid: s.pid}, s.add(key{r.ID, ""}, r.Stdout, r.Stderr)
}

func (s *shim) exec(_ context.Context, r *task.ExecProcessRequest) (*emptypb.Empty, error) {
	return new(emptypb.Empty), s.add(key{r.ID, r.ExecID}, r.Stdout, r.Stderr)
}

// start ends an exec as soon as it is started.
func (s *shim) start(_ context.Context, r *task.StartRequest) (*task.StartResponse, error) {
	p, err := s.find(r.ID, r.ExecID)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	p.status = types.Status_RUNNING
	go p.writeNothing()
	if r.ExecID != "" {
		p.end(0)
	}
	return &task.StartResponse{Pid: s.pid}, nil
}

// writeNothing opens the fifos of a process's output until it ends: containerd waits for a writer,
// and for the end of the output.
func (p *process) writeNothing() {
	for _, path := range []string{p.stdout, p.stderr} {
		if path == "" {
			continue
		}
		if f, err := os.OpenFile(path, os.O_WRONLY, 0); err == nil {
			defer f.Close()
		}
	}
	<-p.ended
}

func (s *shim) kill(_ context.Context, r *task.KillRequest) (*emptypb.Empty, error) {
	p, err := s.find(r.ID, r.ExecID)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	p.end(128 + r.Signal)
	return new(emptypb.Empty), nil
}

func (s *shim) wait(ctx context.Context, r *task.WaitRequest) (*task.WaitResponse, error) {
	p, err := s.find(r.ID, r.ExecID)
	if err != nil {
		return nil, err
	}
	s.mu.Unlock()
	select {
	case <-p.ended:
		return &task.WaitResponse{ExitStatus: p.code, ExitedAt: timestamppb.New(p.exitedAt)}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *shim) state(_ context.Context, r *task.StateRequest) (*task.StateResponse, error) {
	p, err := s.find(r.ID, r.ExecID)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	response := &task.StateResponse{ID: r.ID, ExecID: r.ExecID, Pid: s.pid, Status: p.status, Stdout: p.stdout, Stderr: p.stderr, ExitStatus: p.code}
	if p.status == types.Status_STOPPED {
		response.ExitedAt = timestamppb.New(p.exitedAt)
	}
	return response, nil
}

func (s *shim) delete(_ context.Context, r *task.DeleteRequest) (*task.DeleteResponse, error) {
	p, err := s.find(r.ID, r.ExecID)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	// A container that was created only has not ended.
	p.end(128 + uint32(unix.SIGKILL))
	delete(s.processes, key{r.ID, r.ExecID})
	return &task.DeleteResponse{Pid: s.pid, ExitStatus: p.code, ExitedAt: timestamppb.New(p.exitedAt)}, nil
}

func (s *shim) pids(context.Context, *task.PidsRequest) (*task.PidsResponse, error) {
	return &task.PidsResponse{Processes: []*types.ProcessInfo{{Pid: s.pid}}}, nil
}

func (s *shim) connect(context.Context, *task.ConnectRequest) (*task.ConnectResponse, error) {
	return &task.ConnectResponse{ShimPid: uint32(os.Getpid()), TaskPid: s.pid}, nil
}

// shutdown of one pod's shim is not the end of the others'.
func (s *shim) shutdown(context.Context, *task.ShutdownRequest) (*emptypb.Empty, error) {
	return new(emptypb.Empty), nil
}

func (s *shim) closeIO(context.Context, *task.CloseIORequest) (*emptypb.Empty, error) {
	return new(emptypb.Empty), nil
}
