package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// output is what a test program did.
type output struct {
	stdout, stderr []byte
	status         int // the exit status, -1 after a signal
	timedOut       bool
	// tries is how often the program ran, of which this is the last time.
	tries int
	// left tells what the program left to clean up.
	left leftovers
}

// execute runs a program of the suite. The error is one of the runner, not of the program.
func (s *suite) execute(ctx context.Context, program string, opts options) (out output, err error) {
	scratch, err := newScratch(s, opts.runtime)
	if err != nil {
		return output{}, err
	}
	defer func() {
		var cleanErr error
		out.left, cleanErr = scratch.remove()
		err = errors.Join(err, cleanErr)
	}()
	ctx, cancel := context.WithTimeout(ctx, opts.timeout)
	defer cancel()
	return runProgram(ctx, filepath.Join(s.dir, program), scratch)
}

func runProgram(ctx context.Context, path string, scratch *scratch) (output, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, path)
	cmd.Dir = scratch.work()
	cmd.Env = append(os.Environ(), "RUNTIME="+scratch.runtime(), scratch.mark())
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	// A process that the program left may still hold the pipes.
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	out := output{stdout: stdout.Bytes(), stderr: stderr.Bytes()}
	out.timedOut = errors.Is(ctx.Err(), context.DeadlineExceeded)
	if cmd.ProcessState == nil {
		return out, err // it did not start
	}
	out.status = cmd.ProcessState.ExitCode()
	return out, nil
}
