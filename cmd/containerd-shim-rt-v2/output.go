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
	has := false
	_ = conn.Control(func(fd uintptr) { has = queued(fd) > 0 })
	return has
}

// queued is the number of bytes that can be read at once.
func queued(fd uintptr) int {
	n, _ := unix.IoctlGetInt(int(fd), unix.TIOCINQ)
	return n
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
	const all = 1 << 30
	for n := int64(1); n > 0; {
		var err error
		full := false // EAGAIN does not say which pipe has to be waited for
		move := func(from, to uintptr) {
			for err = unix.EINTR; err == unix.EINTR; {
				n, err = unix.Splice(int(from), nil, int(to), nil, all, unix.SPLICE_F_NONBLOCK)
			}
			full = err == unix.EAGAIN && queued(from) > 0
		}
		closed := in.Read(func(from uintptr) bool {
			if out.Control(func(to uintptr) { move(from, to) }) != nil {
				n = 0
				return true
			}
			return err != unix.EAGAIN || full
		})
		if closed == nil && full {
			closed = out.Write(func(to uintptr) bool {
				if in.Control(func(from uintptr) { move(from, to) }) != nil {
					n = 0
					return true
				}
				return !full
			})
		}
		switch {
		case closed != nil:
			return
		case err == unix.EAGAIN:
			n = 1
		}
	}
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
