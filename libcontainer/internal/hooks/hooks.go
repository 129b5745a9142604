// Package hooks runs the hooks of a container in the runtime's namespaces:
// config.md, "POSIX-platform Hooks".
package hooks

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/plain"
	"github.com/rtcontainers/rt/libcontainer/internal/compile"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// Run runs the hooks of a list in order, in the bundle's directory, with the state
// document on their standard input, and stops at the first that fails. The field
// names the list in errors, such as "hooks.createRuntime". The container's annotations
// may say where their output goes. A hook is killed when ctx ends.
func Run(ctx context.Context, field string, list []specs.Hook, bundle string, state []byte, annotations map[string]string) error {
	for i := range list {
		if err := run(ctx, &list[i], bundle, state, annotations); err != nil {
			return fmt.Errorf("%s[%d] %q: %w", field, i, list[i].Path, err)
		}
	}
	return nil
}

// RunAll runs all hooks of a list, even if some fail, and tells warn about those.
func RunAll(field string, list []specs.Hook, bundle string, state []byte, annotations map[string]string, warn func(string)) {
	for i := range list {
		if err := run(context.Background(), &list[i], bundle, state, annotations); err != nil && warn != nil {
			warn(fmt.Sprintf("%s[%d] %q: %v", field, i, list[i].Path, err))
		}
	}
}

// outputLimit is how many bytes of a hook's output go into its error.
const outputLimit = 1024

func run(ctx context.Context, h *specs.Hook, bundle string, state []byte, annotations map[string]string) error {
	cmd := &compile.Command{Path: h.Path, Args: h.Args, Env: h.Env}
	if len(cmd.Args) == 0 {
		cmd.Args = []string{h.Path}
	}
	if cmd.Env == nil { // an empty list is empty
		cmd.Env = os.Environ()
	}
	if info, err := os.Stat(bundle); err == nil && info.IsDir() { // it may be gone at the end
		cmd.Dir = bundle
	}
	var timeout time.Duration
	if h.Timeout != nil {
		timeout = Timeout(h)
	}
	result, err := Execute(ctx, &Command{
		Command: *cmd, Input: state, Timeout: timeout,
		Stdout: annotations[spec.AnnotationHooksStdout], Stderr: annotations[spec.AnnotationHooksStderr],
	})
	switch {
	case err != nil:
		return err
	case result.Late:
		return Late(h, result.Output)
	case result.Status != 0:
		return Failed(result.Status, result.Output)
	}
	return nil
}

// Timeout is how long a hook may run.
func Timeout(h *specs.Hook) time.Duration { return time.Duration(*h.Timeout) * time.Second }

// Late is the error of a hook that ran longer than its timeout.
func Late(h *specs.Hook, output []byte) error {
	return withOutput(fmt.Errorf("killed after its timeout of %d s", *h.Timeout), output)
}

// Failed is the error of a hook that did not succeed, by its wait(2) status.
func Failed(ws unix.WaitStatus, output []byte) error {
	if ws.Signaled() {
		return withOutput(fmt.Errorf("killed by signal %v", ws.Signal()), output)
	}
	return withOutput(fmt.Errorf("exit status %d", ws.ExitStatus()), output)
}

// withOutput adds what a hook printed to its error.
func withOutput(err error, output []byte) error {
	text := strings.TrimSpace(string(output[:min(len(output), outputLimit)]))
	if text == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, plain.Text(text))
}
