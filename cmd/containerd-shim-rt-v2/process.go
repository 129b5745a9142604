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

// process is the first process of a container, or one that was executed in it.
type process struct {
	id    string // of the exec, "" for the first one
	stdio stdio
	spec  *specs.Process // of an exec

	mu      sync.Mutex
	streams *streams
	pid     int
	pidfd   *os.File
	asked   bool // to start
	// size of the terminal and end of the input, of a process that has none yet
	width, height uint32
	noInput       bool
	started       bool
	status        uint32
	endedAt       time.Time

	// ended is closed when the process has ended and its status is known.
	ended chan struct{}
	// announced is closed when its start has been published, or failed: the
	// news of its end come after that.
	announced chan struct{}
	once      sync.Once // closes announced
	ending    sync.Once // closes ended
}

func newProcess(id string, s stdio) *process {
	return &process{id: id, stdio: s, ended: make(chan struct{}), announced: make(chan struct{})}
}

// hasEnded tells whether the process has run and ended.
func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// runs tells whether there is a process to signal.
func (p *process) runs() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pid != 0 && !p.hasEnded()
}

// takePidfd takes a pidfd over while the process is being made.
func (p *process) takePidfd(f *os.File) (err error) {
	p.pidfd, err = pollable(f)
	return err
}

// abandon gives back what a process would have had that could not be made.
func (p *process) abandon(st *streams) {
	_ = p.pidfd.Close() // nil if it did not come so far
	st.close()
}

// begin is told that there is a process now.
func (p *process) begin(pid int, st *streams) {
	st.started()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pid, p.streams = pid, st
	if p.width != 0 {
		_ = st.resize(p.width, p.height)
	}
	if p.id != "" {
		p.runsNow()
	}
}

// runsNow is told that the process has been started. The caller holds the lock.
func (p *process) runsNow() {
	p.started = true
	if p.streams != nil && !p.noInput {
		p.streams.holdInput(p.stdio.stdin)
	}
}

// fail is told that there will be no process, if there has been none.
func (p *process) fail() {
	p.ending.Do(func() {
		p.mu.Lock()
		p.status, p.endedAt = noProcess, time.Now()
		p.mu.Unlock()
		close(p.ended)
	})
}

// noProcess is the status of a process that could not be started.
const noProcess = 255

// reap waits for the end of the process, which is a child, without an OS thread
// that sits on it.
func (p *process) reap() (unix.WaitStatus, error) {
	conn, err := p.pidfd.SyscallConn()
	if err != nil {
		return 0, err
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

// finish records the end. Who waits for it hears of it after tell.
func (p *process) finish(code uint32, tell func()) {
	p.mu.Lock()
	p.status, p.endedAt = code, time.Now()
	st := p.streams
	p.pidfd.Close()
	p.mu.Unlock()
	if st != nil {
		st.ended()
	}
	tell()
	p.ending.Do(func() { close(p.ended) })
}

// wait waits for the end.
func (p *process) wait(ctx context.Context) error {
	select {
	case <-p.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// exit is the process's pid, status and time of its end.
func (p *process) exit() (pid, status uint32, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return uint32(p.pid), p.status, p.endedAt
}

// state is the process's status for containerd, paused aside.
func (p *process) state() tasktypes.Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.hasEnded():
		return tasktypes.Status_STOPPED
	case p.started:
		return tasktypes.Status_RUNNING
	}
	return tasktypes.Status_CREATED
}

// signal sends a signal to the process.
func (p *process) signal(sig unix.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.hasEnded():
		return fmt.Errorf("process already finished: %w", errdefs.ErrNotFound)
	case p.pid == 0:
		return fmt.Errorf("process %q has not been started: %w", p.id, errdefs.ErrFailedPrecondition)
	}
	conn, err := p.pidfd.SyscallConn()
	if err != nil {
		return fmt.Errorf("process already finished: %w", errdefs.ErrNotFound)
	}
	var killErr error
	if err := conn.Control(func(fd uintptr) { killErr = unix.PidfdSendSignal(int(fd), sig, nil, 0) }); err != nil {
		killErr = unix.ESRCH // the descriptor is closed when it has ended
	}
	if killErr == unix.ESRCH {
		return fmt.Errorf("process already finished: %w", errdefs.ErrNotFound)
	}
	return os.NewSyscallError("pidfd_send_signal", killErr)
}

func (p *process) closeStreams() {
	p.mu.Lock()
	st := p.streams
	p.streams = nil
	p.mu.Unlock()
	if st != nil {
		st.close()
	}
}

// ask notes that the process is being started. It is false the second time.
func (p *process) ask() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := !p.asked
	p.asked = true
	return first
}

// awaitAnnounced waits until the start is known, if there is one.
func (p *process) awaitAnnounced() {
	p.mu.Lock()
	asked := p.asked
	p.mu.Unlock()
	if asked {
		<-p.announced
	}
}

// announce lets the news of the process's end follow those of its start.
func (p *process) announce() { p.once.Do(func() { close(p.announced) }) }

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

func (p *process) drain() {
	if st := p.ownStreams(); st != nil {
		st.drain()
	}
}

// ownStreams are nil before the start of an exec, and after the removal.
func (p *process) ownStreams() *streams {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.streams
}
