package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/fifo"
	"golang.org/x/sys/unix"
)

// stdio says where the standard streams of a process come from and go to.
type stdio struct {
	stdin, stdout, stderr string // paths of fifos, or URIs
	terminal              bool
}

// streams are the standard streams of a process. Fifos for output are given to the
// process as they are, without a copy in between. Files are not: a process can do
// more with its descriptors than write to the end, and whose the file is would be
// the container's to say.
type streams struct {
	// stdin, stdout and stderr are the process's; nil is /dev/null.
	stdin, stdout, stderr *os.File

	life     context.Context
	uid, gid int           // who shall own what the process gets
	client   io.ReadCloser // the client's end of stdin
	writer   *os.File      // holds that open, until the client says that it is the end
	input    *os.File      // the writing end of the pipe to stdin
	fifos    []*os.File    // reading ends of the outputs
	held     []io.Closer   // until the process is deleted
	copies   sync.WaitGroup
	writing  atomic.Int32 // copies that may hold what a file's pipe has had
	logger   *logger

	mu           sync.Mutex
	master, peer *os.File // of a terminal
}

// openStreams opens the streams of a process of the named container, for which
// it waits as long as ctx allows. They live as long as life.
func openStreams(ctx, life context.Context, namespace, id string, s stdio, o *taskOptions) (_ *streams, err error) {
	st := &streams{life: life, uid: int(o.IoUID), gid: int(o.IoGID)}
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
		return st, errors.Join(st.own(st.stdout), st.own(st.stderr))
	}
	if st.stdout, err = st.openOutput(ctx, s.stdout); err != nil {
		return nil, fmt.Errorf("stdout: %w", err)
	}
	if s.terminal {
		return st, nil // it has one output only
	}
	if s.stderr == s.stdout && strings.HasPrefix(s.stdout, "file:") {
		st.stderr = st.stdout // one pipe keeps the order of what is written
		return st, nil
	}
	if st.stderr, err = st.openOutput(ctx, s.stderr); err != nil {
		return nil, fmt.Errorf("stderr: %w", err)
	}
	return st, nil
}

// openInput opens the client's fifo. The process gets a pipe: it would see the
// end of a fifo that the client has not opened yet.
func (st *streams) openInput(path string, terminal bool) (err error) {
	if st.client, err = fifo.OpenFifo(st.life, path, unix.O_RDONLY|unix.O_NONBLOCK, 0); err != nil {
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
	_, _ = io.Copy(to, st.client)
	st.client.Close()
	if to == st.input {
		to.Close()
	}
}

func (st *streams) own(f *os.File) error {
	if st.uid == 0 && st.gid == 0 {
		return nil
	}
	return f.Chown(st.uid, st.gid)
}

// openOutput opens a fifo for a process to write to, or makes a pipe to a file.
func (st *streams) openOutput(ctx context.Context, address string) (*os.File, error) {
	if address == "" {
		return nil, nil
	}
	uri, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	switch uri.Scheme {
	case "", "fifo":
		return st.openFifo(ctx, uri.Path)
	case "file":
		return st.openFile(uri.Path)
	}
	return nil, fmt.Errorf("%s: unknown scheme %q: use a fifo, file://, binary:// or binary-v2://", address, uri.Scheme)
}

func (st *streams) openFifo(ctx context.Context, path string) (*os.File, error) {
	// This waits for the client: one that comes too late would find nothing.
	client, err := fifo.OpenFifo(ctx, path, unix.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	// A process that writes when the client is away, such as a containerd that
	// restarts, must not be killed by SIGPIPE.
	reader, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	st.held, st.fifos = append(st.held, reader), append(st.fifos, reader)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	return f, st.own(f)
}

// openFile copies what the process writes to the end of a file.
func (st *streams) openFile(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	st.held, st.fifos = append(st.held, reader), append(st.fifos, reader)
	st.copies.Go(func() {
		defer file.Close()
		st.copyTo(file, reader)
	})
	return writer, st.own(writer)
}

// copyTo copies until the end. What cannot be written is lost: the process must not
// wait for a disk that is full.
func (st *streams) copyTo(file, pipe *os.File) {
	conn, err := pipe.SyscallConn()
	if err != nil {
		return
	}
	buf := make([]byte, 32<<10)
	for n := 1; n > 0; {
		err := conn.Read(func(fd uintptr) bool {
			st.writing.Add(1)
			for err = unix.EINTR; err == unix.EINTR; {
				n, err = unix.Read(int(fd), buf)
			}
			if err == unix.EAGAIN {
				st.writing.Add(-1)
				return false
			}
			return true
		})
		if err != nil {
			return // it was closed
		}
		// Not above: the pipe could not be closed before this ends.
		if n > 0 {
			_, _ = file.Write(buf[:n])
		}
		st.writing.Add(-1)
	}
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
	st.copyTerminal(st.master, st.stdout)
	st.stdout = nil
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

func (st *streams) copyTerminal(master, out *os.File) {
	if st.client != nil {
		go st.copyInput(master)
	}
	if out == nil {
		out, _ = os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	}
	st.held = append(st.held, out)
	st.copies.Go(func() {
		_, _ = io.Copy(out, master) // EIO is its end
		out.Close()
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

// drainTime is how long the news of a process's end wait for the client to read.
const drainTime = 100 * time.Millisecond

// drain waits until the client has read what the process has written: ctr does
// not read any more once it hears of the end.
func (st *streams) drain() {
	for end := time.Now().Add(drainTime); time.Now().Before(end); time.Sleep(time.Millisecond) {
		// What has left a pipe is being written, in this order.
		if !slices.ContainsFunc(st.fifos, hasData) && st.writing.Load() == 0 {
			return
		}
	}
}

func hasData(f *os.File) bool {
	conn, err := f.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	_ = conn.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	return n > 0
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
	for _, c := range st.held {
		c.Close()
	}
	if st.logger != nil {
		st.logger.end()
	}
}
