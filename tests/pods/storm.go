package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// runStorms starts many pods of each competitor at once, while containerd is killed and restarted.
func runStorms(ctx context.Context, w *world, opts *options) (err error) {
	n, err := newNode(ctx, w, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	// What remains of the first pod of all, such as directories, is no leftover.
	for _, who := range opts.competitors {
		p, _, err := n.start(ctx, who, podNetwork)
		if err == nil {
			_, err = n.end(ctx, p, podNetwork)
		}
		if err != nil {
			return fmt.Errorf("%s: a first pod: %w\n%s", who.name, err, n.complaints())
		}
	}
	time.Sleep(settled)
	var failed []error
	for _, who := range opts.competitors {
		began := time.Now()
		if err := n.storm(ctx, who); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w\n%s", who.name, err, n.complaints()))
			continue
		}
		fmt.Printf("%s: %d pods at once survive containerd, and nothing of them is left (%v)\n", who.title, opts.storm, time.Since(began).Round(time.Second))
	}
	return errors.Join(failed...)
}

// settled is how long shims and containerd have, after the last pod has been removed, to end what
// they do besides.
const settled = 15 * time.Second

func (n *node) storm(ctx context.Context, who competitor) error {
	before, err := n.remains()
	if err != nil {
		return err
	}
	pods := make([]*pod, n.opts.storm)
	began := time.Now()
	err = n.all("start", func(i int) (err error) {
		pods[i], _, err = n.start(ctx, who, podNetwork)
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "pods: %s: %d pods run after %v\n", who.name, len(pods), time.Since(began).Round(time.Millisecond))
	check := func(i int) error {
		err := n.checkReady(ctx, pods[i])
		if err == nil && i%10 == 0 {
			err = n.exec(ctx, pods[i])
		}
		return err
	}
	if err := n.all("check", check); err != nil {
		return err
	}
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		if err := n.restart(ctx, signal); err != nil {
			return err
		}
		if err := n.all(fmt.Sprintf("after containerd was ended by signal %d (%v), check", int(signal), signal), check); err != nil {
			return err
		}
	}
	err = n.all("end", func(i int) error {
		_, err := n.end(ctx, pods[i], podNetwork)
		return err
	})
	if err != nil {
		return err
	}
	return n.checkNothingLeft(ctx, before)
}

// all calls a function for all pods at once. The error has the first ones of them only.
func (n *node) all(what string, do func(i int) error) error {
	err := together(n.opts.storm, n.opts.storm, do)
	if err == nil {
		return nil
	}
	const most = 5
	lines := strings.Split(err.Error(), "\n")
	if len(lines) > most {
		lines = append(lines[:most], "…")
	}
	return fmt.Errorf("%s: %s", what, strings.Join(lines, "\n"))
}

// checkNothingLeft waits until no more is there than before.
func (n *node) checkNothingLeft(ctx context.Context, before map[string]bool) error {
	var left []string
	for end := time.Now().Add(settled); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		now, err := n.remains()
		if err != nil {
			return err
		}
		if left = added(before, now); len(left) == 0 {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return fmt.Errorf("left behind:\n%s", strings.Join(left, "\n"))
}
