package libcontainer

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/rtcontainers/rt/libcontainer/launch"
	"golang.org/x/sys/unix"
)

// copyUp serves a program with a mount that has the option tmpcopyup: it brings
// the directory of the image first, then the tmpfs.
func (b *creation) copyUp(m *launch.Message, to bool) error {
	if m.File == nil {
		return errors.New("the init program sent no directory to copy")
	}
	if !to {
		b.copyFrom = m.File
		return nil
	}
	defer m.File.Close()
	if b.copyFrom == nil {
		return errors.New("the init program sent no directory to copy from")
	}
	defer b.copyFrom.Close()
	// They came as O_PATH and as a mount.
	from, err := reopenDirectory(int(b.copyFrom.Fd()))
	if err != nil {
		return err
	}
	defer unix.Close(from)
	dst, err := reopenDirectory(int(m.File.Fd()))
	if err != nil {
		return err
	}
	defer unix.Close(dst)
	if err := b.asContainerRoot(func() error { return copyTree(from, dst) }); err != nil {
		return fmt.Errorf("mounts: tmpcopyup: %w", err)
	}
	return nil
}

func reopenDirectory(fd int) (int, error) {
	n, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	return n, os.NewSyscallError("openat", err)
}

// copyTree copies the content of one directory to another, with modes, owners,
// times and extended attributes. Symlinks are copied, never followed.
func copyTree(from, to int) error {
	dir := os.NewFile(uintptr(duplicateFD(from)), "directory")
	names, err := dir.Readdirnames(-1)
	dir.Close()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := copyEntry(from, to, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	var st unix.Stat_t
	if err := unix.Fstat(from, &st); err != nil {
		return err
	}
	return copyAttributes(from, to, &st)
}

func duplicateFD(fd int) int {
	n, _ := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	return n
}

func copyEntry(from, to int, name string) error {
	var st unix.Stat_t
	if err := unix.Fstatat(from, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		return copySymlink(from, to, name, &st)
	case unix.S_IFDIR:
		if err := unix.Mkdirat(to, name, 0o700); err != nil && err != unix.EEXIST {
			return err
		}
		return withBoth(from, to, name, unix.O_RDONLY|unix.O_DIRECTORY, copyTree)
	case unix.S_IFREG:
		if err := unix.Mknodat(to, name, unix.S_IFREG|0o600, 0); err != nil {
			return err
		}
		return withBoth(from, to, name, unix.O_RDWR, func(a, b int) error { return copyContent(a, b, &st) })
	}
	// A device, a fifo or a socket.
	if err := unix.Mknodat(to, name, st.Mode, int(st.Rdev)); err != nil {
		return err
	}
	return own(to, name, &st)
}

// withBoth opens name in both directories, never over a symlink.
func withBoth(from, to int, name string, flags int, f func(a, b int) error) error {
	const safe = unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NONBLOCK
	a, err := unix.Openat(from, name, flags&^unix.O_RDWR|safe, 0)
	if err != nil {
		return err
	}
	defer unix.Close(a)
	b, err := unix.Openat(to, name, flags|safe, 0)
	if err != nil {
		return err
	}
	defer unix.Close(b)
	return f(a, b)
}

func copySymlink(from, to int, name string, st *unix.Stat_t) error {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(from, name, buf)
	if err != nil {
		return err
	}
	if err := unix.Symlinkat(string(buf[:n]), to, name); err != nil {
		return err
	}
	return own(to, name, st)
}

func copyContent(a, b int, st *unix.Stat_t) error {
	src, dst := os.NewFile(uintptr(duplicateFD(a)), "source"), os.NewFile(uintptr(duplicateFD(b)), "copy")
	defer src.Close()
	defer dst.Close()
	if _, err := io.Copy(dst, src); err != nil {
		return err
	}
	return copyAttributes(a, b, st)
}

// own gives a file its owner; a file system of a user namespace may not know it.
func own(dir int, name string, st *unix.Stat_t) error {
	err := unix.Fchownat(dir, name, int(st.Uid), int(st.Gid), unix.AT_SYMLINK_NOFOLLOW)
	if err == unix.EINVAL || err == unix.EOVERFLOW {
		return nil
	}
	return err
}

func copyAttributes(a, b int, st *unix.Stat_t) error {
	if err := unix.Fchown(b, int(st.Uid), int(st.Gid)); err != nil && err != unix.EINVAL && err != unix.EOVERFLOW {
		return err
	}
	if err := unix.Fchmod(b, st.Mode&0o7777); err != nil {
		return err
	}
	copyXattrs(a, b)
	times := []unix.Timespec{st.Atim, st.Mtim}
	return unix.UtimesNanoAt(b, "", times, unix.AT_EMPTY_PATH)
}

// copyXattrs copies the extended attributes that the tmpfs takes.
func copyXattrs(a, b int) {
	list := make([]byte, 65536)
	n, err := unix.Flistxattr(a, list)
	if err != nil {
		return
	}
	value := make([]byte, 65536)
	for _, name := range splitNames(list[:n]) {
		if size, err := unix.Fgetxattr(a, name, value); err == nil {
			_ = unix.Fsetxattr(b, name, value[:size], 0)
		}
	}
}

func splitNames(list []byte) []string {
	var names []string
	begin := 0
	for i, c := range list {
		if c == 0 {
			names = append(names, string(list[begin:i]))
			begin = i + 1
		}
	}
	return names
}
