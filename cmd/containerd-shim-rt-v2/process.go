package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	tasktypes "github.com/containerd/containerd/api/types/task"
	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// stage is how far a process has come.
type stage int

const (
	prepared stage = iota // it waits for its start; that of a created container exists
	starting
	running
	stopped // it has ended, or it will never run
)

// process is the first process of a container, or one that was executed in it.
type process struct {
	id    string // of the exec, "" for the first one
	stdio stdio
	spec  *specs.Process // of an exec

	mu      sync.Mutex
	stage   stage
	abort   context.CancelCauseFunc // of an exec that is being started
	streams *streams
	pid     int
	pidfd   *os.File
	// statusOf tells how a process ended that is another one's child: a worker that
	// crashed had made it.
	statusOf func(pid int) (unix.WaitStatus, error)
	// size of the terminal and end of the input, of a process that has none yet
	width, height uint32
	noInput       bool
	status        uint32
	endedAt       time.Time

	// told is closed when there is no more to tell of the process: neither its end
	// nor that it could not be started.
	told chan struct{}
	once sync.Once // closes told
}

func newProcess(id string, s stdio) *process {
	return &process{id: id, stdio: s, told: make(chan struct{})}
}

// at is how far the process has come.
func (p *process) at() stage {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stage
}

// move takes the process from one stage to the next, and tells whether it was there.
func (p *process) move(from, to stage) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stage != from {
		return false
	}
	p.stage = to
	if to == running && p.streams != nil && !p.noInput {
		p.streams.holdInput(p.stdio.stdin)
	}
	return true
}

// takePidfd takes a pidfd over while the process is being made.
func (p *process) takePidfd(f *os.File) error {
	pidfd, err := pollable(f)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pidfd = pidfd
	return nil
}

// abandon gives back what a process would have had that could not be made.
func (p *process) abandon(st *streams) {
	p.mu.Lock()
	_ = p.pidfd.Close() // nil if it did not come so far
	p.mu.Unlock()
	st.close()
}

// begin is told that there is a process now.
func (p *process) begin(pid int, st *streams) {
	st.started()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pid, p.streams, p.abort = pid, st, nil
	if p.width != 0 {
		_ = st.resize(p.width, p.height)
	}
}

// keepStreams lets the guard know of the streams that there are now.
func (p *process) keepStreams(k *keeper, name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.streams != nil {
		p.streams.keepIn(k, name)
	}
}

// is tells whether it has this pid, and has not ended.
func (p *process) is(pid int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pid == pid && p.stage != stopped
}

// hold is told that there is a process that runs, and has no streams.
func (p *process) hold(pid int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pid, p.stage = pid, running
}

// noProcess is the status of a process that could not be started.
const noProcess = 255

// fail is told that there will be no process.
func (p *process) fail() {
	p.end(noProcess, time.Now())
	p.settle()
}

// end records the end. Who waits for the process hears of it when it is settled.
func (p *process) end(status uint32, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stage, p.status, p.endedAt = stopped, status, at
	_ = p.pidfd.Close()
}

// ended tells whether the process has ended, which need not be recorded yet.
func (p *process) ended() bool {
	conn, err := p.pidfd.SyscallConn()
	if err != nil {
		return true
	}
	over := false
	err = conn.Control(func(pidfd uintptr) { over = hasEnded(pidfd) })
	return err != nil || over
}

// hasEnded tells whether the process of a pidfd has ended.
func hasEnded(pidfd uintptr) bool {
	n, _ := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, 0)
	return n > 0
}

// settle says that all has been told.
func (p *process) settle() { p.once.Do(func() { close(p.told) }) }

// reap waits for the end of the process, which is a child, without an OS thread
// that sits on it.
func (p *process) reap() (unix.WaitStatus, error) {
	conn, err := p.pidfd.SyscallConn()
	if err != nil {
		return 0, err
	}
	if p.statusOf != nil {
		if err := conn.Read(hasEnded); err != nil {
			return 0, err
		}
		return p.statusOf(p.pid)
	}
	var status unix.WaitStatus
	var waitErr error
	err = conn.Read(func(uintptr) bool {
		for {
			got, err := unix.Wait4(p.pid, &status, unix.WNOHANG, nil)
			if err != unix.EINTR {
				waitErr = err
				return err != nil || got == p.pid
			}
		}
	})
	if err == nil {
		err = os.NewSyscallError("wait4", waitErr)
	}
	return status, err
}

// pollable is a descriptor of its own of a pidfd or a terminal, that does not block.
// The other one is closed.
func pollable(f *os.File) (*os.File, error) {
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl(F_DUPFD_CLOEXEC)", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl(F_SETFL)", err)
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// exitCode is the status in the form of shells.
func exitCode(s unix.WaitStatus) uint32 {
	if s.Signaled() {
		return 128 + uint32(s.Signal())
	}
	return uint32(s.ExitStatus())
}

// wait waits until all has been told of the process.
func (p *process) wait(ctx context.Context) error {
	select {
	case <-p.told:
	case <-ctx.Done():
		select {
		case <-p.told: // also when nobody waits for the answer any more
		default:
			return ctx.Err()
		}
	}
	return nil
}

// exit is the process's pid, status and time of its end.
func (p *process) exit() (pid, status uint32, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return uint32(p.pid), p.status, p.endedAt
}

// ending is how the process ended; nil if it has not.
func (p *process) ending() *end {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stage != stopped {
		return nil
	}
	return &end{uint32(p.pid), p.status, p.endedAt}
}

// state is the process's status for containerd, paused aside.
func (p *process) state() tasktypes.Status {
	switch p.at() {
	case running:
		return tasktypes.Status_RUNNING
	case stopped:
		return tasktypes.Status_STOPPED
	}
	return tasktypes.Status_CREATED
}

// signal sends a signal to the process. SIGKILL also ends the start of an exec.
func (p *process) signal(sig unix.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.stage == stopped:
		return errFinished
	case p.abort != nil && sig == unix.SIGKILL:
		p.abort(fmt.Errorf("exec %q was killed while it was started: %w", p.id, errdefs.ErrFailedPrecondition))
		if p.pidfd == nil {
			return nil
		}
	case p.pid == 0:
		return fmt.Errorf("process %q has not been started: %w", p.id, errdefs.ErrFailedPrecondition)
	}
	conn, err := p.pidfd.SyscallConn()
	if err != nil {
		return errFinished
	}
	var killErr error
	if err := conn.Control(func(fd uintptr) { killErr = unix.PidfdSendSignal(int(fd), sig, nil, 0) }); err != nil {
		return errFinished // the descriptor is closed when it has ended
	}
	if killErr == unix.ESRCH {
		return errFinished
	}
	return os.NewSyscallError("pidfd_send_signal", killErr)
}

var errFinished = fmt.Errorf("process already finished: %w", errdefs.ErrNotFound)

func (p *process) closeStreams() {
	p.mu.Lock()
	st := p.streams
	p.streams = nil
	p.mu.Unlock()
	if st != nil {
		st.close()
	}
}

func (p *process) resize(width, height uint32) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.streams == nil {
		p.width, p.height = width, height
		return nil
	}
	return p.streams.resize(width, height)
}

func (p *process) closeInput() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noInput = true
	if p.streams != nil {
		p.streams.closeInput()
	}
}

// drain lets the client, and the copy of a terminal, come to the end of what the
// process has written.
func (p *process) drain() {
	p.mu.Lock()
	st := p.streams // nil after the removal
	p.mu.Unlock()
	if st != nil {
		st.drain()
		st.ended()
	}
}
