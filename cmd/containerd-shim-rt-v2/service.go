package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	eventstypes "github.com/containerd/containerd/api/events"
	taskapi "github.com/containerd/containerd/api/runtime/task/v3"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/shim"
	"github.com/containerd/containerd/v2/pkg/shutdown"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/containerd/log"
	"github.com/containerd/ttrpc"
	"github.com/rtcontainers/rt/libcontainer"
	logrusslog "github.com/sirupsen/logrus/hooks/slog"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// service is containerd's task service for the containers of one group.
type service struct {
	ctx       context.Context
	namespace string
	events    *events
	end       shutdown.Service
	parents   parents
	// idle ends the shim when it has had no container for some time.
	idle   *time.Timer
	memory *memory
	// log and keeper are those of a shared shim.
	log    *sharedLog
	keeper *keeper

	mu         sync.Mutex
	life       life
	containers map[string]*container // nil: it is being made
	sandboxes  map[string]*sandbox
	// unwanted are those of them that containerd has given up.
	unwanted map[string]bool
}

func newService(ctx context.Context, publisher shim.Publisher, end shutdown.Service) *service {
	ns, _ := namespaces.Namespace(ctx)
	s := &service{ctx: ctx, namespace: ns, events: publish(ctx, publisher), end: end,
		containers: map[string]*container{}, sandboxes: map[string]*sandbox{}, unwanted: map[string]bool{}}
	s.idle = time.AfterFunc(createPatience, s.endUnused)
	s.memory = newMemory()
	go reapOrphans(ctx, s.isOurs)
	end.RegisterCallback(func(context.Context) error {
		s.events.close()
		return publisher.Close()
	})
	s.ownLife()
	if s.keeper != nil {
		if err := s.takeOver(); err != nil {
			log.G(ctx).WithError(err).Error("pods are lost")
		}
	}
	return s
}

// taskServices are the names of the task API by its version. Both have the same
// methods, and messages that are the same on the wire.
var taskServices = map[int]string{addressOnly: "containerd.task.v2.Task", withBootstrap: "containerd.task.v3.Task"}

// RegisterTTRPC offers the service to containerd.
func (s *service) RegisterTTRPC(server *ttrpc.Server) error {
	methods := &ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
		"Create": method(s.Create), "Delete": method(s.Delete), "Wait": method(s.Wait),
		"Connect": method(s.Connect), "Shutdown": method(s.Shutdown),
		"State": ofContainer(s, s.State), "Start": ofContainer(s, s.Start), "Pids": ofContainer(s, s.Pids),
		"Pause": ofContainer(s, s.Pause), "Resume": ofContainer(s, s.Resume), "Checkpoint": ofContainer(s, s.Checkpoint),
		"Kill": ofContainer(s, s.Kill), "Exec": ofContainer(s, s.Exec), "ResizePty": ofContainer(s, s.ResizePty),
		"CloseIO": ofContainer(s, s.CloseIO), "Update": ofContainer(s, s.Update), "Stats": ofContainer(s, s.Stats),
	}}
	for _, name := range taskServices {
		server.RegisterService(name, methods)
	}
	server.RegisterService(sandboxService, s.sandboxMethods())
	return nil
}

// method is a call in the form of package ttrpc.
func method[Request, Response any](call func(context.Context, *Request) (*Response, error)) ttrpc.Method {
	return func(ctx context.Context, unmarshal func(any) error) (any, error) {
		r := new(Request)
		if err := unmarshal(r); err != nil {
			return nil, err
		}
		return call(ctx, r)
	}
}

var empty = new(emptypb.Empty)

// toGRPC is an error in the form that containerd's clients tell apart.
func toGRPC(err error) error {
	for ours, theirs := range map[error]error{
		libcontainer.ErrNotExist:   errdefs.ErrNotFound,
		libcontainer.ErrExist:      errdefs.ErrAlreadyExists,
		libcontainer.ErrInvalidID:  errdefs.ErrInvalidArgument,
		libcontainer.ErrWrongState: errdefs.ErrFailedPrecondition,
	} {
		if errors.Is(err, ours) {
			err = fmt.Errorf("%v: %w", err, theirs) // with both, clients show the class twice
			break
		}
	}
	return errgrpc.ToGRPC(err)
}

// pack is a message under the name by which containerd knows its type.
func pack(m proto.Message) (*anypb.Any, error) {
	a, err := anypb.New(m)
	if err == nil {
		a.TypeUrl = string(a.MessageName())
	}
	return a, err
}

// logOf takes what the library has to tell of a container.
func logOf(ctx context.Context, id string) *slog.Logger {
	return slog.New(logrusslog.NewHandler(log.G(ctx).Logger, nil)).With("container", id)
}

// ofContainer is a method whose answer Delete waits for: containerd ends the shim then,
// and an answer that is still on its way would be lost.
func ofContainer[Request, Response any, R interface {
	*Request
	GetID() string
}](s *service, call func(context.Context, *Request) (*Response, error)) ttrpc.Method {
	return method(func(ctx context.Context, r *Request) (*Response, error) {
		c, err := s.container(R(r).GetID())
		if err != nil {
			return nil, err
		}
		c.calls.RLock()
		defer c.calls.RUnlock()
		return call(ctx, r)
	})
}

func (s *service) container(id string) (*container, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.containers[id]
	if c == nil {
		return nil, errgrpc.ToGRPC(fmt.Errorf("container %q: %w", id, errdefs.ErrNotFound))
	}
	return c, nil
}

// find returns a container and one of its processes.
func (s *service) find(id, execID string) (*container, *process, error) {
	c, err := s.container(id)
	if err != nil {
		return nil, nil, err
	}
	p, err := c.process(execID)
	if err != nil {
		return nil, nil, errgrpc.ToGRPC(err)
	}
	return c, p, nil
}

// isOurs tells whether somebody waits for a process, or may be about to.
func (s *service) isOurs(z zombie) bool {
	if s.parents.mayHave(z) {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.sandboxes {
		if b.first.is(z.pid) {
			return true
		}
	}
	for _, c := range s.containers {
		if c == nil {
			continue
		}
		for _, p := range append(c.processes(), c.first) {
			if p.is(z.pid) {
				return true
			}
		}
	}
	return false
}

// making is called before a container is made or started, or a pod started, and made after it.
func (s *service) making() (made func()) {
	s.mu.Lock()
	n := len(s.containers) + len(s.sandboxes)
	s.mu.Unlock()
	return s.memory.making(n)
}

// Create makes a container; its process waits for Start.
func (s *service) Create(ctx context.Context, r *taskapi.CreateTaskRequest) (*taskapi.CreateTaskResponse, error) {
	defer s.parents.enter()()
	s.mu.Lock()
	err := s.stays()
	if _, taken := s.containers[r.ID]; taken {
		err = fmt.Errorf("container %q: %w", r.ID, errdefs.ErrAlreadyExists)
	}
	if err == nil {
		s.containers[r.ID] = nil
	}
	s.mu.Unlock()
	if err != nil {
		return nil, errgrpc.ToGRPC(err)
	}
	defer s.making()()
	s.log.add(r.Bundle)
	var c *container
	if err = s.announceBox(r.ID, r.Bundle); err == nil {
		c, err = createContainer(ctx, s.ctx, s.namespace, s.events, r)
	}
	s.mu.Lock()
	unwanted := s.unwanted[r.ID] || ctx.Err() != nil
	delete(s.unwanted, r.ID)
	if err == nil {
		s.containers[r.ID] = c
	} else {
		delete(s.containers, r.ID)
	}
	s.mu.Unlock()
	if err != nil {
		s.log.remove(r.Bundle)
		s.keeper.drop(boxName(r.ID))
		if unwanted {
			s.endUnused()
		}
		return nil, toGRPC(err)
	}
	pid, _, _ := c.first.exit()
	s.events.send(&eventstypes.TaskCreate{
		ContainerID: r.ID, Bundle: r.Bundle, Rootfs: r.Rootfs, Checkpoint: r.Checkpoint, Pid: pid,
		IO: &eventstypes.TaskIO{Stdin: r.Stdin, Stdout: r.Stdout, Stderr: r.Stderr, Terminal: r.Terminal},
	})
	s.keepBox(c)
	c.first.keepStreams(s.keeper, boxName(c.id))
	go s.follow(c, c.first)
	if unwanted {
		s.discard(c)
		return nil, toGRPC(c.refuse("make a container that containerd has given up"))
	}
	return &taskapi.CreateTaskResponse{Pid: pid}, nil
}

// discard removes a container of which containerd does not know: it was killed as it
// was made, or lost patience. Nobody else would ever remove it, nor end the shim.
func (s *service) discard(c *container) {
	logger := log.G(s.ctx).WithField("container", c.id)
	if err := c.kill("", unix.SIGKILL, false); err != nil && !errors.Is(err, errdefs.ErrNotFound) {
		logger.WithError(err).Warn("kill a container that nobody wants any more")
	}
	_ = c.first.wait(s.ctx) // the shim ends before it could give up
	if _, err := s.Delete(s.ctx, &taskapi.DeleteRequest{ID: c.id}); err != nil {
		logger.WithError(err).Warn("remove a container that nobody wants any more")
	}
	s.endUnused()
}

// follow waits for a process and tells of its end.
func (s *service) follow(c *container, p *process) {
	s.awaitEnd(c.id, p)
	if p == c.first {
		s.keepEnd(c.id, c.bundle, p)
		s.keepBox(c)
		s.endOthers(c)
		c.endWatch()
	}
	p.drain()
	pid, code, at := p.exit()
	exit := &eventstypes.TaskExit{
		ContainerID: c.id, ID: p.id, Pid: pid, ExitStatus: code, ExitedAt: timestamppb.New(at),
	}
	if p == c.first {
		exit.ID = c.id
		c.news.tell(exit)
	} else {
		s.events.send(exit)
	}
	p.settle()
}

// awaitEnd waits for the end of a process of a container or pod, and records it.
func (s *service) awaitEnd(id string, p *process) {
	status, err := p.reap()
	code := exitCode(status)
	if err != nil {
		log.G(s.ctx).WithError(err).WithField("container", id).Error("wait for a process")
		code = noProcess
	}
	p.end(code, time.Now())
}

// keepEnd lets who cleans up after this shim know how a first process ended.
func (s *service) keepEnd(id, bundle string, p *process) {
	if err := p.ending().save(bundle); err != nil {
		log.G(s.ctx).WithError(err).WithField("container", id).Warn("save the exit status")
	}
}

// endOthers sees to it that the container's other processes end with the first
// one, and that the news of their end come first.
func (s *service) endOthers(c *container) {
	others := c.finish()
	if c.sharesPids {
		err := c.kill("", unix.SIGKILL, true)
		if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, libcontainer.ErrNotExist) {
			log.G(s.ctx).WithError(err).WithField("container", c.id).Warn("kill the remaining processes")
		}
	}
	for _, p := range others {
		<-p.told
	}
}

// Start starts a created container's process, or an exec.
func (s *service) Start(ctx context.Context, r *taskapi.StartRequest) (*taskapi.StartResponse, error) {
	defer s.parents.enter()()
	c, p, err := s.find(r.ID, r.ExecID)
	if err != nil {
		return nil, err
	}
	if r.ExecID != "" {
		return s.startExec(ctx, c, p)
	}
	defer s.making()()
	if err := c.start(ctx, func(own *libcontainer.Container) { s.watchMemory(c, own) }); err != nil {
		return nil, toGRPC(err)
	}
	p.keepStreams(s.keeper, boxName(c.id)) // the input has a writer now
	pid, _, _ := p.exit()
	return &taskapi.StartResponse{Pid: pid}, nil
}

func (s *service) startExec(ctx context.Context, c *container, p *process) (*taskapi.StartResponse, error) {
	if err := c.startExec(ctx, s.ctx, s.namespace, p); err != nil {
		return nil, toGRPC(err)
	}
	pid, _, _ := p.exit()
	s.events.send(&eventstypes.TaskExecStarted{ContainerID: c.id, ExecID: p.id, Pid: pid})
	go s.follow(c, p)
	return &taskapi.StartResponse{Pid: pid}, nil
}

// watchMemory tells of processes that the kernel kills for lack of memory: between
// the news of the start and of the end.
func (s *service) watchMemory(c *container, own *libcontainer.Container) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopWatch != nil {
		return
	}
	stop, err := own.WatchOOM(func() { c.news.tell(&eventstypes.TaskOOM{ContainerID: c.id}) })
	if err == nil {
		c.stopWatch = stop
	} else if !errors.Is(err, os.ErrNotExist) {
		log.G(s.ctx).WithError(err).WithField("container", c.id).Debug("no news of lack of memory")
	}
}

// Delete removes an exec, or a container that has ended.
func (s *service) Delete(ctx context.Context, r *taskapi.DeleteRequest) (*taskapi.DeleteResponse, error) {
	defer s.parents.enter()()
	c, p, err := s.find(r.ID, r.ExecID)
	if err != nil {
		return nil, err
	}
	if r.ExecID != "" {
		err = c.deleteExec(ctx, p)
	} else {
		err = c.delete(ctx, logOf(s.ctx, c.id))
	}
	if err != nil {
		return nil, toGRPC(err)
	}
	pid, status, at := p.exit()
	exitedAt := timestamppb.New(at)
	if r.ExecID == "" {
		s.mu.Lock()
		delete(s.containers, r.ID)
		s.mu.Unlock()
		s.log.remove(c.bundle)
		s.keeper.drop(boxName(c.id))
		c.awaitAnswers()
		s.events.send(&eventstypes.TaskDelete{ContainerID: c.id, Pid: pid, ExitStatus: status, ExitedAt: exitedAt})
		s.idle.Reset(shutdownPatience)
	}
	return &taskapi.DeleteResponse{Pid: pid, ExitStatus: status, ExitedAt: exitedAt}, nil
}
