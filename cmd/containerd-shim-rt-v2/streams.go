package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// stdio says where the standard streams of a process come from and go to.
type stdio struct {
	stdin, stdout, stderr string // paths of fifos, or URIs
	terminal              bool
}

// streams are the standard streams of a process. It always gets pipes, never the
// client's fifos and files:
//   - With a fifo's descriptor a process can change the fifo's owner and mode.
//   - AppArmor and SELinux check a fifo's path and label again at execve(2), and
//     replace one that they deny by a null device: the output is lost in silence.
//   - A child that outlives an exec would hold the fifo open, and keep the client waiting.
type streams struct {
	// stdin, stdout and stderr are the process's; nil is /dev/null.
	stdin, stdout, stderr *os.File

	uid, gid int      // who shall own what the process gets
	client   *os.File // the client's end of stdin
	writer   *os.File // holds that open, until the client says that it is the end
	input    *os.File // the writing end of the pipe to stdin
	outputs  []*output
	copies   sync.WaitGroup
	logger   *logger

	mu           sync.Mutex
	master, peer *os.File // of a terminal

	kept keptStreams
}

// openStreams opens the streams of a process of the named container, for which
// it waits as long as ctx allows.
func openStreams(ctx context.Context, namespace, id string, s stdio, o *taskOptions) (_ *streams, err error) {
	st := &streams{uid: int(o.IoUID), gid: int(o.IoGID)}
	defer func() {
		if err != nil {
			st.close()
		}
	}()
	if s.stdin != "" {
		if err := st.openInput(s.stdin, s.terminal); err != nil {
			return nil, fmt.Errorf("stdin: %w", err)
		}
	}
	if uri, err := url.Parse(s.stdout); err == nil && isLogger(uri.Scheme) {
		l, writers, err := startLogger(ctx, uri, namespace, id)
		if err != nil {
			return nil, fmt.Errorf("stdout: %s: %w", s.stdout, err)
		}
		st.logger, st.stdout, st.stderr = l, writers[0], writers[1]
		if s.terminal {
			st.outputs, st.stdout = []*output{{to: st.stdout}}, nil
			return st, nil
		}
		return st, errors.Join(st.own(st.stdout), st.own(st.stderr))
	}
	if st.stdout, err = st.openOutput(ctx, s.stdout, s.terminal); err != nil {
		return nil, fmt.Errorf("stdout: %w", err)
	}
	if s.terminal {
		return st, nil // it has one output only
	}
	if s.stderr == s.stdout {
		st.stderr = st.stdout // one pipe keeps the order of what is written
		return st, nil
	}
	if st.stderr, err = st.openOutput(ctx, s.stderr, false); err != nil {
		return nil, fmt.Errorf("stderr: %w", err)
	}
	return st, nil
}

// openOutput opens what an address names, and returns the end of a pipe to it, which
// the process gets. A terminal is copied by takeTerminal.
func (st *streams) openOutput(ctx context.Context, address string, terminal bool) (*os.File, error) {
	if address == "" {
		return nil, nil
	}
	o, err := openOutput(ctx, address)
	if err != nil {
		return nil, err
	}
	st.outputs = append(st.outputs, o)
	if terminal {
		return nil, nil
	}
	var writer *os.File
	if o.pipe, writer, err = os.Pipe(); err != nil {
		return nil, err
	}
	i := len(st.outputs) - 1
	st.copies.Go(func() { st.copyOutput(i, o, o.pipe) })
	return writer, st.own(writer)
}

// copyOutput copies to one of the outputs until its end.
func (st *streams) copyOutput(i int, o *output, from *os.File) {
	o.copy(from)
	st.gone(keptOutput(i))
}

// openInput opens the client's fifo, for which it does not wait.
func (st *streams) openInput(path string, terminal bool) (err error) {
	if st.client, err = os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0); err != nil {
		return err
	}
	if terminal {
		return nil
	}
	if st.stdin, st.input, err = os.Pipe(); err != nil {
		return err
	}
	if err := st.own(st.stdin); err != nil {
		return err
	}
	go st.copyInput(st.input)
	return nil
}

// copyInput copies what the client writes until that is the end, or the process reads
// no more: then who writes to the fifo has EPIPE.
func (st *streams) copyInput(to *os.File) {
	defer st.gone(keptInput)
	awaitWriter(st.client)
	if to == st.input {
		splice(to, st.client)
		to.Close()
	} else {
		_, _ = io.Copy(to, st.client)
	}
	st.client.Close()
}

// awaitWriter waits until somebody has opened a fifo and written to it, or gone. Before
// that a read would be at the end.
func awaitWriter(f *os.File) {
	conn, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Read(func(fd uintptr) bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return n > 0 || err != nil && err != unix.EINTR
	})
}

func (st *streams) own(f *os.File) error {
	if st.uid == 0 && st.gid == 0 {
		return nil
	}
	return f.Chown(st.uid, st.gid)
}

// takeTerminal connects the master of the process's terminal.
func (st *streams) takeTerminal(master *os.File) error {
	// With one slave open a read does not fail when the process closes its own
	// for a while.
	peer, err := openPeer(master)
	if err != nil {
		master.Close()
		return err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.peer = peer
	// A read must end when it is closed.
	if st.master, err = pollable(master); err != nil {
		return err
	}
	st.copyTerminal(st.master)
	return nil
}

// openPeer opens the slave of a terminal, as open(2) with these flags. It is nobody's
// controlling terminal, and no child's.
func openPeer(master *os.File) (*os.File, error) {
	const flags = unix.O_RDONLY | unix.O_NOCTTY | unix.O_CLOEXEC
	fd, _, errno := unix.Syscall(unix.SYS_IOCTL, master.Fd(), unix.TIOCGPTPEER, flags)
	if errno != 0 {
		return nil, os.NewSyscallError("ioctl(TIOCGPTPEER)", errno)
	}
	return os.NewFile(fd, "terminal"), nil
}

func (st *streams) copyTerminal(master *os.File) {
	if st.client != nil {
		go st.copyInput(master)
	}
	st.copies.Go(func() {
		if len(st.outputs) == 0 {
			_, _ = io.Copy(io.Discard, master)
			return
		}
		st.copyOutput(0, st.outputs[0], master)
	})
}

// started gives back what the process has now.
func (st *streams) started() {
	for _, f := range []*os.File{st.stdin, st.stdout, st.stderr} {
		if f != nil {
			f.Close()
		}
	}
}

// ended lets the copy of a terminal come to its end.
func (st *streams) ended() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.peer != nil {
		st.peer.Close()
	}
}

// resize sets the size of the terminal, in characters.
func (st *streams) resize(width, height uint32) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.master == nil {
		return nil // as with runc's shim
	}
	conn, err := st.master.SyscallConn()
	if err != nil {
		return err
	}
	size := unix.Winsize{Row: uint16(height), Col: uint16(width)}
	var ioctlErr error
	err = conn.Control(func(fd uintptr) { ioctlErr = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &size) })
	return errors.Join(err, ioctlErr)
}

// holdInput sees to it that it is not the end of the input when the client goes away,
// since it may come back: from now on only closeInput is. Before the start there may
// be no task yet that ctr could tell of the end.
func (st *streams) holdInput(path string) {
	if st.client == nil || st.writer != nil {
		return
	}
	// A fifo without a reader cannot be opened for writing alone, and the client's end
	// may not be open yet. A reader must not stay: nobody would ever have EPIPE.
	reader, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		return
	}
	st.writer, _ = os.OpenFile(path, os.O_WRONLY|unix.O_NONBLOCK, 0)
	reader.Close()
}

// closeInput is the end of the process's input, behind what the client has written.
func (st *streams) closeInput() {
	if st.writer != nil {
		st.writer.Close()
		st.gone(keptWriter)
	}
}

// close ends everything. What a terminal still has to show gets some time.
func (st *streams) close() {
	st.started()
	st.ended()
	drained := make(chan struct{})
	go func() {
		st.copies.Wait()
		close(drained)
	}()
	select {
	case <-drained:
	case <-time.After(2 * time.Second):
	}
	st.closeInput()
	if st.client != nil {
		st.client.Close()
	}
	if st.input != nil {
		st.input.Close()
	}
	st.mu.Lock()
	if st.master != nil {
		st.master.Close()
	}
	st.mu.Unlock()
	for _, o := range st.outputs {
		o.close()
	}
	if st.logger != nil {
		st.logger.end()
	}
}
