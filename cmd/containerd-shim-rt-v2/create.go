package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	taskapi "github.com/containerd/containerd/api/runtime/task/v3"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/errdefs"
	"github.com/rtcontainers/rt/libcontainer"
)

// createContainer mounts the root file system and makes the container.
func createContainer(ctx, life context.Context, namespace string, e *events, r *taskapi.CreateTaskRequest) (_ *container, err error) {
	if r.Checkpoint != "" {
		return nil, fmt.Errorf("checkpoint: restoring a container is not supported by this runtime: %w", errdefs.ErrNotImplemented)
	}
	o, err := parseOptions(r.Options)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", err, errdefs.ErrInvalidArgument)
	}
	o.remarks(func(message string) { logOf(life, r.ID).Warn(message) })
	if err := o.save(r.Bundle); err != nil {
		return nil, err
	}
	if err := nameShim(r.Bundle); err != nil {
		return nil, err
	}
	if err := o.mapOwner(r.Bundle); err != nil {
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
	st, err := openStreams(ctx, namespace, r.ID, p.stdio, o)
	if err != nil {
		return nil, err
	}
	options := libcontainer.Options{
		Root: o.root(namespace), ID: r.ID, Bundle: r.Bundle,
		Stdin: st.stdin, Stdout: st.stdout, Stderr: st.stderr, Terminal: st.takeTerminal,
		NoPivot: o.NoPivotRoot, NoNewKeyring: o.NoNewKeyring, SystemdCgroup: o.SystemdCgroup,
		PIDFD: p.takePidfd, Logger: logOf(life, r.ID),
	}
	c, own, err := libcontainer.Create(ctx, options)
	if errors.Is(err, libcontainer.ErrExist) && removeLeft(options) == nil {
		c, own, err = libcontainer.Create(ctx, options)
	}
	if err != nil {
		p.abandon(st)
		return nil, fmt.Errorf("OCI runtime create failed: %w", err)
	}
	defer c.Close()
	own.Close()
	made := newContainer(r.ID, r.Bundle, o.root(namespace), o, p, e)
	made.adopt(c, st)
	return made, nil
}

// shimFile is the file in a bundle that names the program of its shim.
const shimFile = "shim-binary-path"

// nameShim lets a containerd that starts again find this program. It names the program itself
// for a container whose shim it has started. For the others of a pod it would take the
// runtime type's in $PATH, whatever runtime_path says, and lose them if there is none.
func nameShim(bundle string) error {
	name := filepath.Join(bundle, shimFile)
	if _, err := os.Lstat(name); err == nil {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	self = strings.TrimSuffix(self, " (deleted)") // an update has replaced it
	return os.WriteFile(name, []byte(self), 0o600)
}

func newContainer(id, bundle, root string, o *taskOptions, first *process, e *events) *container {
	return &container{
		id: id, bundle: bundle, root: root, options: o, first: first,
		news: &news{events: e}, changing: make(chan struct{}, 1), execs: map[string]*process{},
	}
}

// removeLeft removes what a shim that was killed has left of a container of the same
// bundle, which containerd makes anew: clean-up had no time for all of it.
func removeLeft(o libcontainer.Options) error {
	left, err := libcontainer.Load(o.Root, o.ID)
	if errors.Is(err, libcontainer.ErrNotExist) {
		return nil // it was still being removed
	}
	if err != nil {
		return err
	}
	defer left.Close()
	if state := left.State(); state.Status != libcontainer.Stopped || state.Bundle != o.Bundle {
		return libcontainer.ErrExist
	}
	return left.Delete(false, o.Logger)
}

// adopt takes a container over that was made. Its process may have ended since, and
// is waited for all the same.
func (c *container) adopt(own *libcontainer.Container, st *streams) {
	c.first.begin(own.Pid(), st)
	c.sharesPids, c.usage = own.SharesPids(), usage(own.Pid(), c.first.ended())
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
