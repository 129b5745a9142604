package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/rtcontainers/rt/tests/bench/procs"
)

func memorySeries(pods int) string { return fmt.Sprintf("memory/%d", pods) }

// memory is the PSS of processes of some pods, in kB.
type memory struct {
	Pods int
	// Holders hold the pods: pause containers, or what a shim has started in their place.
	Shims, Holders, Containers int
	// Processes are those of Shims and Holders.
	Processes int
}

// measureMemory starts ever more pods of a competitor, and reads the memory of their processes.
func (c *comparison) measureMemory(ctx context.Context) error {
	return c.inTurn(ctx, func(who competitor) error {
		if err := c.awaitEnd(ctx); err != nil {
			return err
		}
		var pods []*pod
		for _, n := range c.opts.pods {
			more, err := c.startMany(ctx, who, n-len(pods), hostNetwork)
			pods = append(pods, more...)
			if err != nil {
				return err
			}
			time.Sleep(c.opts.settle)
			m, err := c.memoryOf(ctx, pods)
			if err != nil {
				return err
			}
			c.result.addMemory(who, m)
			if err := c.measureIdle(ctx, who, len(pods)); err != nil {
				return err
			}
		}
		return c.endMany(ctx, pods, hostNetwork)
	})
}

func idleSeries(pods int) string { return fmt.Sprintf("idle/%d", pods) }

// idle is how long pods that do nothing are watched. containerd asks for their statistics every second.
const idle = 5 * time.Second

// measureIdle measures the CPU time that a pod takes in a second while nothing happens.
func (c *comparison) measureIdle(ctx context.Context, who competitor, pods int) error {
	before, err := c.cpuTime()
	if err != nil {
		return err
	}
	began := time.Now()
	select {
	case <-time.After(idle):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	took := time.Since(began).Seconds()
	after, err := c.cpuTime()
	c.result.add(idleSeries(pods), who, (after-before).Seconds()*1e6/took/float64(pods))
	return err
}

// awaitEnd waits until no shim of another competitor is left: one for a whole node lives on for some
// seconds after its last pod.
func (n *node) awaitEnd(ctx context.Context) error {
	for end := time.Now().Add(n.opts.patience); ; time.Sleep(100 * time.Millisecond) {
		left, err := n.podProcesses()
		if err != nil || len(left) == 0 {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if time.Now().After(end) {
			return fmt.Errorf("%v after the last pod was removed there still are processes: %v", n.opts.patience, slices.Sorted(maps.Keys(left)))
		}
	}
}

// manyWorkers is how many pods are started or ended at the same time for the memory.
const manyWorkers = 8

func (n *node) startMany(ctx context.Context, who competitor, number int, net network) ([]*pod, error) {
	pods := make([]*pod, number)
	return pods, together(number, manyWorkers, func(i int) (err error) {
		pods[i], _, err = n.start(ctx, who, net)
		return err
	})
}

func (n *node) endMany(ctx context.Context, pods []*pod, net network) error {
	return together(len(pods), manyWorkers, func(i int) error {
		_, err := n.end(ctx, pods[i], net)
		return err
	})
}

// isSameProgram tells whether two processes execute the same file.
func isSameProgram(pid, other int) bool {
	file, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return false
	}
	others, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", other))
	return err == nil && file == others
}

// memoryOf sorts the processes of all pods that run, which are these: containers' first processes, the
// shims, whose parent is the first process of the pid namespace, and below these what holds the pods.
// Containerd itself and the null shim are none of them.
func (n *node) memoryOf(ctx context.Context, pods []*pod) (*memory, error) {
	all, err := n.podProcesses()
	if err != nil {
		return nil, err
	}
	var containers, shims, holders []int
	for _, p := range pods {
		pid, err := n.containerPid(ctx, p)
		if err != nil {
			return nil, err
		}
		if all[pid] { // those of the null shim are not
			containers = append(containers, pid)
		}
		delete(all, pid)
	}
	for pid := range all {
		parent, err := procs.Parent(pid)
		switch {
		case err != nil:
			return nil, err
		case parent == 1, isSameProgram(pid, parent): // a guard has a worker
			shims = append(shims, pid)
		default:
			holders = append(holders, pid)
		}
	}
	m := &memory{Pods: len(pods), Processes: len(shims) + len(holders)}
	for _, part := range []struct {
		to   *int
		pids []int
	}{{&m.Containers, containers}, {&m.Shims, shims}, {&m.Holders, holders}} {
		h, err := procs.Holds(part.pids)
		if err != nil {
			return nil, err
		}
		*part.to = h.PSS
	}
	return m, nil
}

// podProcesses are all processes of this pid namespace that the benchmark has not started itself: its
// children are containerd and the null shim, and shims are children of the namespace's first process.
func (n *node) podProcesses() (map[int]bool, error) {
	all, err := procs.Descendants(1)
	if err != nil {
		return nil, err
	}
	own, err := procs.Descendants(os.Getpid())
	if err != nil {
		return nil, err
	}
	for pid := range own {
		delete(all, pid)
	}
	delete(all, os.Getpid())
	return all, nil
}
