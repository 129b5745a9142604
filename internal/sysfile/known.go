package sysfile

import (
	"os"
	"strconv"

	"github.com/rtcontainers/rt/internal/defence"
	"golang.org/x/sys/unix"
)

// Openat2 is openat2(2). It repeats the call while a rename or a mount elsewhere disturbs
// the kernel's walk through "..": any process on the machine can do that, and must not
// make others fail. Errors are *os.PathError.
func Openat2(dir int, name string, how *unix.OpenHow) (int, error) {
	// A walk takes microseconds. Most succeed at the first try; beside a process that only
	// renames, half of them do.
	const tries = 500
	if defence.Off(defence.InRoot) {
		name, how = "./"+name, &unix.OpenHow{Flags: how.Flags, Mode: how.Mode}
	}
	for try := 1; ; try++ {
		fd, err := unix.Openat2(dir, name, how)
		switch {
		case err == nil:
			return fd, nil
		case err == unix.EINTR:
			try--
		case err == unix.EAGAIN && try < tries && !defence.Off(defence.RetriedWalks):
		default:
			return -1, &os.PathError{Op: "openat2", Path: name, Err: err}
		}
	}
}

// Reopen opens the file of a descriptor again, which may be an O_PATH descriptor: exactly
// the file that was checked, whatever has its name now.
func Reopen(fd int, flags int) (int, error) {
	return OpenAt(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(fd), flags|unix.O_CLOEXEC)
}

// OpenRegular opens a file for reading below an open directory, with the RESOLVE_* flags
// of openat2(2). The file may belong to somebody who wants rt to open a device, which can
// have side effects, or a pipe, which blocks. So rt checks that it is a regular file
// before it opens it; otherwise the error is ErrNotRegular.
func OpenRegular(dir int, name string, resolve uint64) (int, error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: resolve}
	if defence.Off(defence.KnownFiles) {
		how.Flags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_CLOEXEC
	}
	fd, err := Openat2(dir, name, &how)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fd)
	if err := regular(fd, name); err != nil {
		return -1, err
	}
	return Reopen(fd, unix.O_RDONLY|unix.O_NONBLOCK)
}

// regular checks that an open file is a regular one. The name is for errors.
func regular(fd int, name string) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return &os.PathError{Op: "fstat", Path: name, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return &os.PathError{Op: "open", Path: name, Err: ErrNotRegular}
	}
	return nil
}
