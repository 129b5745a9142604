// Package sysfile reads and writes small kernel files with as few system calls as
// possible. Package os prepares each descriptor for polling, which half of these files do
// not even support: five more calls for every file, and a thread for the first.
package sysfile

import (
	"errors"
	"fmt"
	"math"
	"os"

	"github.com/rtcontainers/rt/internal/defence"
	"golang.org/x/sys/unix"
)

// Read returns the content of a file. Errors are *os.PathError.
func Read(name string) ([]byte, error) { return ReadAt(unix.AT_FDCWD, name) }

// ReadAt is Read for a name below an open directory. The last component must
// not be a symlink there.
func ReadAt(dir int, name string) ([]byte, error) {
	flags := unix.O_RDONLY | unix.O_CLOEXEC
	if dir != unix.AT_FDCWD {
		flags |= unix.O_NOFOLLOW
	}
	fd, err := OpenAt(dir, name, flags)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return ReadAll(fd, name, math.MaxInt64)
}

// ReadLine is Read for a kernel file that has a single line: one call less, as nothing follows the end
// of the line.
func ReadLine(name string) ([]byte, error) {
	fd, err := OpenAt(unix.AT_FDCWD, name, unix.O_RDONLY|unix.O_CLOEXEC)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var buf [1024]byte
	n, err := retry(func() (int, error) { return unix.Read(fd, buf[:]) })
	if err != nil {
		return nil, &os.PathError{Op: "read", Path: name, Err: err}
	}
	line := append([]byte(nil), buf[:n]...)
	if n == 0 || line[n-1] == '\n' {
		return line, nil
	}
	rest, err := ReadAll(fd, name, math.MaxInt64)
	return append(line, rest...), err
}

// ReadRegular returns the content of an open file, which must be a regular one and
// have no more than limit bytes. The name is for errors.
func ReadRegular(fd int, name string, limit int64) ([]byte, error) {
	if err := regular(fd, name); err != nil {
		return nil, err
	}
	return ReadAll(fd, name, limit)
}

// The errors for files that are of the wrong kind or size.
var (
	ErrNotRegular = errors.New("not a regular file")
	ErrTooLarge   = errors.New("too large")
)

// ReadAll reads an open file to its end, or fails with ErrTooLarge after limit bytes. It
// ignores the file's size, which means nothing for kernel files.
func ReadAll(fd int, name string, limit int64) ([]byte, error) {
	// Most files are much smaller, and the stack is already there.
	var buf [4096]byte
	var data []byte
	for {
		n, err := retry(func() (int, error) { return unix.Read(fd, buf[:]) })
		if err != nil {
			return nil, &os.PathError{Op: "read", Path: name, Err: err}
		}
		if n == 0 {
			return data, nil
		}
		if data = append(data, buf[:n]...); int64(len(data)) > limit {
			return nil, &os.PathError{Op: "read", Path: name, Err: fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)}
		}
	}
}

// IsNotExist tells whether an error of this package means that a file does not exist.
func IsNotExist(err error) bool {
	e, ok := err.(*os.PathError)
	return ok && e.Err == unix.ENOENT
}

// Write writes to an existing file in one call, as kernel files require.
func Write(name string, data []byte) error {
	return write(unix.AT_FDCWD, name, data, unix.O_WRONLY|unix.O_CLOEXEC)
}

// WriteEach is Write for several pieces, with one call for each.
func WriteEach(name string, pieces ...string) error {
	fd, err := OpenAt(unix.AT_FDCWD, name, unix.O_WRONLY|unix.O_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for _, p := range pieces {
		if err := writeAll(fd, name, []byte(p)); err != nil {
			return err
		}
	}
	return nil
}

// CreateAt writes a new file, or replaces the content of an existing one. Only its owner
// may read it.
func CreateAt(dir int, name string, data []byte) error {
	return write(dir, name, data, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC)
}

func write(dir int, name string, data []byte, flags int) error {
	mode := uint32(0o600)
	if defence.Off(defence.PrivateState) {
		mode = 0o644
	}
	fd, err := open(dir, name, flags, mode)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return writeAll(fd, name, data)
}

func writeAll(fd int, name string, data []byte) error {
	for len(data) > 0 {
		n, err := retry(func() (int, error) { return unix.Write(fd, data) })
		if err != nil {
			return &os.PathError{Op: "write", Path: name, Err: err}
		}
		data = data[n:]
	}
	return nil
}

// OpenAt opens a file below an open directory. Errors are *os.PathError.
func OpenAt(dir int, name string, flags int) (int, error) { return open(dir, name, flags, 0) }

func open(dir int, name string, flags int, mode uint32) (int, error) {
	fd, err := retry(func() (int, error) { return unix.Openat(dir, name, flags, mode) })
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return fd, nil
}

// retry repeats a call that a signal interrupted.
func retry(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); err != unix.EINTR {
			return n, err
		}
	}
}
