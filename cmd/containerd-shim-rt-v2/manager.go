package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/shim"
	"github.com/rtcontainers/rt/libcontainer"
	"golang.org/x/sys/unix"
)

// manager starts shims, and cleans up after one that died.
type manager struct{}

func (manager) Name() string { return runtimeName }

// stopPatience is how long a clean-up works on a container: containerd kills it
// after five seconds.
const stopPatience = 3 * time.Second

// Stop removes what a dead shim has left of a container, as far as that can be done
// in time. It always answers: without an answer containerd keeps the bundle, and
// the id is taken.
func (manager) Stop(ctx context.Context, id string) (shim.StopStatus, error) {
	status := shim.StopStatus{ExitedAt: time.Now(), ExitStatus: 128 + int(unix.SIGKILL)}
	ns, err := namespaces.NamespaceRequired(ctx)
	if err != nil {
		return status, err
	}
	bundle, err := bundleOf(ctx, id)
	if err != nil {
		return status, err
	}
	logger := logOf(ctx, id)
	o, err := loadOptions(bundle)
	if err != nil {
		logger.Warn("the options are lost; using the state in the default directory", "error", err, "directory", o.root(ns))
	}
	if c, err := libcontainer.Load(o.root(ns), id); err == nil {
		status.Pid = c.Pid()
		c.Close()
	}
	if end, err := loadEnd(bundle); err == nil {
		status = end.stopStatus()
	} else if !errors.Is(err, os.ErrNotExist) {
		logger.Warn("the container's exit status is lost", "error", err)
	}
	err = inTime(stopPatience, func() error {
		return libcontainer.Delete(o.root(ns), id, true, logger)
	})
	if err != nil && !errors.Is(err, libcontainer.ErrNotExist) {
		logger.Warn("the rest of the container is removed when its id is used again", "error", err)
	}
	// What still uses the root file system does not keep the bundle.
	if err := mount.UnmountRecursive(rootfsOf(bundle), unix.MNT_DETACH); err != nil {
		logger.Warn("unmount the root file system", "error", err)
	}
	var files podFiles
	if err := loadJSON(bundle, filesFile, &files); err == nil {
		err = files.remove()
		if err != nil {
			logger.Warn("remove the files of the pod", "error", err)
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		logger.Warn("where the files of the pod are is lost", "error", err)
	}
	if address, err := shim.ReadAddress(filepath.Join(bundle, addressFile)); err == nil && !isServed(address) {
		removeAddress(bundle, address)
	}
	return status, nil
}

// bundleOf is the bundle of a container that is cleaned up: containerd names it, and
// the working directory is the bundle of any container of the group.
func bundleOf(ctx context.Context, id string) (string, error) {
	if o, ok := ctx.Value(shim.OptsKey{}).(shim.Opts); ok && o.BundlePath != "" {
		return o.BundlePath, nil
	}
	cwd, err := os.Getwd()
	return filepath.Join(filepath.Dir(cwd), id), err
}

// inTime returns what a function does, or an error when it takes too long; it goes
// on then.
func inTime(limit time.Duration, do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return err
	case <-time.After(limit):
		return fmt.Errorf("it took longer than %v", limit)
	}
}

// end is how a container's first process ended.
type end struct {
	Pid, Status uint32
	At          time.Time
}

func (e end) stopStatus() shim.StopStatus {
	return shim.StopStatus{Pid: int(e.Pid), ExitStatus: int(e.Status), ExitedAt: e.At}
}

const endFile = "end.json"

// save keeps the end in the bundle, for whoever cleans up: containerd may not have
// heard of it.
func (e end) save(bundle string) error { return saveJSON(bundle, endFile, e) }

func loadEnd(bundle string) (end, error) {
	var e end
	return e, loadJSON(bundle, endFile, &e)
}
