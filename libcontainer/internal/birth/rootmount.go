package birth

import (
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/sysfile"
	"github.com/rtcontainers/rt/libcontainer/internal/launch"
	"github.com/rtcontainers/rt/libcontainer/internal/state"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// noteMounts saves what is mounted at root.path before the container is, if the container
// has no mount namespace whose end removes its mounts.
func (f *first) noteMounts() {
	n := spec.FindNamespace(f.spec, specs.MountNamespace)
	if n == nil {
		f.container.State.RootMount = mountID(f.rootfs)
		return
	}
	if n.Path == "" {
		return
	}
	var st unix.Stat_t
	if unix.Stat(n.Path, &st) != nil {
		return // joining it reports why
	}
	ns := &state.Namespace{Path: n.Path, Inode: st.Ino}
	// A caller that may not enter it cannot clean up there either.
	if inMountNamespace(ns, func() { f.container.State.RootMount = mountID(f.rootfs) }) == nil {
		f.container.State.MountNamespace = ns
	}
}

// unmountRoot unmounts what was mounted at root.path for a container without its own mount
// namespace.
func (c Container) unmountRoot() (err error) {
	if c.State.RootMount == 0 {
		return nil
	}
	unmount := func() {
		if mountID(c.State.Rootfs) == c.State.RootMount {
			return
		}
		if err = unix.Unmount(c.State.Rootfs, unix.MNT_DETACH); err != nil {
			err = fmt.Errorf("unmount %s: %w", c.State.Rootfs, err)
		}
	}
	if c.State.MountNamespace == nil {
		unmount()
	} else {
		// An error means that the namespace is gone, with its mounts.
		_ = inMountNamespace(c.State.MountNamespace, unmount)
	}
	return err
}

// inMountNamespace runs f on a thread in a mount namespace, if that is still the same one.
func inMountNamespace(ns *state.Namespace, f func()) error {
	fd, err := sysfile.OpenRegular(unix.AT_FDCWD, ns.Path, 0)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), ns.Path)
	defer file.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	if st.Ino != ns.Inode {
		return os.ErrNotExist
	}
	t := launch.NewThread()
	defer t.End(nil) // in that namespace
	t.Do(func() error {
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return os.NewSyscallError("unshare", err)
		}
		if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNS); err != nil {
			return os.NewSyscallError("setns", err)
		}
		f()
		return nil
	})
	return t.Wait()
}

// mountID is the id of the mount that a path is in: statx(2), since Linux 5.8. It is 0 if
// there is none.
func mountID(path string) uint64 {
	var st unix.Statx_t
	if unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_MNT_ID, &st) != nil {
		return 0
	}
	return st.Mnt_id
}
