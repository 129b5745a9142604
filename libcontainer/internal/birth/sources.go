package birth

import (
	"errors"
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/internal/sysfile"
	"github.com/rtcontainers/rt/libcontainer/internal/compile"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// sendSource opens the source of a mount for a program that may not be able to reach it.
// It walks the path with rt's rights, but in the program's mount namespace: the program
// could not copy a mount that was opened in rt's own. A device may have to be made.
func (b *Birth) sendSource(index uint64) error {
	s, err := b.source(index)
	if err != nil {
		return err
	}
	answer := byte(compile.SourceOpened)
	fd, err := openSource(b.proc.Pid, s)
	if s.Device != nil && (err != nil || !isDevice(fd, s.Device)) {
		if err == nil {
			unix.Close(fd)
		}
		answer = compile.SourceMade
		fd, err = b.makeDevice(s.Device)
	}
	if err != nil {
		return fmt.Errorf("%s: source %q: %w", s.Field, s.Path, err)
	}
	defer unix.Close(fd)
	return b.proc.Send([]byte{answer}, fd)
}

func (b *Birth) source(index uint64) (*compile.Source, error) {
	if index >= uint64(len(b.plan.Sources)) {
		return nil, errors.New("the init program asked for an unknown source")
	}
	return &b.plan.Sources[index], nil
}

func openSource(pid int, s *compile.Source) (int, error) {
	if defence.Off(defence.LockedMounts) {
		return copySource(s)
	}
	root, err := openPath(fmt.Sprintf("/proc/%d/root", pid))
	if err != nil {
		return -1, err
	}
	defer root.Close()
	flags := uint64(unix.O_PATH)
	if s.NoFollow {
		flags |= unix.O_NOFOLLOW
	}
	fd, err := sysfile.Openat2(int(root.Fd()), s.Path, &unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
	if errors.Is(err, unix.EXDEV) || errors.Is(err, unix.ELOOP) {
		// A magic link, such as /proc/PID/ns/net, leads out of every mount namespace. The
		// kernel lets the program copy its target if that is a namespace.
		return unix.Open(s.Path, unix.O_PATH|unix.O_CLOEXEC, 0)
	}
	var path *os.PathError
	if errors.As(err, &path) {
		err = path.Err // the error already names the source
	}
	return fd, err
}

// copySource copies a tree in rt's own mount namespace, as the program must not.
func copySource(s *compile.Source) (int, error) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
	if s.Recursive {
		flags |= unix.AT_RECURSIVE
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, s.Path, flags)
	return fd, os.NewSyscallError("open_tree", err)
}

// mapIDs applies an id mapping to the program's copy of a mount tree. It needs a user
// namespace that only the parent can make.
func (b *Birth) mapIDs(index uint64, tree *os.File) error {
	s, err := b.source(index)
	if err != nil {
		return err
	}
	if tree == nil || s.IDMap == nil {
		return errors.New("the init program sent no mount tree")
	}
	err = mapTree(int(tree.Fd()), s.IDMap)
	if errors.Is(err, unix.EPERM) && os.Geteuid() != 0 {
		err = fmt.Errorf("only root can map the ids of the host's file systems, leave out the option idmap, or uidMappings and gidMappings: %w", err)
	}
	if err != nil {
		return fmt.Errorf("%s: source %q: map its ids: %w", s.Field, s.Path, err)
	}
	return nil
}

// mapTree gives a mount tree an id mapping: mount_setattr(2).
func mapTree(fd int, m *compile.IDMap) error {
	var ns *os.File
	var err error
	if m.Namespace != "" {
		ns, err = os.Open(m.Namespace)
	} else {
		ns, err = userNamespace(idMap(m.UIDs), idMap(m.GIDs))
	}
	if err != nil {
		return err
	}
	defer ns.Close()
	flags := uint(unix.AT_EMPTY_PATH)
	if m.Recursive {
		flags |= unix.AT_RECURSIVE
	}
	err = unix.MountSetattr(fd, "", flags, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(ns.Fd())})
	if err == unix.EINVAL {
		return errors.New("mount_setattr: the file system cannot map ids, or is mapped already")
	}
	return os.NewSyscallError("mount_setattr", err)
}

// isDevice tells whether a descriptor refers to the device of the configuration.
func isDevice(fd int, d *specs.LinuxDevice) bool {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return false
	}
	kind, _ := spec.DeviceTypes.Find(d.Type)
	return st.Mode&unix.S_IFMT == kind &&
		(d.Type == "p" || st.Rdev == unix.Mkdev(uint32(d.Major), uint32(d.Minor)))
}

// makeDevice makes a device node for a container with a user namespace, which may not make
// one itself, and returns a mount of it. The node stays in the container's state directory
// until the mount is attached.
func (b *Birth) makeDevice(d *specs.LinuxDevice) (int, error) {
	at, name, s := int(b.container.Dir.Fd()), fmt.Sprintf("device-%d", len(b.devices)), b.spec
	kind, _ := spec.DeviceTypes.Find(d.Type)
	if err := unix.Mknodat(at, name, kind, int(unix.Mkdev(uint32(d.Major), uint32(d.Minor)))); err != nil {
		return -1, os.NewSyscallError("mknodat", err)
	}
	b.devices = append(b.devices, name)
	mode, uid, gid := uint32(0o666), uint32(0), uint32(0)
	if d.FileMode != nil {
		mode = uint32(*d.FileMode) & 0o7777
	}
	if d.UID != nil {
		uid = *d.UID
	}
	if d.GID != nil {
		gid = *d.GID
	}
	if host, ok := spec.HostID(s.Linux.UIDMappings, uid); ok {
		uid = host
	}
	if host, ok := spec.HostID(s.Linux.GIDMappings, gid); ok {
		gid = host
	}
	if err := unix.Fchownat(at, name, int(uid), int(gid), unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return -1, os.NewSyscallError("fchownat", err)
	}
	if err := unix.Fchmodat(at, name, mode, 0); err != nil {
		return -1, os.NewSyscallError("fchmodat", err)
	}
	fd, err := unix.OpenTree(at, name, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return -1, os.NewSyscallError("open_tree", err)
	}
	// Directories of states are often mounted nodev.
	usable := unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_NODEV, Propagation: unix.MS_PRIVATE}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &usable); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("mount_setattr", err)
	}
	return fd, nil
}

// removeDevices removes the nodes; their mounts stay.
func (b *Birth) removeDevices() {
	for _, name := range b.devices {
		_ = unix.Unlinkat(int(b.container.Dir.Fd()), name, 0)
	}
	b.devices = nil
}
