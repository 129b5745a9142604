package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	eventstypes "github.com/containerd/containerd/api/events"
	taskapi "github.com/containerd/containerd/api/runtime/task/v3"
	tasktypes "github.com/containerd/containerd/api/types/task"
	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
)

// container is a container and its processes. Each call opens it anew, as the
// command does: none waits for another, unless both change it.
type container struct {
	id, bundle string
	// root is the directory of the containers' state.
	root    string
	options *taskOptions
	first   *process
	news    *news // of the first process
	// sharesPids is true when its processes do not end with the first one.
	sharesPids bool
	// usage reads what the container uses.
	usage func() (proto.Message, error)

	// changing has room for the call that changes the container.
	changing chan struct{}
	pausing  atomic.Bool
	// calls is shared by those that are under way: see ofContainer.
	calls sync.RWMutex
	// deleted is true when nothing is left to remove. Who changes the container has it.
	deleted bool

	mu        sync.Mutex
	execs     map[string]*process
	over      bool   // the first process has ended: no other one starts
	stopWatch func() // of lack of memory; nil: it has not begun
}

// process finds a process by the id of its exec, "" for the first one.
func (c *container) process(execID string) (*process, error) {
	if execID == "" {
		return c.first, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.execs[execID]
	if p == nil {
		return nil, fmt.Errorf("exec %q of container %q: %w", execID, c.id, errdefs.ErrNotFound)
	}
	return p, nil
}

// processes are all that were executed.
func (c *container) processes() []*process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Values(c.execs))
}

// open opens the container for one call.
func (c *container) open() (*libcontainer.Container, error) { return libcontainer.Load(c.root, c.id) }

// change does what no other call may change the container meanwhile, for which it
// waits as long as ctx allows.
func (c *container) change(ctx context.Context, do func(*libcontainer.Container) error) error {
	if err := c.lock(ctx); err != nil {
		return err
	}
	defer c.unlock()
	own, err := c.open()
	if err != nil {
		return err
	}
	defer own.Close()
	return do(own)
}

func (c *container) lock(ctx context.Context) error {
	select {
	case c.changing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *container) unlock() { <-c.changing }

// refuse is the error of what cannot be done in a container's state.
func (c *container) refuse(what string) error {
	return fmt.Errorf("container %q: cannot %s: %w", c.id, what, errdefs.ErrFailedPrecondition)
}

const startAfterEnd = "start a process in a container that has ended"

// addExec prepares a process that is to be executed.
func (c *container) addExec(r *taskapi.ExecProcessRequest, logger *slog.Logger) error {
	s, remarks, err := spec.ParseProcess(r.Spec.GetValue())
	if err != nil {
		return fmt.Errorf("process: %v: %w", err, errdefs.ErrInvalidArgument)
	}
	for _, m := range remarks.Folded {
		logger.Warn("process: " + m)
	}
	if c.paused() {
		return c.refuse("execute a process in a paused container: resume it first")
	}
	s.Terminal = r.Terminal
	p := newProcess(r.ExecID, stdio{r.Stdin, r.Stdout, r.Stderr, r.Terminal})
	p.spec = s
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return c.refuse("execute a process in a container that has ended")
	}
	if c.execs[r.ExecID] != nil {
		return fmt.Errorf("exec %q of container %q: %w", r.ExecID, c.id, errdefs.ErrAlreadyExists)
	}
	c.execs[r.ExecID] = p
	return nil
}

// start starts the container's own process.
func (c *container) start(ctx context.Context, watch func(*libcontainer.Container)) error {
	err := c.change(ctx, func(own *libcontainer.Container) (err error) {
		began := c.first.move(prepared, starting)
		var started []any
		c.news.hold()
		defer func() { c.news.release(started...) }()
		watch(own)
		// A containerd that restarts meanwhile finds the container started.
		if err := own.Start(context.WithoutCancel(ctx)); err != nil {
			if began {
				c.first.move(starting, prepared) // unless it has ended
			}
			return err
		}
		c.first.move(starting, running)
		pid, _, _ := c.first.exit()
		started = append(started, &eventstypes.TaskStart{ContainerID: c.id, Pid: pid})
		return nil
	})
	if err != nil {
		return fmt.Errorf("OCI runtime start failed: %w", err)
	}
	return nil
}

// beginExec notes that a process is being started, which abort can end. It is not
// when the container has ended.
func (c *container) beginExec(p *process, abort context.CancelCauseFunc) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case c.over:
		return c.refuse(startAfterEnd)
	case p.stage != prepared:
		return fmt.Errorf("exec %q has been started: %w", p.id, errdefs.ErrFailedPrecondition)
	}
	p.stage, p.abort = starting, abort
	return nil
}

// startExec executes a process.
func (c *container) startExec(ctx, life context.Context, namespace string, p *process) (err error) {
	ctx, abort := context.WithCancelCause(ctx)
	defer abort(nil)
	if err := c.beginExec(p, abort); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			p.fail()
		}
		if errors.Is(err, context.Canceled) {
			err = context.Cause(ctx)
		}
	}()
	st, err := openStreams(ctx, namespace, c.id, p.stdio, c.options)
	if err != nil {
		return err
	}
	own, err := c.open()
	if err != nil {
		p.abandon(st)
		return err
	}
	defer own.Close()
	started, err := own.Exec(ctx, libcontainer.ExecOptions{
		Process: p.spec,
		Stdin:   st.stdin, Stdout: st.stdout, Stderr: st.stderr, Terminal: st.takeTerminal,
		PIDFD: p.takePidfd, Logger: logOf(life, c.id),
	})
	if err != nil {
		p.abandon(st)
		return fmt.Errorf("OCI runtime exec failed: exec failed: %w", err)
	}
	p.begin(started.Pid(), st)
	p.move(starting, running)
	started.Close()
	return nil
}

// finish says that the container's first process has ended: no other one starts, and
// the starts that wait for a client end. It returns those that may still run.
func (c *container) finish() (others []*process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	for _, p := range c.execs {
		p.mu.Lock()
		if p.abort != nil {
			p.abort(c.refuse(startAfterEnd))
		}
		if p.stage != prepared {
			others = append(others, p)
		}
		p.mu.Unlock()
	}
	return others
}

// deleteExec forgets a process that was executed, or prepared.
func (c *container) deleteExec(ctx context.Context, p *process) error {
	switch p.at() {
	case starting, running:
		return fmt.Errorf("exec %q is running: kill it first: %w", p.id, errdefs.ErrFailedPrecondition)
	case prepared:
		if !p.move(prepared, stopped) {
			return c.deleteExec(ctx, p)
		}
		p.fail() // somebody may wait for it
	}
	if err := p.wait(ctx); err != nil {
		return err
	}
	p.closeStreams()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.execs, p.id)
	return nil
}

// delete removes the container. What could not be done is done when it is repeated.
func (c *container) delete(ctx context.Context, logger *slog.Logger) error {
	if err := c.lock(ctx); err != nil {
		return err
	}
	defer c.unlock()
	if c.deleted {
		return fmt.Errorf("container %q: %w", c.id, errdefs.ErrNotFound)
	}
	if c.first.at() == stopped {
		// A process that is still being started may be in the cgroup, which would stay.
		if err := c.waitEnd(ctx); err != nil {
			return err
		}
	}
	own, err := c.open()
	if err == nil {
		err = own.Delete(false, logger)
		own.Close()
	}
	if err != nil && !errors.Is(err, libcontainer.ErrNotExist) {
		return err
	}
	if err := c.waitEnd(ctx); err != nil {
		return err
	}
	c.endWatch()
	var closing sync.WaitGroup // each may have to wait for its client
	for _, p := range append(c.processes(), c.first) {
		closing.Go(p.closeStreams)
	}
	closing.Wait()
	if err := unmountRootfs(c.bundle); err != nil {
		return err
	}
	c.deleted = true
	return nil
}

// waitEnd waits until all is told of the container's processes.
func (c *container) waitEnd(ctx context.Context) error {
	if err := c.first.wait(ctx); err != nil {
		return fmt.Errorf("container %q: wait for its end: %w", c.id, err)
	}
	return nil
}

// awaitAnswers waits for the calls that found the container before it was deleted. None
// of them takes long now: its processes have ended, and nobody starts any.
func (c *container) awaitAnswers() {
	c.calls.Lock()
	defer c.calls.Unlock()
}

// endWatch ends the watch of lack of memory, which tells what is left to tell. No
// other one begins.
func (c *container) endWatch() {
	c.mu.Lock()
	stop := c.stopWatch
	c.stopWatch = func() {}
	c.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// kill sends a signal to a process, or to all of the container.
func (c *container) kill(execID string, sig unix.Signal, all bool) error {
	p, err := c.process(execID)
	if err != nil {
		return err
	}
	if execID == "" && all {
		own, err := c.open()
		if err != nil {
			return err
		}
		defer own.Close()
		return own.SignalAll(sig)
	}
	if err := p.signal(sig); err != nil || p != c.first || sig != unix.SIGKILL {
		return err
	}
	if own, err := c.open(); err == nil {
		defer own.Close()
		_ = own.Signal(sig) // a paused one, too: an error says that it has ended
	}
	return nil
}

// pause freezes the container's processes.
func (c *container) pause(ctx context.Context) error {
	return c.change(ctx, func(own *libcontainer.Container) error {
		if c.first.at() == prepared {
			return c.refuse("pause a container that has not been started")
		}
		c.pausing.Store(true)
		defer c.pausing.Store(false)
		return own.Pause()
	})
}

// update changes limits: the fields that there are in the JSON of
// linux.resources.
func (c *container) update(ctx context.Context, resources []byte, logger *slog.Logger) error {
	change := func(l *specs.Linux) error {
		remarks, err := spec.ParseResources(resources, l.Resources)
		if err != nil {
			return fmt.Errorf("resources: %v: %w", err, errdefs.ErrInvalidArgument)
		}
		for _, m := range remarks.Folded {
			logger.Warn("resources: " + m)
		}
		return nil
	}
	return c.change(ctx, func(own *libcontainer.Container) error { return own.Update(change) })
}

// pids are those of all the container's processes.
func (c *container) pids() ([]int, error) {
	own, err := c.open()
	if err != nil {
		return nil, err
	}
	defer own.Close()
	return own.Pids()
}

func (c *container) paused() bool {
	own, err := c.open()
	if err != nil {
		return false // it is gone
	}
	defer own.Close()
	return own.Status() == libcontainer.Paused
}

// state is the status of one of the container's processes.
func (c *container) state(p *process) tasktypes.Status {
	status := p.state()
	switch {
	case status != tasktypes.Status_RUNNING:
		return status
	case c.pausing.Load():
		return tasktypes.Status_PAUSING
	case c.paused():
		return tasktypes.Status_PAUSED
	}
	return status
}
