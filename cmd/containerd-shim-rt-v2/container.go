package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
)

// container is a container and its processes.
type container struct {
	id, bundle string
	// root is the directory of the containers' state.
	root    string
	c       *libcontainer.Container
	options *taskOptions
	first   *process
	// sharesPids is true when its processes do not end with the first one.
	sharesPids bool
	// usage reads what the container uses.
	usage func() (proto.Message, error)

	// life is held by what changes the container, and shared by what uses it but
	// for execs: one may hang in its execve, on a file system whose server is gone.
	// When the container is deleted, and the shim may end, all have answered.
	life, execing sync.RWMutex

	mu        sync.Mutex
	execs     map[string]*process
	stopWatch func() // of lack of memory; nil: it has not begun
}

// createContainer mounts the root file system and makes the container.
func createContainer(ctx, life context.Context, namespace string, r *taskapi.CreateTaskRequest) (_ *container, err error) {
	if r.Checkpoint != "" {
		return nil, fmt.Errorf("checkpoint: restoring a container is not supported by this runtime: %w", errdefs.ErrNotImplemented)
	}
	o, err := parseOptions(r.Options)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", err, errdefs.ErrInvalidArgument)
	}
	if err := o.save(r.Bundle); err != nil {
		return nil, err
	}
	if err := mountRootfs(r); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, unmountRootfs(r.Bundle))
		}
	}()
	p := newProcess("", stdio{r.Stdin, r.Stdout, r.Stderr, r.Terminal})
	st, err := openStreams(ctx, life, namespace, r.ID, p.stdio, o)
	if err != nil {
		return nil, err
	}
	c, err := libcontainer.Create(libcontainer.Options{
		Root: o.root(namespace), ID: r.ID, Bundle: r.Bundle,
		Stdin: st.stdin, Stdout: st.stdout, Stderr: st.stderr, Terminal: st.takeTerminal,
		NoPivot: o.NoPivotRoot, NoNewKeyring: o.NoNewKeyring, SystemdCgroup: o.SystemdCgroup,
		PIDFD: p.takePidfd, Warn: warn(life, r.ID),
	})
	if err != nil {
		p.abandon(st)
		return nil, fmt.Errorf("OCI runtime create failed: %w", err)
	}
	p.begin(c.State().Pid, st)
	return &container{
		id: r.ID, bundle: r.Bundle, root: o.root(namespace), c: c, options: o, first: p, sharesPids: c.SharesPids(),
		execs: map[string]*process{}, usage: usage(c.State().Pid),
	}, nil
}

func rootfsOf(bundle string) string { return filepath.Join(bundle, "rootfs") }

func mountRootfs(r *taskapi.CreateTaskRequest) error {
	if len(r.Rootfs) == 0 {
		return nil
	}
	if err := os.Mkdir(rootfsOf(r.Bundle), 0o711); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	var mounts []mount.Mount
	for _, m := range r.Rootfs {
		mounts = append(mounts, mount.Mount{Type: m.Type, Source: m.Source, Target: m.Target, Options: m.Options})
	}
	if err := mount.All(mounts, rootfsOf(r.Bundle)); err != nil {
		return errors.Join(fmt.Errorf("mount the root file system: %w", err), unmountRootfs(r.Bundle))
	}
	return nil
}

func unmountRootfs(bundle string) error { return mount.UnmountRecursive(rootfsOf(bundle), 0) }

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
	var list []*process
	for _, p := range c.execs {
		list = append(list, p)
	}
	return list
}

// addExec prepares a process that is to be executed.
func (c *container) addExec(r *taskapi.ExecProcessRequest, warn func(string)) error {
	s, remarks, err := spec.ParseProcess(r.Spec.GetValue())
	if err != nil {
		return fmt.Errorf("process: %v: %w", err, errdefs.ErrInvalidArgument)
	}
	for _, m := range remarks.Folded {
		warn("process: " + m)
	}
	s.Terminal = r.Terminal
	p := newProcess(r.ExecID, stdio{r.Stdin, r.Stdout, r.Stderr, r.Terminal})
	p.spec = s
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.execs[r.ExecID] != nil {
		return fmt.Errorf("exec %q of container %q: %w", r.ExecID, c.id, errdefs.ErrAlreadyExists)
	}
	c.execs[r.ExecID] = p
	return nil
}

// start starts the container's own process.
func (c *container) start() error {
	if err := c.exclusively((*libcontainer.Container).Start); err != nil {
		return fmt.Errorf("OCI runtime start failed: %w", err)
	}
	c.first.mu.Lock()
	defer c.first.mu.Unlock()
	c.first.runsNow()
	return nil
}

// startExec executes a process.
func (c *container) startExec(ctx, life context.Context, namespace string, p *process) (err error) {
	if !p.ask() {
		return fmt.Errorf("exec %q has been started: %w", p.id, errdefs.ErrFailedPrecondition)
	}
	defer func() {
		if err != nil {
			p.fail()
		}
	}()
	st, err := openStreams(ctx, life, namespace, c.id, p.stdio, c.options)
	if err != nil {
		return err
	}
	c.execing.RLock()
	defer c.execing.RUnlock()
	own, err := libcontainer.Load(c.root, c.id) // others change theirs meanwhile
	if err != nil {
		p.abandon(st)
		return err
	}
	defer own.Close()
	started, err := own.Exec(libcontainer.ExecOptions{
		Process: p.spec,
		Stdin:   st.stdin, Stdout: st.stdout, Stderr: st.stderr, Terminal: st.takeTerminal,
		PIDFD: p.takePidfd, Warn: warn(life, c.id),
	})
	if err != nil {
		p.abandon(st)
		return fmt.Errorf("OCI runtime exec failed: exec failed: %w", err)
	}
	p.begin(started.Pid(), st)
	started.Close()
	return nil
}

// deleteExec forgets a process that was executed.
func (c *container) deleteExec(p *process) error {
	if p.runs() {
		return fmt.Errorf("exec %q runs: %w", p.id, errdefs.ErrFailedPrecondition)
	}
	p.fail() // it may never have been started, and somebody wait for it
	p.closeStreams()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.execs, p.id)
	return nil
}

// delete removes the container.
func (c *container) delete(warn func(string)) error {
	c.execing.Lock()
	defer c.execing.Unlock()
	c.life.Lock()
	defer c.life.Unlock()
	if err := c.c.Delete(false, warn); err != nil && !errors.Is(err, libcontainer.ErrNotExist) {
		return err
	}
	c.endWatch()
	for _, p := range c.processes() {
		p.closeStreams()
	}
	c.first.closeStreams()
	c.c.Close()
	return unmountRootfs(c.bundle)
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
		c.life.RLock()
		defer c.life.RUnlock()
		return c.c.SignalAll(sig)
	}
	err = p.signal(sig)
	if err == nil && p == c.first && sig == unix.SIGKILL {
		c.life.RLock()
		defer c.life.RUnlock()
		_ = c.c.Signal(sig) // a paused one, too: an error says that it has ended
	}
	return err
}

// update changes limits: the fields that there are in the JSON of
// linux.resources.
func (c *container) update(resources []byte, warn func(string)) error {
	change := func(l *specs.Linux) error {
		remarks, err := spec.ParseResources(resources, l.Resources)
		if err != nil {
			return fmt.Errorf("resources: %v: %w", err, errdefs.ErrInvalidArgument)
		}
		for _, m := range remarks.Folded {
			warn("resources: " + m)
		}
		return nil
	}
	return c.exclusively(func(c *libcontainer.Container) error { return c.Update(change) })
}

// exclusively does what changes the container.
func (c *container) exclusively(change func(*libcontainer.Container) error) error {
	c.life.Lock()
	defer c.life.Unlock()
	return change(c.c)
}

func (c *container) paused() bool {
	c.life.RLock()
	defer c.life.RUnlock()
	return c.c.Status() == libcontainer.Paused
}
