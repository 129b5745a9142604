package libcontainer

import (
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// isDevice tells whether a descriptor is on the device that the configuration means.
func isDevice(fd int, d *specs.LinuxDevice) bool {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return false
	}
	kind, _ := spec.DeviceTypes.Find(d.Type)
	return st.Mode&unix.S_IFMT == kind &&
		(d.Type == "p" || st.Rdev == unix.Mkdev(uint32(d.Major), uint32(d.Minor)))
}

// makeDevice makes a device node for a container with a user namespace, which may not
// make one, and returns a mount of it. The node itself is in the container's state
// directory until the mount is at its place.
func (b *creation) makeDevice(d *specs.LinuxDevice) (int, error) {
	at, name, s := int(b.dir.Fd()), fmt.Sprintf("device-%d", len(b.devices)), b.spec
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
	// Directories of states are often where devices are not to be used.
	usable := unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_NODEV, Propagation: unix.MS_PRIVATE}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &usable); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("mount_setattr", err)
	}
	return fd, nil
}

// removeDevices removes the nodes, which stay where they are mounted.
func (b *creation) removeDevices() {
	for _, name := range b.devices {
		_ = unix.Unlinkat(int(b.dir.Fd()), name, 0)
	}
	b.devices = nil
}
