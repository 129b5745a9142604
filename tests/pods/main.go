// Pods measures what pods cost with several shims below one containerd, through the CRI as the
// kubelet does.
//
//	bin/pods/pods [-runs 30] [-pods 1,50,200] [-workers 1,4,8] [-competitors …] [-bar series:who:peer:max …]
//	bin/pods/pods -storm 200 [-competitors …]
//
// All competitors are runtime handlers of the same containerd. In every round each of them starts and
// removes a pod, in a random order, so that what else happens on the machine meets them all alike.
// Ratios are of medians, and their confidence intervals come from resampling whole rounds.
//
// The series are
//
//	run-sandbox, create-container, start-container   the calls that start a pod
//	start   all three, until the container's status is running
//	exec    ExecSync of /bin/true
//	stop, remove   StopPodSandbox and RemovePodSandbox
//	end     both
//
// with the node's network, and with the suffix /cni with a network of the pod's own; task/create,
// task/start, task/end are of a container without a pod, by containerd's own client; rate/N is the
// time of a pod, from its start to its removal, when N workers start and remove pods; cpu/N is the CPU
// time of a pod; memory/N is the memory of a pod's shim and pause container when N pods run, and
// idle/N the CPU time that a pod takes meanwhile.
//
// The benchmark, containerd and all pods live in mount, pid and network namespaces of their own, with
// a /run of their own, and in one cgroup: when the first process of the pid namespace ends, everything
// has ended.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	var usage usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.As(err, &usage):
		fmt.Fprintln(os.Stderr, "pods:", err)
		os.Exit(2)
	case errors.Is(err, errReported):
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "pods:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) >= 2 {
		switch args[0] {
		case stageInit:
			return initialise(args[1], args[2:])
		case stageClean:
			return removeCgroups(args[1])
		}
	}
	inside := len(args) >= 2 && args[0] == stageInside
	dir := ""
	if inside {
		dir, args = args[1], args[2:]
	}
	opts, err := parseOptions(args)
	if err != nil {
		return err
	}
	if !inside {
		return outside(ctx, args)
	}
	w := newWorld(dir)
	if opts.storm > 0 {
		return runStorms(ctx, w, opts)
	}
	return runComparison(ctx, w, opts)
}
