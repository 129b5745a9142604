// Package launch starts programs and talks with them. It knows nothing of config.json;
// others serve the programs' requests.
package launch

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/rtcontainers/rt/internal/defence"
	"golang.org/x/sys/unix"
)

// Config says how to start a program.
type Config struct {
	// Image is the executable.
	Image *os.File
	// CloneFlags make the new namespaces.
	CloneFlags uint64
	// CgroupFD is a cgroup v2 directory in which the process is born
	// (CLONE_INTO_CGROUP), or -1.
	CgroupFD int
	// Files are the program's descriptors from 0 on. Leave entry Conversation nil: Start
	// puts the socket there.
	Files []*os.File
	// Conversation is the place of the socket in Files.
	Conversation int
	// AmbientCaps survive the program's own execve.
	AmbientCaps []uintptr
}

// Process is a started program.
type Process struct {
	Conversation
	Pid   int
	PidFD int
	// leftAlone is true if it did not end in time after SIGKILL. ended is its status if it
	// did: its pid may be another child's then.
	leftAlone bool
	ended     *unix.WaitStatus
	// Image is the executable that it runs until it becomes the user's program.
	Image Image
}

// Image identifies the executable of a program: no other file has the same numbers
// while a process runs it.
type Image struct{ Device, Inode uint64 }

// Runs tells whether a process runs the image: /proc/PID/exe, proc(5). The error
// is EACCES where the caller may not look.
func (i Image) Runs(pid int) (bool, error) {
	var st unix.Stat_t
	err := unix.Stat("/proc/"+strconv.Itoa(pid)+"/exe", &st)
	if err == unix.ENOENT || err == unix.ESRCH {
		return false, nil
	}
	return err == nil && Image{st.Dev, st.Ino} == i, err
}

// Conversation is the socket between a program and the process that started it, or lets it
// continue.
type Conversation struct {
	fd int
	// pid is the program, if it is known.
	pid int
	// Unread is true if the program has ended without reading all that was sent to it.
	Unread bool
	// Frozen returns the cgroup in which a process is frozen, or "". It may be nil.
	Frozen func(pid int) string
}

// ErrNoRoom is the error of a process that cannot be started because there are too many.
var ErrNoRoom = errors.New("the caller's RLIMIT_NPROC (ulimit -u) or the limit of a cgroup (pids.max) leaves no room for a process")

// Start clones and executes the program. The caller closes the Process.
func Start(cfg *Config) (*Process, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	defer unix.Close(pair[1])
	files := make([]uintptr, len(cfg.Files), len(cfg.Files)+1)
	for i, f := range cfg.Files {
		if i == cfg.Conversation {
			files[i] = uintptr(pair[1])
			continue
		}
		files[i] = f.Fd()
	}
	// The image is one of the files, too: the child may need its number for another of
	// them.
	exe := "/proc/self/fd/" + strconv.Itoa(len(files))
	files = append(files, cfg.Image.Fd())
	var st unix.Stat_t
	if err := unix.Fstat(int(cfg.Image.Fd()), &st); err != nil {
		unix.Close(pair[0])
		return nil, os.NewSyscallError("fstat", err)
	}
	pidfd := -1
	attr := &syscall.ProcAttr{
		Env:   []string{},
		Files: files,
		Sys: &syscall.SysProcAttr{
			Cloneflags:  uintptr(cfg.CloneFlags),
			PidFD:       &pidfd,
			AmbientCaps: cfg.AmbientCaps,
		},
	}
	if cfg.CgroupFD >= 0 {
		attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, cfg.CgroupFD
	}
	pid, err := syscall.ForkExec(exe, []string{"rt-init"}, attr)
	runtime.KeepAlive(cfg)
	if err == unix.EAGAIN {
		err = fmt.Errorf("%w: %w", ErrNoRoom, err)
	}
	if err != nil {
		unix.Close(pair[0])
		return nil, fmt.Errorf("start the init program (clone, execve): %w", err)
	}
	p := &Process{Conversation: Conversation{fd: pair[0], pid: pid}, Pid: pid, PidFD: pidfd, Image: Image{st.Dev, st.Ino}}
	p.watch()
	return p, nil
}

// Receive waits for the program's next message; a file may come with it, otherwise the
// file is nil. io.EOF means that the program has ended, or is the user's program now.
func (c *Conversation) Receive() (message []byte, file *os.File, err error) {
	buf := make([]byte, 512)
	oob := make([]byte, unix.CmsgSpace(4))
	var stopped silence
	for {
		n, oobn, _, _, err := unix.Recvmsg(c.fd, buf, oob, unix.MSG_CMSG_CLOEXEC)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.ECONNRESET:
			// The program ended before it read an answer. Its last message, which the kernel
			// keeps back for this error, can still be read.
			c.Unread = true
			continue
		case err == unix.EAGAIN: // nothing for a second
			if err := stopped.look(c.pid, c.Frozen); err != nil {
				return nil, nil, err
			}
			continue
		case err == nil && n == 0:
			return nil, nil, io.EOF
		case err != nil:
			return nil, nil, os.NewSyscallError("recvmsg", err)
		}
		file, err := fileOf(oob[:oobn])
		return buf[:n], file, err
	}
}

// Waiting tells whether a message waits to be received, or the end.
func (c *Conversation) Waiting() bool {
	fds := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}}
	n, _ := unix.Poll(fds, 0)
	return n > 0
}

// fileOf is the file of a control message: SCM_RIGHTS, unix(7).
func fileOf(oob []byte) (file *os.File, err error) {
	controls, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	for _, c := range controls {
		fds, err := unix.ParseUnixRights(&c)
		if err != nil {
			return nil, err
		}
		for _, fd := range fds {
			file = os.NewFile(uintptr(fd), "from the init program")
		}
	}
	return file, nil
}

// ErrGone means that the program has ended: Receive reports that, too, and its status says
// why. An EPIPE of another peer is different.
var ErrGone = errors.New("the init program is gone")

// Reply lets the program continue.
func (c *Conversation) Reply() error { return c.Send([]byte{1}) }

// Send sends a message with descriptors to the program.
func (c *Conversation) Send(message []byte, fds ...int) error {
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	for {
		err := unix.Sendmsg(c.fd, message, rights, nil, unix.MSG_NOSIGNAL)
		switch err {
		case unix.EINTR:
		case unix.EPIPE, unix.ECONNRESET:
			return ErrGone
		default:
			return os.NewSyscallError("sendmsg", err)
		}
	}
}

// Close ends the conversation.
func (c *Conversation) Close() { unix.Close(c.fd) }

// Adopt replaces the process by its child, which continues with the program. rt does not
// trust the program: its word could make rt signal, limit and wait for any process. The
// pid must be that of a child of this process that runs the program's image, which no
// other container's process does.
func (p *Process) Adopt(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return os.NewSyscallError("pidfd_open", err)
	}
	if err := p.checkChild(pid, fd); err != nil {
		unix.Close(fd)
		return err
	}
	Reap(p.Pid)
	unix.Close(p.PidFD)
	p.Pid, p.PidFD, p.Conversation.pid = pid, fd, pid
	return nil
}

func (p *Process) checkChild(pid, pidfd int) error {
	if defence.Off(defence.OwnChild) {
		return nil
	}
	const options = unix.WEXITED | unix.WNOHANG | unix.WNOWAIT
	if err := unix.Waitid(unix.P_PIDFD, pidfd, nil, options, nil); err != nil {
		return fmt.Errorf("the init program named process %d, which is not a child of rt: waitid: %w", pid, err)
	}
	runs, err := p.Image.Runs(pid)
	if !runs && err != unix.EACCES { // a user may not look at a child in every user namespace
		return fmt.Errorf("the init program named process %d, which does not run it", pid)
	}
	return nil
}

// Ended tells whether the process has ended.
func (p *Process) Ended() bool {
	fds := []unix.PollFd{{Fd: int32(p.PidFD), Events: unix.POLLIN}}
	n, _ := unix.Poll(fds, 0)
	return n > 0
}

// Kill kills the process and waits for it, but not for ever: in a frozen cgroup of v1 the
// process ends only after a thaw.
func (p *Process) Kill() unix.WaitStatus {
	const patience = 5000 // ms
	if p.leftAlone {
		return 0
	}
	if p.ended != nil {
		return *p.ended
	}
	_ = unix.PidfdSendSignal(p.PidFD, unix.SIGKILL, nil, 0)
	fds := []unix.PollFd{{Fd: int32(p.PidFD), Events: unix.POLLIN}}
	for {
		if n, err := unix.Poll(fds, patience); err != unix.EINTR {
			if p.leftAlone = err == nil && n == 0; p.leftAlone {
				return 0
			}
			ws := Reap(p.Pid)
			p.ended = &ws
			return ws
		}
	}
}

// KillUnnamed ends the children that a program made and did not come to name before it
// was killed. They are this process's, which would have them as zombies, and a zombie
// in a pid namespace keeps the first process there from ending. They wait for an answer
// as long as the conversation is open; until then they run the program's image.
func (p *Process) KillUnnamed() {
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	for _, name := range lists {
		data, _ := os.ReadFile(name) // the thread may be gone
		for field := range strings.FieldsSeq(string(data)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				continue
			}
			fd, err := unix.PidfdOpen(pid, 0)
			if err != nil {
				continue
			}
			if runs, _ := p.Image.Runs(pid); runs {
				child := Process{Pid: pid, PidFD: fd}
				child.Kill()
			}
			unix.Close(fd)
		}
	}
}

// Reap waits for a child to end.
func Reap(pid int) unix.WaitStatus {
	var ws unix.WaitStatus
	for {
		if _, err := unix.Wait4(pid, &ws, 0, nil); err != unix.EINTR {
			return ws
		}
	}
}

// Interrupt ends the conversation: Receive returns its end. The program does not end: see
// KillUnnamed. It may be called while others use the conversation, until that is closed.
func (c *Conversation) Interrupt() { _ = unix.Shutdown(c.fd, unix.SHUT_RD) }

// HangUp ends the conversation for the program, too, which then ends.
func (c *Conversation) HangUp() { _ = unix.Shutdown(c.fd, unix.SHUT_RDWR) }

// AwaitEnd waits until the process of a pidfd has ended, without reaping it, or until
// ctx ends, which is an error.
func AwaitEnd(ctx context.Context, pidfd int) error {
	if ctx.Done() == nil {
		return nil // wait4(2) does it
	}
	cancel, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	defer unix.Close(cancel)
	written := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_, _ = unix.Write(cancel, binary.NativeEndian.AppendUint64(nil, 1))
		close(written)
	})
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}, {Fd: int32(cancel), Events: unix.POLLIN}}
	n, err := 0, error(unix.EINTR)
	for err == unix.EINTR {
		n, err = unix.Poll(fds, -1)
	}
	if !stop() {
		<-written // to a descriptor that is still this one
	}
	switch {
	case n < 0 || err != nil:
		return os.NewSyscallError("poll", err)
	case fds[0].Revents == 0:
		return context.Cause(ctx)
	}
	return nil
}

// Close closes the descriptors; the process lives on.
func (p *Process) Close() {
	p.Conversation.Close()
	unix.Close(p.PidFD)
}
