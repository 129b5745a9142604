package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
	"golang.org/x/sys/unix"
)

// A container with CAP_SYS_ADMIN in its own user namespace must not be able to lift the
// restrictions of the host's mounts: mount_namespaces(7), "Restrictions on mount
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
		about:    "the root of a user namespace unmounts a mount below a recursive bind mount and reads what it hides",
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
		about:    "a non-recursive bind mount shows a user namespace what a mount of the host hides",
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
		about:    "the root of a user namespace clears nodev on the mount of its root file system, and opens a device of the image",
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
		name:     "mounts-add-remount",
		about:    "the root of a user namespace makes a read-only mount of the host writable that was added while it ran",
		kinds:    []string{"13.2"},
		defences: []defence.Name{defence.LockedMounts},
		ours:     true,
		mount: func(t *try) string {
			b := t.attacker("remount-added", "/ro", "file")
			b.userNamespace(hostID)
			b.capabilities("CAP_SYS_ADMIN")
			t.readOnly("ro", hostID)
			b.start()
			if r := b.mounts("add", specs.Mount{Destination: "/ro", Type: "bind", Source: t.host("ro"), Options: []string{"rbind", "rprivate"}}); r.code != 0 {
				t.fail("mounts add: %s", r.stderr)
			}
			b.waitForEnd()
			return t.changed(t.host("ro", "file"))
		},
	},
	{
		name:     "mounts-add-race",
		about:    "a container exchanges a directory with a symlink to the host while mounts are added below it",
		kinds:    []string{"CVE-2021-30465", "CVE-2024-45310"},
		defences: []defence.Name{defence.InRoot, defence.ExactPlaces},
		race:     true,
		ours:     true,
		patience: 5 * minute,
		mount: func(t *try) string {
			b := t.swapper(t.mkdir(t.host("outside")))
			m := specs.Mount{Destination: "/a/made", Type: "tmpfs", Source: "tmpfs"}
			for i := range t.times(100) {
				r := b.mounts("add", m)
				entries, err := os.ReadDir(t.host("outside"))
				t.must(err)
				if len(entries) > 0 {
					return fmt.Sprintf("%s was made on the host in try %d", entries[0].Name(), i+1)
				}
				if r.code != 0 && !strings.Contains(r.stderr, "symlink") {
					t.fail("mounts add: %s", r.stderr)
				}
			}
			return ""
		},
	},
	{
		name:     "mounts-add-over-proc",
		about:    "a container exchanges a directory with a symlink to /proc while a mount is added below it",
		kinds:    []string{"13.14", "CVE-2019-16884", "CVE-2019-19921"},
		defences: []defence.Name{defence.ProcDestination, defence.ExactPlaces},
		race:     true,
		ours:     true,
		patience: 5 * minute,
		mount: func(t *try) string {
			b := t.swapper("/proc/sys")
			b.mkdir(b.root("a", "kernel"))
			m := specs.Mount{Destination: "/a/kernel", Type: "tmpfs", Source: "tmpfs"}
			for i := range t.times(50) {
				b.mounts("add", m)
				if strings.Contains(read(b.proc("mountinfo")), " /proc/sys/kernel ") {
					return fmt.Sprintf("a mount is on /proc/sys/kernel in try %d", i+1)
				}
			}
			return ""
		},
	},
	{
		name:     "mounts-remove-mask",
		about:    "a container redirects the removal of a mount to a mask of its /proc with a symlink",
		kinds:    []string{"linux.maskedPaths"},
		defences: []defence.Name{defence.ProcDestination, defence.ExactPlaces},
		ours:     true,
		mount: func(t *try) string {
			b := t.script("sleep 100")
			b.link("/proc", b.root("data"))
			b.spec.Linux.MaskedPaths = []string{"/proc/uptime"}
			b.start()
			masked := func() bool { return strings.Contains(read(b.proc("mountinfo")), " /proc/uptime ") }
			if !masked() {
				t.fail("/proc/uptime is not masked")
			}
			if b.mounts("remove", specs.Mount{Destination: "/data/uptime"}); !masked() {
				return "/proc/uptime is masked no more"
			}
			return ""
		},
	},
	{
		name:     "mounts-remove-mask-link",
		about:    "the same to a mask elsewhere in its root",
		kinds:    []string{"linux.maskedPaths"},
		defences: []defence.Name{defence.ExactPlaces},
		ours:     true,
		mount: func(t *try) string {
			b := t.script("sleep 100")
			t.write(b.root("etc", "secret"), secret)
			b.link("/etc", b.root("data"))
			b.spec.Linux.MaskedPaths = []string{"/etc/secret"}
			b.start()
			if r := b.exec("cat", "/etc/secret"); r.stdout != "" {
				t.fail("/etc/secret is not masked")
			}
			b.mounts("remove", specs.Mount{Destination: "/data/secret"})
			return tell(b.exec("cat", "/etc/secret"), secret, "/etc/secret is masked no more")
		},
	},
	{
		name:     "root-link",
		about:    "the image has a symlink to / where a volume is mounted, and later processes have the volume as their root, without masks",
		kinds:    []string{"CVE-2023-27561"},
		defences: []defence.Name{defence.RootDestination},
		mount: func(t *try) string {
			b := t.script("sleep 100")
			b.link("/", b.root("volume"))
			t.mkdir(t.host("volume", "bin"))
			t.must(copyFile(b.root("bin", "busybox"), t.host("volume", "bin", "cat")))
			t.write(t.host("volume", "secret"), secret)
			b.bind(t.host("volume"), "/volume", "rbind", "rw")
			b.save()
			if r := b.do("run", "--bundle", b.dir, "--detach", b.id); r.code != 0 {
				return "" // it is not made
			}
			return tell(b.exec("/bin/cat", "/secret"), secret, "a process has the volume as its root directory")
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

// mounts adds mounts to the container, or removes them.
func (b *bundle) mounts(command string, mounts ...specs.Mount) result {
	data, err := json.Marshal(mounts)
	b.must(err)
	return b.do("mounts", command, b.id, b.write(filepath.Join(b.dir, "mounts.json"), string(data)))
}

// swapper starts a container that exchanges the directory /a and a symlink in an endless
// loop.
func (t *try) swapper(target string) *bundle {
	b := t.attacker("swap", "/a", "/b")
	b.mkdir(b.root("a"))
	b.link(target, b.root("b"))
	b.start()
	return b
}

// waitForEnd waits until the container's process has ended.
func (b *bundle) waitForEnd() {
	b.await("the end of the attacker", func() bool { return strings.Contains(b.do("state", b.id).stdout, `"stopped"`) })
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

// writeSysfs mounts sysfs if it is not mounted, and tries to remount it writable if it is
// read-only.
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

// remountAdded waits for a mount, and makes it writable.
func remountAdded(args []string) error {
	for begin := time.Now(); time.Since(begin) < commandTime; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(filepath.Join(args[0], args[1])); err == nil {
			return remountWritable(args)
		}
	}
	return fmt.Errorf("nothing was mounted on %s", args[0])
}
