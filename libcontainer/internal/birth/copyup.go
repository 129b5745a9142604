package birth

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/libcontainer/internal/compile"
	"github.com/rtcontainers/rt/libcontainer/internal/launch"
	"golang.org/x/sys/unix"
)

// copyUpFrom takes the image's directory for a mount with the option tmpcopyup; the tmpfs
// follows.
func (f *first) copyUpFrom(dir *os.File) error {
	if dir == nil {
		return errors.New("the init program sent no directory to copy")
	}
	f.copyFrom = dir
	return nil
}

// copyUp copies the directory to the tmpfs.
func (f *first) copyUp(tmpfs *os.File) error {
	if tmpfs == nil || f.copyFrom == nil {
		return errors.New("the init program sent no directory to copy from, or to")
	}
	defer f.copyFrom.Close()
	// They arrived as an O_PATH descriptor and as a mount.
	from, err := reopenDirectory(int(f.copyFrom.Fd()))
	if err != nil {
		return err
	}
	defer unix.Close(from)
	to, err := reopenDirectory(int(tmpfs.Fd()))
	if err != nil {
		return err
	}
	defer unix.Close(to)
	writer := &writer{program: f.proc}
	if !defence.Off(defence.ChargedCopies) {
		// From here on the program waits for commands.
		if err := f.proc.Reply(); err != nil {
			return err
		}
	}
	if err := f.asContainerRoot(func() error { return writer.copyTree(from, to) }); err != nil {
		if r := new(reported); errors.As(err, &r) {
			return f.failure(r.RequestFailure)
		}
		return fmt.Errorf("mounts: tmpcopyup: %w", err)
	}
	if defence.Off(defence.ChargedCopies) {
		return f.proc.Reply()
	}
	return writer.send(&compile.CopyCommand{Command: compile.CopyEnd}) // the program continues
}

func reopenDirectory(fd int) (int, error) {
	n, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	return n, os.NewSyscallError("openat", err)
}

// writer makes and fills files for tmpcopyup. The program does the writing, so that the
// memory of a tmpfs is charged to the container, which the program is already in.
type writer struct {
	program *launch.Process
	message []byte
}

// command lets the program execute a command.
func (w *writer) command(c *compile.CopyCommand, fds ...int) error {
	if defence.Off(defence.ChargedCopies) {
		return w.uncharged(c, fds...)
	}
	if err := w.send(c, fds...); err != nil {
		return err
	}
	message, file, err := w.program.Receive()
	if err != nil {
		return launch.ErrGone
	}
	closeFiles([]*os.File{file})
	r, err := compile.Decode(message)
	switch q := r.(type) {
	case compile.RequestCopied:
		if q.Result < 0 {
			return unix.Errno(-q.Result)
		}
		return nil
	case compile.RequestFailure:
		return &reported{q}
	}
	return errors.Join(errors.New("the init program did not copy the files"), err)
}

// reported is a failure of the program itself, in place of an answer.
type reported struct{ compile.RequestFailure }

func (r *reported) Error() string { return r.Errno.Error() }

func (w *writer) send(c *compile.CopyCommand, fds ...int) (err error) {
	if w.message, err = c.Encode(w.message[:0]); err != nil {
		return err
	}
	return w.program.Send(w.message, fds...)
}

// uncharged is command without the program.
func (w *writer) uncharged(c *compile.CopyCommand, fds ...int) error {
	switch c.Command {
	case compile.CopyDirectory:
		return unix.Mkdirat(fds[0], c.Name, uint32(c.Mode))
	case compile.CopyNode:
		return unix.Mknodat(fds[0], c.Name, uint32(c.Mode), int(c.Device))
	case compile.CopySymlink:
		return unix.Symlinkat(string(c.Data), fds[0], c.Name)
	case compile.CopyAttribute:
		return unix.Fsetxattr(fds[0], c.Name, c.Data, 0)
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

// copyEntry gets a descriptor of an entry, checks its type, and opens it only if it is a
// file or a directory. Another container may replace it by a device, whose opening has
// side effects, or by a fifo, whose opening blocks.
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
		if err := w.command(&compile.CopyCommand{Command: compile.CopyDirectory, Mode: 0o700, Name: name}, to); err != nil && err != unix.EEXIST {
			return err
		}
		return withBoth(from, entry, to, name, unix.O_RDONLY|unix.O_DIRECTORY, w.copyTree)
	case unix.S_IFREG:
		if err := w.command(&compile.CopyCommand{Command: compile.CopyNode, Mode: unix.S_IFREG | 0o600, Name: name}, to); err != nil {
			return err
		}
		return withBoth(from, entry, to, name, unix.O_RDWR, func(a, b int) error { return w.copyContent(a, b, &st) })
	}
	// A device, a fifo or a socket.
	if err := w.command(&compile.CopyCommand{Command: compile.CopyNode, Mode: uint64(st.Mode), Device: st.Rdev, Name: name}, to); err != nil {
		return err
	}
	return own(to, name, &st)
}

// withBoth opens the entry for reading, and its copy at name.
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

// reopen opens the file of an O_PATH descriptor, which is known to be a regular file or a
// directory.
func reopen(fd, flags int) (int, error) {
	return unix.Open("/proc/self/fd/"+strconv.Itoa(fd), flags|unix.O_CLOEXEC, 0)
}

func (w *writer) copySymlink(entry, to int, name string, st *unix.Stat_t) error {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(entry, "", buf)
	if err != nil {
		return err
	}
	if err := w.command(&compile.CopyCommand{Command: compile.CopySymlink, Name: name, Data: buf[:n]}, to); err != nil {
		return err
	}
	return own(to, name, st)
}

func (w *writer) copyContent(a, b int, st *unix.Stat_t) error {
	if err := w.command(&compile.CopyCommand{Command: compile.CopyContent}, b, a); err != nil {
		return err
	}
	return w.copyAttributes(a, b, st)
}

// own sets the owner of a file; a file system of a user namespace may not know the owner.
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

// copyXattrs copies the extended attributes that the tmpfs accepts.
func (w *writer) copyXattrs(a, b int) error {
	list := make([]byte, 65536)
	n, err := unix.Flistxattr(a, list)
	if err != nil || n == 0 {
		return nil
	}
	value := make([]byte, 65536)
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list[:n]), "\x00"), "\x00") {
		size, err := unix.Fgetxattr(a, name, value)
		if err != nil {
			continue
		}
		err = w.command(&compile.CopyCommand{Command: compile.CopyAttribute, Size: uint64(size), Name: name, Data: value[:size]}, b)
		if errors.Is(err, launch.ErrGone) {
			return err
		}
	}
	return nil
}
