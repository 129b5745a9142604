package hooks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/rtcontainers/rt/libcontainer/internal/compile"
	"github.com/rtcontainers/rt/libcontainer/internal/launch"
	"github.com/rtcontainers/rt/libcontainer/internal/program/image"
	"golang.org/x/sys/unix"
)

// Result is how a command ended.
type Result struct {
	// Status is its wait(2) status.
	Status unix.WaitStatus
	// Output is the beginning of what it printed, 64 KiB at most.
	Output []byte
	// Late is true if it was killed after its timeout.
	Late bool
}

// Command is a program of the host, with its arguments and streams.
type Command struct {
	compile.Command
	// Input is what it reads on its standard input.
	Input []byte
	// Timeout is how long it may run; 0 means no limit.
	Timeout time.Duration
	// Stdout and Stderr are files to append its output to; "" keeps it for Result.
	Stdout, Stderr string
}

// Execute runs a program of the host, and waits for it; when ctx ends, it kills the
// program. Package os/exec would pass on the descriptors that the caller of rt has open
// without O_CLOEXEC. Execute does not wait for processes that the command leaves behind.
func Execute(ctx context.Context, cmd *Command) (*Result, error) {
	p, output, reported, err := start(cmd)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	defer p.Close()
	end := limit(ctx, p.Pid, cmd.Timeout)
	message, _, err := p.Receive()
	status := launch.Reap(p.Pid)
	late := end()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err == nil {
		r, err := compile.Decode(message)
		if f, failed := r.(compile.RequestFailure); failed {
			err = reported(f)
		}
		if err != nil {
			return nil, err
		}
	}
	text, _ := io.ReadAll(io.NewSectionReader(output, 0, 1<<16))
	return &Result{status, text, late}, nil
}

func start(cmd *Command) (p *launch.Process, output *os.File, reported func(compile.RequestFailure) error, err error) {
	prog, err := compile.CompileCommand(&cmd.Command)
	if err != nil {
		return nil, nil, nil, err
	}
	exe, err := image.Executable(prog)
	if err != nil {
		return nil, nil, nil, err
	}
	defer exe.Close()
	stdin, err := File("stdin")
	if err != nil {
		return nil, nil, nil, err
	}
	defer stdin.Close()
	if _, err := stdin.WriteAt(cmd.Input, 0); err != nil {
		return nil, nil, nil, err
	}
	if output, err = File("output"); err != nil {
		return nil, nil, nil, err
	}
	files := []*os.File{stdin, output, output, nil}
	for i, name := range []string{cmd.Stdout, cmd.Stderr} {
		file, err := AppendTo(name)
		if err != nil {
			output.Close()
			return nil, nil, nil, err
		}
		if file != nil {
			defer file.Close()
			files[i+1] = file
		}
	}
	p, err = launch.Start(&launch.Config{Image: exe, CgroupFD: -1, Files: files, Conversation: compile.CommandConversation})
	if err != nil {
		output.Close()
	}
	reported = func(f compile.RequestFailure) error {
		if what := prog.Failure(image.Index(f.Record), f.Errno, ""); what.Call != "execve" {
			return what
		}
		return failure(cmd, f.Errno)
	}
	return p, output, reported, err
}

// AppendTo opens a file to append to, and makes it if it does not exist; nil for "".
func AppendTo(name string) (*os.File, error) {
	if name == "" {
		return nil, nil
	}
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
}

// File makes a file in memory.
func File(name string) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// limit kills the process group pid after a time, or when ctx ends. Call the function that
// it returns when the process has ended; it tells whether that was the reason.
func limit(ctx context.Context, pid int, timeout time.Duration) (end func() (late bool)) {
	if timeout == 0 && ctx.Done() == nil {
		return func() bool { return false }
	}
	var mu sync.Mutex
	ended, late := false, false
	kill := func() {
		mu.Lock()
		defer mu.Unlock()
		if !ended {
			late = true
			_ = unix.Kill(pid, unix.SIGKILL) // it may not have its own group yet
			_ = unix.Kill(-pid, unix.SIGKILL)
		}
	}
	stop := context.AfterFunc(ctx, kill)
	var timer *time.Timer
	if timeout != 0 {
		timer = time.AfterFunc(timeout, kill)
	}
	return func() bool {
		stop()
		if timer != nil {
			timer.Stop()
		}
		mu.Lock()
		defer mu.Unlock()
		ended = true
		return late
	}
}

// failure says why a command could not be executed.
func failure(cmd *Command, err unix.Errno) error {
	if _, missing := os.Stat(cmd.Path); missing == nil && err == unix.ENOENT {
		return fmt.Errorf("%w: the interpreter of the script, or the loader of the program", err)
	}
	return err
}
