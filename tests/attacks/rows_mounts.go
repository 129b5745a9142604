package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/rtcontainers/rt/internal/defence"
	"golang.org/x/sys/unix"
)

// A container with CAP_SYS_ADMIN in its own user namespace must not be able to take
// back what the host's mounts forbid: mount_namespaces(7), "Restrictions on mount
// namespaces".

var mountAttacks = []attack{
	{
		name:     "userns-remount",
		about:    "the root of a user namespace makes a read-only mount of the host writable",
		kinds:    []string{"13.2"},
		defences: []defence.Name{defence.LockedMounts},
		mount: func(t *try) string {
			b := t.attacker("remount-writable", "/ro", "file")
			b.userNamespace(hostID)
			b.capabilities("CAP_SYS_ADMIN")
			t.readOnly("ro", hostID)
			b.bind(t.host("ro"), "/ro")
			b.run()
			return t.changed(t.host("ro", "file"))
		},
	},
	{
		name:     "userns-remount-idmapped",
		about:    "the same for a mount whose ids are mapped",
		kinds:    []string{"13.2"},
		defences: []defence.Name{defence.LockedMounts},
		mount: func(t *try) string {
			b := t.attacker("remount-writable", "/ro", "file")
			b.userNamespace(hostID)
			b.capabilities("CAP_SYS_ADMIN")
			t.readOnly("ro", 0)
			b.bind(t.host("ro"), "/ro", "rbind", "rprivate")
			m := b.mountAt("/ro")
			m.UIDMappings, m.GIDMappings = b.spec.Linux.UIDMappings, b.spec.Linux.GIDMappings
			b.run()
			return t.changed(t.host("ro", "file"))
		},
	},
	{
		name:     "userns-uncover",
		about:    "the root of a user namespace takes off a mount below a recursive bind mount and reads what it hides",
		kinds:    []string{"13.2"},
		defences: []defence.Name{defence.LockedMounts},
		mount: func(t *try) string {
			b := t.attacker("uncover", "/tree/sub", "/tree/sub/secret")
			b.userNamespace(hostID)
			b.capabilities("CAP_SYS_ADMIN")
			t.covered("tree")
			b.bind(t.host("tree"), "/tree", "rbind", "rprivate")
			return tell(b.run(), secret, "read what a mount of the host hides")
		},
	},
	{
		name:     "userns-bind-below",
		about:    "a bind mount that is not recursive shows a user namespace what a mount of the host hides",
		kinds:    []string{"13.2"},
		defences: []defence.Name{defence.LockedMounts},
		mount: func(t *try) string {
			b := t.bundle("cat", "/tree/sub/secret")
			b.userNamespace(hostID)
			t.covered("tree")
			b.bind(t.host("tree"), "/tree", "bind", "rprivate")
			return tell(b.run(), secret, "read what a mount of the host hides")
		},
	},
	{
		name:     "userns-root-nodev",
		about:    "the root of a user namespace clears nodev of the mount that its root file system lies on, and opens a device of the image",
		kinds:    []string{"13.2"},
		defences: []defence.Name{defence.LockedMounts},
		mount: func(t *try) string {
			t.mountTmpfs(t.host("image"), 0)
			b := t.attacker("clear-nodev", "/node")
			image := t.host("image", "rootfs")
			t.must(os.CopyFS(image, os.DirFS(b.root())))
			t.must(os.RemoveAll(b.root()))
			b.spec.Root.Path = image
			t.must(unix.Mknod(filepath.Join(image, "node"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))))
			t.must(os.Chmod(filepath.Join(image, "node"), 0o666))
			t.must(unix.Mount("", t.host("image"), "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_NODEV|unix.MS_NOSUID, ""))
			b.dir, image = t.host("image"), b.dir // whose root file system is to be chowned
			b.userNamespace(hostID)
			b.dir = image
			b.capabilities("CAP_SYS_ADMIN")
			return tell(b.run(), gained, "opened a device of the image")
		},
	},
	{
		name:     "userns-sysfs",
		about:    "the root of a user namespace mounts the container's sysfs again, writable",
		kinds:    []string{"13.15"},
		defences: []defence.Name{defence.ReadOnlySysfs},
		mount: func(t *try) string {
			b := t.attacker("write-sysfs")
			b.userNamespace(hostID)
			b.capabilities("CAP_SYS_ADMIN")
			return tell(b.run(), gained, "sysfs is writable")
		},
	},
}

// hostID is the user on the host that a container's root is.
const hostID = 1000000

func (t *try) mountTmpfs(dir string, flags uintptr) {
	t.must(unix.Mount("tmpfs", t.mkdir(dir), "tmpfs", flags, "mode=755"))
}

// readOnly makes a read-only mount on the host, with a file that is its
// owner's.
func (t *try) readOnly(name string, owner int) {
	// Not a tmpfs, which before Linux 6.3 could not map ids.
	t.must(unix.Mount(t.mkdir(t.host(name)), t.host(name), "", unix.MS_BIND, ""))
	file := t.write(t.host(name, "file"), "original")
	t.must(os.Chown(file, owner, owner))
	t.must(unix.Mount("", t.host(name), "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, ""))
}

// covered makes a mount with a directory whose secret another mount covers.
func (t *try) covered(name string) {
	t.mountTmpfs(t.host(name), 0)
	t.write(t.host(name, "sub", "secret"), secret)
	t.mountTmpfs(t.host(name, "sub"), 0)
}

// changed tells whether a file of the host has been written to.
func (t *try) changed(name string) string {
	if read(name) == "attacked" {
		return "a file of the host was changed"
	}
	return ""
}

// writeSysfs mounts sysfs where it has not been, and tries to take back that it is
// read-only where it is.
func writeSysfs([]string) error {
	fmt.Println("mount:", unix.Mount("sysfs", "/tmp", "sysfs", 0, ""))
	fmt.Println("remount:", unix.Mount("", "/sys", "", unix.MS_REMOUNT|unix.MS_BIND, ""))
	fmt.Println("remount:", unix.Mount("", "/sys", "", unix.MS_REMOUNT, ""))
	for _, place := range []string{"/tmp", "/sys"} {
		var st unix.Statfs_t
		err := unix.Statfs(place, &st)
		if err == nil && st.Type == unix.SYSFS_MAGIC && st.Flags&unix.ST_RDONLY == 0 && unix.Access(place, unix.W_OK) != unix.EROFS {
			fmt.Println(gained, place)
		}
	}
	return nil
}
