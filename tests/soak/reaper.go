package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Soak is two processes. The inner one does the work, in a mount namespace of its own. The outer one
// is what containerd's shim and conmon are for an engine: processes whose runtime has ended become its
// children, and it reaps them at once. (A process of exec that nobody reaps keeps its pid namespace,
// and so the container's first process, from ending.) It tells the inner one how they ended.

// outer returns the exit status of the inner process.
func outer() (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return 0, os.NewSyscallError("prctl", err)
	}
	from, to, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	// The signal at the parent's death comes when the thread ends that started the child.
	runtime.LockOSThread()
	inner := exec.Command(self, append([]string{"-inside"}, os.Args[1:]...)...)
	inner.Stdin, inner.Stdout, inner.Stderr = os.Stdin, os.Stdout, os.Stderr
	inner.ExtraFiles = []*os.File{from}
	inner.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGTERM}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	if err := inner.Start(); err != nil {
		return 0, fmt.Errorf("a mount namespace of its own: %w", err)
	}
	from.Close()
	go func() {
		for s := range signals {
			// A ^C reaches the inner one by itself.
			if s == syscall.SIGTERM {
				_ = inner.Process.Signal(s)
			}
		}
	}()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return 0, os.NewSyscallError("wait4", err)
		case pid != inner.Process.Pid:
			fmt.Fprintln(to, pid, uint32(status))
		case status.Exited():
			return status.ExitStatus(), nil
		default:
			return 0, fmt.Errorf("the inner process ended by %v", status.Signal())
		}
	}
}

// reaped are the processes that the outer process has reaped, newest last.
type reaped struct {
	mutex sync.Mutex
	of    map[int]reapedProcess
	count int
}

type reapedProcess struct {
	status syscall.WaitStatus
	// number tells processes apart that had the same pid.
	number int
}

// listen takes what the outer process tells.
func (r *reaped) listen(from io.Reader) {
	for scanner := bufio.NewScanner(from); scanner.Scan(); {
		var pid int
		var status uint32
		if _, err := fmt.Sscan(scanner.Text(), &pid, &status); err != nil {
			continue
		}
		r.mutex.Lock()
		r.count++
		r.of[pid] = reapedProcess{syscall.WaitStatus(status), r.count}
		r.mutex.Unlock()
	}
}

// now is a number that is greater than those of all processes so far.
func (r *reaped) now() int {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.count
}

// await waits, but not long, for a process that ended after a number.
func (r *reaped) await(pid, after int) (syscall.WaitStatus, bool) {
	for end := time.Now().Add(settle); time.Now().Before(end); time.Sleep(300 * time.Microsecond) {
		r.mutex.Lock()
		found, ok := r.of[pid]
		r.mutex.Unlock()
		if ok && found.number > after {
			return found.status, true
		}
	}
	return 0, false
}
