// Nullshim is a shim for containerd that makes no containers: it answers the task API, with the pid
// of one process for all. What a pod costs with it is what containerd itself costs.
//
//	nullshim SOCKET
//
// One process serves all pods. ../c/start.c is the program that containerd executes for each.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/containerd/ttrpc"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: nullshim SOCKET")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "nullshim:", err)
		os.Exit(1)
	}
}

func run(socket string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	// The process whose pid all containers have.
	sleeper := exec.CommandContext(ctx, "sleep", "infinity")
	sleeper.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := sleeper.Start(); err != nil {
		return err
	}
	defer sleeper.Wait()
	defer stop()
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	server, err := ttrpc.NewServer()
	if err != nil {
		return err
	}
	newShim(sleeper.Process.Pid).register(server)
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	if err := server.Serve(ctx, listener); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}
