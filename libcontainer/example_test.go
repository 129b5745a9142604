package libcontainer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/rtcontainers/rt/libcontainer"
	"github.com/rtcontainers/rt/spec"
)

// Runs a container from a Go program that has no hook for it in its main: here,
// from the binary of this test. It needs root and busybox.
func ExampleRun() {
	bundle, err := makeBundle("echo", "Hello from a container.")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(bundle)

	c, process, err := libcontainer.Run(context.Background(), libcontainer.Options{
		Root: filepath.Join(bundle, "state"), ID: "example", Bundle: bundle, Stdout: os.Stdout, Stderr: os.Stderr,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	status, err := process.Wait(context.Background())
	fmt.Println("exit status", status.ExitStatus(), err)
	if err := c.Delete(true, nil); err != nil {
		fmt.Println(err)
	}
	// Output:
	// Hello from a container.
	// exit status 0 <nil>
}

// makeBundle makes a directory with a root file system and a config.json.
func makeBundle(args ...string) (string, error) {
	dir, err := os.MkdirTemp("", "bundle-")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "rootfs", "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", err
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return "", err
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(bin, args[0]), program, 0o755); err != nil {
		return "", err
	}
	s := spec.Default()
	s.Process.Terminal = false
	s.Process.Args = args
	config, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, spec.ConfigName), config, 0o644)
}
