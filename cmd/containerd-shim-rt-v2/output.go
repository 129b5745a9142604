package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/containerd/fifo"
	"golang.org/x/sys/unix"
)

// output takes what a process writes to its client: a fifo or a file.
type output struct {
	to *os.File
	// client is a reading end of the fifo; nil for a file.
	client *os.File
	// pipe is the end that the shim reads; nil for a terminal.
	pipe *os.File
	// writing is true when what has left the pipe may not be in the file yet.
	writing atomic.Bool
}

// openOutput opens what an address names.
func openOutput(ctx context.Context, address string) (*output, error) {
	uri, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	switch uri.Scheme {
	case "", "fifo":
		info, err := os.Stat(uri.Path)
		if err != nil {
			return nil, err
		}
		if info.Mode()&os.ModeNamedPipe != 0 {
			return openFifo(ctx, uri.Path)
		}
		return openFile(uri.Path)
	case "file":
		if err := os.MkdirAll(filepath.Dir(uri.Path), 0o755); err != nil {
			return nil, err
		}
		return openFile(uri.Path)
	}
	return nil, fmt.Errorf("%s: unknown scheme %q: use a fifo, file://, binary:// or binary-v2://", address, uri.Scheme)
}

// openFifo waits for the client: one that came too late would find nothing.
func openFifo(ctx context.Context, path string) (*output, error) {
	client, err := fifo.OpenFifo(ctx, path, unix.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	// What is in the fifo while the client is away, such as a containerd that restarts,
	// is kept by a reader, and the writer has no EPIPE.
	reader, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	writer, err := os.OpenFile(path, os.O_WRONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		reader.Close()
		return nil, err
	}
	return &output{to: writer, client: reader}, nil
}

func openFile(path string) (*output, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	return &output{to: file}, nil
}

// copy copies what is read from a pipe or a terminal until its end, which is the
// client's, too.
func (o *output) copy(from *os.File) {
	defer o.to.Close()
	switch {
	case o.client == nil:
		o.copyToFile(from)
	case o.pipe == nil:
		_, _ = io.Copy(o.to, from) // EIO is a terminal's end
	default:
		splice(o.to, from)
	}
}

// copyToFile loses what cannot be written: the process must not wait for a disk that
// is full.
func (o *output) copyToFile(from *os.File) {
	conn, err := from.SyscallConn()
	if err != nil {
		return
	}
	buf := make([]byte, 32<<10)
	for n := 1; n > 0; {
		err := conn.Read(func(fd uintptr) bool {
			o.writing.Store(true)
			for err = unix.EINTR; err == unix.EINTR; {
				n, err = unix.Read(int(fd), buf)
			}
			if err == unix.EAGAIN {
				o.writing.Store(false)
				return false
			}
			return true
		})
		if err != nil {
			return // it was closed
		}
		// Not above: the pipe could not be closed before this ends.
		if n > 0 {
			_, _ = o.to.Write(buf[:n])
		}
		o.writing.Store(false)
	}
}

// waiting tells whether the client has not got all that the process has written.
func (o *output) waiting() bool {
	// In the order in which it goes.
	return o.pipe != nil && hasData(o.pipe) || o.writing.Load() || o.client != nil && hasData(o.client)
}

func (o *output) close() {
	for _, f := range []*os.File{o.to, o.client, o.pipe} {
		_ = f.Close() // nil is an error, and no more
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

// splice moves what is written to one pipe to another, without a copy (splice(2)), until
// nobody writes to the one or reads from the other, or one is closed.
func splice(to, from *os.File) {
	in, err := from.SyscallConn()
	if err != nil {
		return
	}
	out, err := to.SyscallConn()
	if err != nil {
		return
	}
	for {
		var next step
		closed := in.Read(func(from uintptr) bool {
			next = over
			_ = out.Control(func(to uintptr) { next = move(int(to), int(from)) })
			return next != awaitInput
		})
		if closed == nil && next == awaitRoom {
			closed = out.Write(func(to uintptr) bool {
				next = over
				_ = in.Control(func(from uintptr) { next = move(int(to), int(from)) })
				return next != awaitRoom
			})
		}
		if closed != nil || next == over {
			return
		}
	}
}

// step is what comes after a move from pipe to pipe.
type step int

const (
	again step = iota
	awaitInput
	awaitRoom
	over
)

// move moves what there is and what there is room for. EAGAIN says that one of the two
// lacks, not which. At the end of the input it may be the room: nobody would tell of the
// end once more, so it must not be waited for.
func move(to, from int) step {
	const all = 1 << 30
	for {
		n, err := unix.Splice(from, nil, to, nil, all, unix.SPLICE_F_NONBLOCK)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			switch fds := []unix.PollFd{{Fd: int32(from), Events: unix.POLLIN}, {Fd: int32(to), Events: unix.POLLOUT}}; {
			case !ready(fds, 0):
				return awaitInput
			case !ready(fds, 1):
				return awaitRoom
			}
		case err != nil || n == 0:
			return over
		default:
			return again
		}
	}
}

// ready polls, and tells whether one of the descriptors has what it is asked for, or has
// come to its end.
func ready(fds []unix.PollFd, i int) bool {
	_, err := unix.Poll(fds, 0)
	return err != nil || fds[i].Revents != 0
}

// drainTime is how long the news of a process's end wait for the client to read.
const drainTime = 100 * time.Millisecond

// drain waits until the client has read what the process has written: ctr does
// not read any more once it hears of the end.
func (st *streams) drain() {
	for end := time.Now().Add(drainTime); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if !slices.ContainsFunc(st.outputs, (*output).waiting) {
			return
		}
	}
}
