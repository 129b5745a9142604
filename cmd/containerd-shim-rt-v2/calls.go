package main

import (
	"context"
	"fmt"
	"os"

	eventstypes "github.com/containerd/containerd/api/events"
	taskapi "github.com/containerd/containerd/api/runtime/task/v3"
	"github.com/containerd/containerd/api/types/runc/options"
	tasktypes "github.com/containerd/containerd/api/types/task"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/rtcontainers/rt/libcontainer"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Exec prepares a process that Start executes.
func (s *service) Exec(ctx context.Context, r *taskapi.ExecProcessRequest) (*emptypb.Empty, error) {
	c, err := s.container(r.ID)
	if err != nil {
		return nil, err
	}
	if err := c.addExec(r, logOf(s.ctx, r.ID)); err != nil {
		return nil, toGRPC(err)
	}
	s.events.send(&eventstypes.TaskExecAdded{ContainerID: c.id, ExecID: r.ExecID})
	return empty, nil
}

// ResizePty sets the size of a process's terminal.
func (s *service) ResizePty(ctx context.Context, r *taskapi.ResizePtyRequest) (*emptypb.Empty, error) {
	_, p, err := s.find(r.ID, r.ExecID)
	if err != nil {
		return nil, err
	}
	if err := p.resize(r.Width, r.Height); err != nil {
		return nil, toGRPC(err)
	}
	return empty, nil
}

// CloseIO ends a process's input.
func (s *service) CloseIO(ctx context.Context, r *taskapi.CloseIORequest) (*emptypb.Empty, error) {
	_, p, err := s.find(r.ID, r.ExecID)
	if err != nil {
		return nil, err
	}
	if r.Stdin {
		p.closeInput()
	}
	return empty, nil
}

// State describes a process.
func (s *service) State(ctx context.Context, r *taskapi.StateRequest) (*taskapi.StateResponse, error) {
	c, p, err := s.find(r.ID, r.ExecID)
	if err != nil {
		return nil, err
	}
	status := c.state(p)
	pid, exitStatus, at := p.exit()
	response := &taskapi.StateResponse{
		ID: p.id, Bundle: c.bundle, Pid: pid, Status: status, ExitStatus: exitStatus, ExecID: p.id,
		Stdin: p.stdio.stdin, Stdout: p.stdio.stdout, Stderr: p.stdio.stderr, Terminal: p.stdio.terminal,
	}
	if p == c.first {
		response.ID = c.id
	}
	if status == tasktypes.Status_STOPPED {
		response.ExitedAt = timestamppb.New(at)
	}
	return response, nil
}

// Pids lists the container's processes.
func (s *service) Pids(ctx context.Context, r *taskapi.PidsRequest) (*taskapi.PidsResponse, error) {
	c, err := s.container(r.ID)
	if err != nil {
		return nil, err
	}
	pids, err := c.pids()
	if err != nil {
		return nil, toGRPC(err)
	}
	execs := map[int]string{}
	for _, p := range c.processes() {
		pid, _, _ := p.exit()
		execs[int(pid)] = p.id
	}
	var list []*tasktypes.ProcessInfo
	for _, pid := range pids {
		info := &tasktypes.ProcessInfo{Pid: uint32(pid)}
		if id, ok := execs[pid]; ok {
			if info.Info, err = pack(&options.ProcessDetails{ExecID: id}); err != nil {
				return nil, toGRPC(err)
			}
		}
		list = append(list, info)
	}
	return &taskapi.PidsResponse{Processes: list}, nil
}

// Pause freezes a container.
func (s *service) Pause(ctx context.Context, r *taskapi.PauseRequest) (*emptypb.Empty, error) {
	c, err := s.container(r.ID)
	if err != nil {
		return nil, err
	}
	if err := c.pause(ctx); err != nil {
		return nil, toGRPC(err)
	}
	s.events.send(&eventstypes.TaskPaused{ContainerID: c.id})
	return empty, nil
}

// Resume lets a paused container go on.
func (s *service) Resume(ctx context.Context, r *taskapi.ResumeRequest) (*emptypb.Empty, error) {
	c, err := s.container(r.ID)
	if err != nil {
		return nil, err
	}
	if err := c.change(ctx, (*libcontainer.Container).Resume); err != nil {
		return nil, toGRPC(err)
	}
	s.events.send(&eventstypes.TaskResumed{ContainerID: c.id})
	return empty, nil
}

// Checkpoint is not what rt can do.
func (s *service) Checkpoint(ctx context.Context, r *taskapi.CheckpointTaskRequest) (*emptypb.Empty, error) {
	return nil, errgrpc.ToGRPC(fmt.Errorf("checkpoint is not supported by this runtime: %w", errdefs.ErrNotImplemented))
}

// Kill sends a signal.
func (s *service) Kill(ctx context.Context, r *taskapi.KillRequest) (*emptypb.Empty, error) {
	c, err := s.container(r.ID)
	if err != nil {
		return nil, err
	}
	if err := c.kill(r.ExecID, unix.Signal(r.Signal), r.All); err != nil {
		return nil, toGRPC(err)
	}
	return empty, nil
}

// Update changes a container's limits.
func (s *service) Update(ctx context.Context, r *taskapi.UpdateTaskRequest) (*emptypb.Empty, error) {
	c, err := s.container(r.ID)
	if err != nil {
		return nil, err
	}
	if err := c.update(ctx, r.Resources.GetValue(), logOf(s.ctx, r.ID)); err != nil {
		return nil, toGRPC(err)
	}
	return empty, nil
}

// Wait waits until a process has ended.
func (s *service) Wait(ctx context.Context, r *taskapi.WaitRequest) (*taskapi.WaitResponse, error) {
	_, p, err := s.find(r.ID, r.ExecID)
	if err != nil {
		return nil, err
	}
	if err := p.wait(ctx); err != nil {
		return nil, toGRPC(err)
	}
	_, status, at := p.exit()
	return &taskapi.WaitResponse{ExitStatus: status, ExitedAt: timestamppb.New(at)}, nil
}

// Stats tells what a container uses.
func (s *service) Stats(ctx context.Context, r *taskapi.StatsRequest) (*taskapi.StatsResponse, error) {
	c, err := s.container(r.ID)
	if err != nil {
		return nil, err
	}
	stats, err := c.metrics()
	if err != nil {
		return nil, toGRPC(err)
	}
	return &taskapi.StatsResponse{Stats: stats}, nil
}

// Connect tells the pids of the shim and of a container. Who starts a container asks
// before containerd does.
func (s *service) Connect(ctx context.Context, r *taskapi.ConnectRequest) (*taskapi.ConnectResponse, error) {
	if err := s.expect(); err != nil {
		return nil, toGRPC(err)
	}
	var pid uint32
	if c, err := s.container(r.ID); err == nil {
		pid, _, _ = c.first.exit()
	}
	return &taskapi.ConnectResponse{ShimPid: uint32(os.Getpid()), TaskPid: pid}, nil
}

// Shutdown ends the shim when it has no container any more. containerd also asks for it
// when it gives up a container that is still being made.
func (s *service) Shutdown(ctx context.Context, r *taskapi.ShutdownRequest) (*emptypb.Empty, error) {
	s.mu.Lock()
	if c, ok := s.containers[r.ID]; ok && c == nil {
		s.unwanted[r.ID] = true
	}
	s.mu.Unlock()
	s.endUnused()
	return empty, nil
}
