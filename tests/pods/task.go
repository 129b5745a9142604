package main

import (
	"context"
	"fmt"
	"path/filepath"
	"syscall"

	runc "github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
)

// Names of series of containers without a pod.
const (
	createTask = "task/create"
	startTask  = "task/start"
	endTask    = "task/end"
	wholeTask  = "task"
)

var taskSeries = []string{createTask, startTask, endTask, wholeTask}

// runTask makes, starts, kills and deletes a container by containerd's own client, as ctr does.
func (n *node) runTask(ctx context.Context, who competitor) (times, error) {
	ctx, cancel := context.WithTimeout(ctx, n.opts.patience)
	defer cancel()
	t := times{}
	i, err := n.client.GetImage(ctx, image)
	if err != nil {
		return nil, err
	}
	var c client.Container
	var task client.Task
	return t, t.take(wholeTask, func() error {
		err := t.take(createTask, func() (err error) {
			c, task, err = n.createTask(ctx, who, i)
			return err
		})
		if err != nil {
			return fmt.Errorf("create a container: %w", err)
		}
		if err := t.take(startTask, func() error { return task.Start(ctx) }); err != nil {
			return fmt.Errorf("start a container: %w", err)
		}
		return t.take(endTask, func() error { return deleteTask(ctx, c, task) })
	})
}

func (n *node) createTask(ctx context.Context, who competitor, i client.Image) (client.Container, client.Task, error) {
	id := fmt.Sprintf("task%d", podNumber.Add(1))
	var settings any
	if who.runtime != "" {
		settings = &runc.Options{BinaryName: below(n.opts.bin, who.runtime)}
	}
	c, err := n.client.NewContainer(ctx, id, client.WithNewSnapshot(id, i), client.WithRuntime(who.kind, settings),
		client.WithNewSpec(oci.WithImageConfig(i), oci.WithCgroup(filepath.Join(n.podCgroup(), id))))
	if err != nil {
		return nil, nil, err
	}
	task, err := c.NewTask(ctx, cio.NullIO, client.WithRuntimePath(below(n.opts.bin, who.shim)))
	return c, task, err
}

func deleteTask(ctx context.Context, c client.Container, task client.Task) error {
	ended, err := task.Wait(ctx)
	if err != nil {
		return err
	}
	if err := task.Kill(ctx, syscall.SIGKILL); err != nil {
		return err
	}
	select {
	case <-ended:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if _, err := task.Delete(ctx); err != nil {
		return err
	}
	return c.Delete(ctx, client.WithSnapshotCleanup)
}
