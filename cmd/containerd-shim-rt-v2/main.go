// Command containerd-shim-rt-v2 is rt's shim for containerd, the runtime type
// io.containerd.rt.v2. It makes containers itself, through libcontainer: no
// runtime is executed for any operation.
package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"

	"github.com/containerd/containerd/pkg/shutdown"
	"github.com/containerd/containerd/plugin"
	"github.com/containerd/containerd/runtime/v2/shim"
	"golang.org/x/sys/unix"
)

const runtimeName = "io.containerd.rt.v2"

func main() {
	setVersion()
	if slices.Contains(os.Args[1:], "-info") {
		if err := writeInfo(os.Stdout, os.Stdin); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", runtimeName, err)
			os.Exit(1)
		}
		return
	}
	keepInherited()
	plugin.Register(&plugin.Registration{
		Type:     plugin.TTRPCPlugin,
		ID:       "task",
		Requires: []plugin.Type{plugin.EventPlugin, plugin.InternalPlugin},
		InitFn:   initTaskService,
	})
	shim.RunManager(context.Background(), manager{}, func(c *shim.Config) {
		// It would take the exit statuses of hooks and loggers away from who
		// waits for them.
		c.NoReaper = true
	})
}

// keepInherited keeps what containerd, or who started it, has left open from
// loggers and other programs that the shim starts (CVE-2024-21626). Hooks and
// containers are closed to it by libcontainer.
func keepInherited() {
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		fmt.Fprintf(os.Stderr, "%s: close_range: %v\n", runtimeName, err)
		os.Exit(1)
	}
}

func initTaskService(ic *plugin.InitContext) (any, error) {
	publisher, err := ic.GetByID(plugin.EventPlugin, "publisher")
	if err != nil {
		return nil, err
	}
	end, err := ic.GetByID(plugin.InternalPlugin, "shutdown")
	if err != nil {
		return nil, err
	}
	return newService(ic.Context, publisher.(shim.Publisher), end.(shutdown.Service)), nil
}
