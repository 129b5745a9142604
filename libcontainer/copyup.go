package libcontainer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/libcontainer/internal/compile"
	"github.com/rtcontainers/rt/libcontainer/internal/launch"
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
	writer := &writer{program: b.proc}
	if !defence.Off(defence.ChargedCopies) {
		// The program waits for commands from here on.
		if err := b.proc.Reply(); err != nil {
			return err
		}
	}
	if err := b.asContainerRoot(func() error { return writer.copyTree(from, dst) }); err != nil {
		return fmt.Errorf("mounts: tmpcopyup: %w", err)
	}
	if defence.Off(defence.ChargedCopies) {
		return b.proc.Reply()
	}
	return writer.end()
}

func reopenDirectory(fd int) (int, error) {
	n, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	return n, os.NewSyscallError("openat", err)
}

// writer makes and fills files for tmpcopyup: by the program's hands, so that the
// memory of a tmpfs is charged to the container that the program is in already.
type writer struct {
	program *launch.Process
	message []byte
}

// command lets the program carry a command out.
func (w *writer) command(c *compile.CopyCommand, name string, data []byte, fds ...int) error {
	if defence.Off(defence.ChargedCopies) {
		return w.uncharged(c, name, data, fds...)
	}
	if err := w.send(c, name, data, fds...); err != nil {
		return err
	}
	m, err := w.program.Receive()
	if err != nil {
		return launch.ErrGone
	}
	if m.File != nil {
		m.File.Close()
	}
	if m.Words[0] != compile.RequestCopied {
		return errors.New("the init program does not copy")
	}
	if result := int64(m.Words[1]); result < 0 {
		return unix.Errno(-result)
	}
	return nil
}

func (w *writer) send(c *compile.CopyCommand, name string, data []byte, fds ...int) error {
	if len(name) >= compile.CopyName || len(data) >= compile.CopyData {
		return unix.ENAMETOOLONG
	}
	w.message = w.message[:0]
	for _, word := range []uint64{c.Command, c.Mode, c.Device, c.Size} {
		w.message = binary.LittleEndian.AppendUint64(w.message, word)
	}
	w.message = append(append(w.message, name...), make([]byte, compile.CopyName-len(name))...)
	w.message = append(append(w.message, data...), 0)
	return w.program.Send(w.message, fds...)
}

// end lets the program go on.
func (w *writer) end() error { return w.send(&compile.CopyCommand{Command: compile.CopyEnd}, "", nil) }

// uncharged is command without the program.
func (w *writer) uncharged(c *compile.CopyCommand, name string, data []byte, fds ...int) error {
	switch c.Command {
	case compile.CopyDirectory:
		return unix.Mkdirat(fds[0], name, uint32(c.Mode))
	case compile.CopyNode:
		return unix.Mknodat(fds[0], name, uint32(c.Mode), int(c.Device))
	case compile.CopySymlink:
		return unix.Symlinkat(string(data), fds[0], name)
	case compile.CopyAttribute:
		return unix.Fsetxattr(fds[0], name, data, 0)
	}
	for {
		if n, err := unix.Sendfile(fds[0], fds[1], nil, 1<<30); n <= 0 || err != nil {
			return err
		}
	}
}

// copyTree copies the content of one directory to another, with modes, owners,
// times and extended attributes. Symlinks are copied, never followed.
func (w *writer) copyTree(from, to int) error {
	dir := os.NewFile(uintptr(duplicateFD(from)), "directory")
	names, err := dir.Readdirnames(-1)
	dir.Close()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := w.copyEntry(from, to, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	var st unix.Stat_t
	if err := unix.Fstat(from, &st); err != nil {
		return err
	}
	return w.copyAttributes(from, to, &st)
}

func duplicateFD(fd int) int {
	n, _ := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	return n
}

// copyEntry takes hold of an entry, learns what it is, and only then opens it, if
// it is a file or a directory: another container may exchange it for a device, the
// mere opening of which has effects, or a fifo, which never opens.
func (w *writer) copyEntry(from, to int, name string) error {
	entry, err := unix.Openat(from, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return nil // removed since
	}
	if err != nil {
		return err
	}
	defer unix.Close(entry)
	var st unix.Stat_t
	if err := unix.Fstat(entry, &st); err != nil {
		return err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		return w.copySymlink(entry, to, name, &st)
	case unix.S_IFDIR:
		if err := w.command(&compile.CopyCommand{Command: compile.CopyDirectory, Mode: 0o700}, name, nil, to); err != nil && err != unix.EEXIST {
			return err
		}
		return withBoth(from, entry, to, name, unix.O_RDONLY|unix.O_DIRECTORY, w.copyTree)
	case unix.S_IFREG:
		if err := w.command(&compile.CopyCommand{Command: compile.CopyNode, Mode: unix.S_IFREG | 0o600}, name, nil, to); err != nil {
			return err
		}
		return withBoth(from, entry, to, name, unix.O_RDWR, func(a, b int) error { return w.copyContent(a, b, &st) })
	}
	// A device, a fifo or a socket.
	if err := w.command(&compile.CopyCommand{Command: compile.CopyNode, Mode: uint64(st.Mode), Device: st.Rdev}, name, nil, to); err != nil {
		return err
	}
	return own(to, name, &st)
}

// withBoth opens the entry for reading, and what was made of it at name.
func withBoth(from, entry, to int, name string, flags int, f func(a, b int) error) error {
	const safe = unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NONBLOCK
	a, err := reopen(entry, flags&^unix.O_RDWR)
	if defence.Off(defence.KnownFiles) {
		if err == nil {
			unix.Close(a)
		}
		a, err = unix.Openat(from, name, flags&^unix.O_RDWR|safe, 0)
	}
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

// reopen opens for use what a descriptor with O_PATH is on, which is known to be a
// file or a directory by then.
func reopen(fd, flags int) (int, error) {
	return unix.Open("/proc/self/fd/"+strconv.Itoa(fd), flags|unix.O_CLOEXEC, 0)
}

func (w *writer) copySymlink(entry, to int, name string, st *unix.Stat_t) error {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(entry, "", buf)
	if err != nil {
		return err
	}
	if err := w.command(&compile.CopyCommand{Command: compile.CopySymlink}, name, buf[:n], to); err != nil {
		return err
	}
	return own(to, name, st)
}

func (w *writer) copyContent(a, b int, st *unix.Stat_t) error {
	if err := w.command(&compile.CopyCommand{Command: compile.CopyContent}, "", nil, b, a); err != nil {
		return err
	}
	return w.copyAttributes(a, b, st)
}

// own gives a file its owner; a file system of a user namespace may not know it.
func own(dir int, name string, st *unix.Stat_t) error {
	err := unix.Fchownat(dir, name, int(st.Uid), int(st.Gid), unix.AT_SYMLINK_NOFOLLOW)
	if err == unix.EINVAL || err == unix.EOVERFLOW {
		return nil
	}
	return err
}

func (w *writer) copyAttributes(a, b int, st *unix.Stat_t) error {
	if err := unix.Fchown(b, int(st.Uid), int(st.Gid)); err != nil && err != unix.EINVAL && err != unix.EOVERFLOW {
		return err
	}
	if err := unix.Fchmod(b, st.Mode&0o7777); err != nil {
		return err
	}
	if err := w.copyXattrs(a, b); err != nil {
		return err
	}
	times := []unix.Timespec{st.Atim, st.Mtim}
	return unix.UtimesNanoAt(b, "", times, unix.AT_EMPTY_PATH)
}

// copyXattrs copies the extended attributes that the tmpfs takes.
func (w *writer) copyXattrs(a, b int) error {
	list := make([]byte, 65536)
	n, err := unix.Flistxattr(a, list)
	if err != nil || n == 0 {
		return nil
	}
	value := make([]byte, 65536)
	for _, name := range splitNames(list[:n]) {
		size, err := unix.Fgetxattr(a, name, value)
		if err != nil {
			continue
		}
		err = w.command(&compile.CopyCommand{Command: compile.CopyAttribute, Size: uint64(size)}, name, value[:size], b)
		if errors.Is(err, launch.ErrGone) {
			return err
		}
	}
	return nil
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
