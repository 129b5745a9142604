// Command containerd-shim-rt-v2 is rt's shim for containerd, the runtime type
// io.containerd.rt.v2. It makes containers itself, through libcontainer: no
// runtime is executed for any operation.
package main

import (
	"context"
	"fmt"
	"math"
	"os"

	"github.com/containerd/containerd/v2/pkg/shim"
	"github.com/containerd/containerd/v2/pkg/shutdown"
	"github.com/containerd/containerd/v2/plugins"
	"github.com/containerd/plugin"
	"github.com/containerd/plugin/registry"
	"golang.org/x/sys/unix"
)

const runtimeName = "io.containerd.rt.v2"

func main() {
	setVersion()
	if os.Args[len(os.Args)-1] == "start" {
		fatal(runStart(os.Args[1:], os.Stdin, os.Stdout))
		return
	}
	keepInherited()
	if address := os.Getenv(sharedEnv); address != "" && os.Getenv(workerEnv) == "" {
		fatal(runGuard(address))
		return
	}
	registry.Register(&plugin.Registration{
		Type:     plugins.TTRPCPlugin,
		ID:       "task",
		Requires: []plugin.Type{plugins.EventPlugin, plugins.InternalPlugin},
		InitFn:   initTaskService,
	})
	shim.RunShim(context.Background(), manager{}, func(c *shim.Config) {
		// It would take the exit statuses of hooks and loggers away from who
		// waits for them.
		c.NoReaper = true
		c.NoSetupLogger = os.Getenv(sharedEnv) != ""
	})
}

// keepInherited keeps what containerd, or who started it, has left open from
// loggers and other programs that the shim starts (CVE-2024-21626). Hooks and
// containers are closed to it by libcontainer.
func keepInherited() {
	fatal(os.NewSyscallError("close_range", unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)))
}

// fatal ends the shim if there is an error.
func fatal(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", runtimeName, err)
		os.Exit(1)
	}
}

func initTaskService(ic *plugin.InitContext) (any, error) {
	publisher, err := ic.GetByID(plugins.EventPlugin, "publisher")
	if err != nil {
		return nil, err
	}
	end, err := ic.GetByID(plugins.InternalPlugin, "shutdown")
	if err != nil {
		return nil, err
	}
	return newService(ic.Context, publisher.(shim.Publisher), end.(shutdown.Service)), nil
}
