// Package hooks runs the hooks of a container in the runtime's namespaces:
// config.md, "POSIX-platform Hooks".
package hooks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Run runs the hooks of a list in order, in the bundle's directory, with the state
// document on their standard input, and ends with the first that fails. The field
// names the list in errors, such as "hooks.createRuntime".
func Run(field string, list []specs.Hook, bundle string, state []byte) error {
	for i := range list {
		if err := run(&list[i], bundle, state); err != nil {
			return fmt.Errorf("%s[%d] %q: %w", field, i, list[i].Path, err)
		}
	}
	return nil
}

// RunAll runs all hooks of a list, whatever becomes of them, and tells warn
// about those that fail.
func RunAll(field string, list []specs.Hook, bundle string, state []byte, warn func(string)) {
	for i := range list {
		if err := run(&list[i], bundle, state); err != nil && warn != nil {
			warn(fmt.Sprintf("%s[%d] %q: %v", field, i, list[i].Path, err))
		}
	}
}

// outputLimit is how much of what a hook printed goes into its error, in bytes.
const outputLimit = 1024

func run(h *specs.Hook, bundle string, state []byte) error {
	ctx, cancel := context.Background(), func() {}
	if h.Timeout != nil {
		ctx, cancel = context.WithTimeout(ctx, Timeout(h))
	}
	defer cancel()
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, h.Path)
	if len(h.Args) > 0 {
		cmd.Args = h.Args
	}
	if info, err := os.Stat(bundle); err == nil && info.IsDir() { // it may be gone at the end
		cmd.Dir = bundle
	}
	cmd.Env = append([]string{}, h.Env...) // not nil, which would be rt's own
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(state), &output, &output
	// A hook that is late goes with all that it started.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second // for processes that keep its output open
	err := cmd.Run()
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return Late(h, output.Bytes())
	case errors.Is(err, exec.ErrWaitDelay):
		return nil // it has ended well, what it left running has not
	case err != nil:
		return Failed(err, output.Bytes())
	}
	return nil
}

// Timeout is how long a hook may run.
func Timeout(h *specs.Hook) time.Duration { return time.Duration(*h.Timeout) * time.Second }

// Late is the error of a hook that ran longer than its timeout.
func Late(h *specs.Hook, output []byte) error {
	return Failed(fmt.Errorf("killed after its timeout of %d s", *h.Timeout), output)
}

// Failed adds what a hook printed to its error.
func Failed(err error, output []byte) error {
	text := strings.TrimSpace(string(output[:min(len(output), outputLimit)]))
	if text == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, text)
}
