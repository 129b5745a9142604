package birth

import (
	"errors"
	"fmt"
	"os"
	"path"
	"runtime"
	"strings"

	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/libcontainer/internal/compile"
	"golang.org/x/sys/unix"
)

// makePath serves a program that met a dangling symlink on the way to a mount point.
func (b *Birth) makePath(index uint64, root *os.File) error {
	if root == nil || index >= uint64(len(b.plan.Paths)) {
		return errors.New("the init program asked for an unknown path")
	}
	p := b.plan.Paths[index]
	fd := -1
	err := b.asContainerRoot(func() (err error) {
		fd, err = makeInRoot(root, p.Name, p.Kind)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: create %s: %w", p.Source, p.Name, err)
	}
	defer unix.Close(fd)
	return b.proc.Send([]byte{1}, fd)
}

// asContainerRoot runs f on a thread whose new files belong to the root of the container's
// user namespace, because a file system of the container knows no other ids.
func (b *Birth) asContainerRoot(f func() error) error {
	uid, gid, mapped := hostRoot(b.spec)
	if !mapped {
		return f()
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // not unlocked: the thread ends with its identity
		_ = unix.Setfsgid(gid)
		_ = unix.Setfsuid(uid)
		raiseCapabilities()
		done <- f()
	}()
	return <-done
}

// raiseCapabilities restores the effective capabilities that setfsuid(2) drops: the
// container's root may write to its own directories whatever their modes.
func raiseCapabilities() {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&header, &data[0]) != nil {
		return
	}
	for i := range data {
		data[i].Effective = data[i].Permitted
	}
	_ = unix.Capset(&header, &data[0])
}

// maxSymlinks is the kernel's own limit, path_resolution(7).
const maxSymlinks = 40

// makeInRoot creates name below root as if root were the root directory, even if symlinks
// on the way are dangling, and returns an O_PATH descriptor of it. Every step starts at an
// open directory, so that nothing leads outside.
func makeInRoot(root *os.File, name string, kind compile.PathKind) (int, error) {
	w := walk{dirs: []int{int(root.Fd())}}
	defer w.up(1)
	rest := components(name)
	for links := 0; len(rest) > 0; {
		comp := rest[0]
		rest = rest[1:]
		if comp == ".." {
			w.up(max(len(w.dirs)-1, 1))
			continue
		}
		last := len(rest) == 0
		target, err := w.step(comp, last && kind == compile.EmptyFile)
		if err != nil {
			return -1, &os.PathError{Op: "create", Path: name, Err: err}
		}
		if target == "" {
			continue
		}
		if links++; links > maxSymlinks {
			return -1, &os.PathError{Op: "create", Path: name, Err: unix.ELOOP}
		}
		if path.IsAbs(target) {
			w.up(1)
			if defence.Off(defence.InRoot) {
				if fd, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0); err == nil {
					w.dirs = append(w.dirs, fd)
				}
			}
		}
		rest = append(components(target), rest...)
	}
	fd, err := unix.FcntlInt(uintptr(w.dirs[len(w.dirs)-1]), unix.F_DUPFD_CLOEXEC, 3)
	return fd, os.NewSyscallError("dup", err)
}

// components splits a path. ".." stays: its meaning depends on symlinks.
func components(name string) []string {
	var list []string
	for comp := range strings.SplitSeq(name, "/") {
		if comp != "" && comp != "." {
			list = append(list, comp)
		}
	}
	return list
}

// walk is a path down from a root: dirs are the open directories on it.
type walk struct{ dirs []int }

// up goes back until n directories are left, of which the first is the root.
func (w *walk) up(n int) {
	for len(w.dirs) > n {
		unix.Close(w.dirs[len(w.dirs)-1])
		w.dirs = w.dirs[:len(w.dirs)-1]
	}
}

// step enters comp, after making it if it is missing, or returns its target if it is a
// symlink. It checks the type of the opened file, because a neighbour may replace the name
// at any moment.
func (w *walk) step(comp string, file bool) (target string, err error) {
	const makings = 100 // if somebody removes it again
	dir, fd := w.dirs[len(w.dirs)-1], -1
	for n := 0; ; n++ {
		fd, err = unix.Openat(dir, comp, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != unix.ENOENT || n == makings {
			break
		}
		if err := makeEntry(dir, comp, file); err != nil && err != unix.EEXIST {
			return "", err
		}
	}
	if err != nil {
		return "", err
	}
	var stat unix.Stat_t
	err = unix.Fstat(fd, &stat)
	switch kind := stat.Mode & unix.S_IFMT; {
	case err != nil:
	case kind == unix.S_IFLNK:
		defer unix.Close(fd)
		buf := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(fd, "", buf)
		return string(buf[:max(n, 0)]), err
	case kind != unix.S_IFDIR && !file:
		err = unix.ENOTDIR
	default:
		w.dirs = append(w.dirs, fd)
		return "", nil
	}
	unix.Close(fd)
	return "", err
}

func makeEntry(dir int, comp string, file bool) error {
	if file {
		return unix.Mknodat(dir, comp, unix.S_IFREG|0o644, 0)
	}
	return unix.Mkdirat(dir, comp, 0o755)
}
