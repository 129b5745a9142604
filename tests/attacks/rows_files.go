package main

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rtcontainers/rt/internal/defence"
	"golang.org/x/sys/unix"
)

// Files of the image that the runtime reads or writes itself.

var fileAttacks = []attack{
	{
		name:     "passwd-device",
		about:    "the image's /etc/passwd is a device, which has side effects when it is opened",
		kinds:    []string{"13.4", "CVE-2025-24965"},
		defences: []defence.Name{defence.KnownFiles},
		mount: func(t *try) string {
			b := t.script("true")
			t.must(unix.Mknod(b.root("etc/passwd"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
			return t.opened(b.root("etc/passwd"), func() { b.run() })
		},
	},
	{
		name:     "passwd-fifo",
		about:    "the image's /etc/group and /etc/passwd are fifos",
		kinds:    []string{"13.4", "CVE-2025-24965"},
		defences: []defence.Name{defence.KnownFiles},
		mount: func(t *try) string {
			b := t.script("true")
			t.must(unix.Mkfifo(b.root("etc/passwd"), 0o666))
			b.save()
			return t.opened(b.root("etc/passwd"), func() {
				b.execute(b.command("run", "--bundle", b.dir, b.id), 5*time.Second)
			})
		},
	},
	{
		name:     "passwd-link",
		about:    "the image's /etc/passwd is a symlink to a file of the host, from which HOME is taken",
		kinds:    []string{"CVE-2025-24965"},
		defences: []defence.Name{defence.InRoot},
		mount: func(t *try) string {
			b := t.script("env")
			t.write(t.host("passwd"), "root:x:0:0:root:/"+secret+":/bin/sh\n")
			t.link(t.host("passwd"), b.root("etc/passwd"))
			return tell(b.run(), secret, "HOME is from a file of the host")
		},
	},
	{
		name:     "destination-link",
		about:    "a symlink of the image redirects the destination of a mount to the host",
		kinds:    []string{"CVE-2021-30465", "CVE-2024-45310"},
		defences: []defence.Name{defence.InRoot},
		mount: func(t *try) string {
			b := t.script("true")
			t.link(t.mkdir(t.host("outside")), b.root("link"))
			b.bind(t.mkdir(t.host("volume")), "/link/made")
			b.run()
			return t.made(t.host("outside"))
		},
	},
	{
		name:     "console-link",
		about:    "/dev/console is a symlink of the image to the host",
		kinds:    []string{"CVE-2025-52565"},
		defences: []defence.Name{defence.InRoot},
		mount: func(t *try) string {
			b := t.script("true")
			b.drop("/dev")
			b.drop("/dev/shm")
			b.drop("/dev/mqueue")
			b.mkdir(b.root("dev/pts"))
			t.link(filepath.Join(t.mkdir(t.host("outside")), "made"), b.root("dev/console"))
			b.onTerminal()
			return t.made(t.host("outside"))
		},
	},
	{
		name:     "terminal-file",
		about:    "the image's /dev/pts/ptmx is a file of its own, and the runtime opens it",
		kinds:    []string{"13.4", "CVE-2025-52565"},
		defences: []defence.Name{defence.CheckedDevices},
		mount: func(t *try) string {
			b := t.script("true")
			for _, destination := range []string{"/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"} {
				b.drop(destination)
			}
			b.mkdir(b.root("dev/pts"))
			t.must(unix.Mkfifo(b.root("dev/pts/ptmx"), 0o666))
			return t.opened(b.root("dev/pts/ptmx"), func() { b.onTerminal() })
		},
	},
	{
		name:     "mask-null",
		about:    "the /dev/null that masks files is not the device: the runtime itself runs in a container whose /dev/null is a file",
		kinds:    []string{"CVE-2025-31133", "youki CVE-2025-62161"},
		defences: []defence.Name{defence.CheckedDevices},
		mount: func(t *try) string {
			b := t.bundle("cat", "/proc/keys")
			t.must(unix.Mount(t.write(t.host("null"), secret), "/dev/null", "", unix.MS_BIND, ""))
			defer func() { t.must(unix.Unmount("/dev/null", unix.MNT_DETACH)) }()
			b.save()
			cmd := b.command("run", "--bundle", b.dir, b.id)
			zero, err := os.Open("/dev/zero")
			t.must(err)
			defer zero.Close()
			cmd.Stdin = zero
			return tell(b.execute(cmd, commandTime), secret, "a file of the host is visible where a mask should be")
		},
	},
	{
		name:     "mask-null-image",
		about:    "the image, or a volume on /dev, has a /dev/null that is a symlink, whose target is mounted in place of a mask",
		kinds:    []string{"CVE-2025-31133", "youki CVE-2025-62161"},
		defences: []defence.Name{defence.MaskedPaths},
		mount: func(t *try) string {
			b := t.bundle("grep", "-c", "", "/proc/timer_list", "/proc/keys", "/proc/version")
			dev := t.mkdir(t.host("dev"))
			for _, name := range []string{"pts", "shm", "mqueue"} {
				t.mkdir(filepath.Join(dev, name))
			}
			t.link("/proc/version", filepath.Join(dev, "null"))
			b.drop("/dev")
			b.bind(dev, "/dev")
			mounts := b.spec.Mounts
			b.spec.Mounts = append(mounts[len(mounts)-1:], mounts[:len(mounts)-1]...)
			r := b.run()
			for _, line := range strings.Split(r.stdout, "\n") {
				if (strings.HasPrefix(line, "/proc/timer_list:") || strings.HasPrefix(line, "/proc/keys:")) && !strings.HasSuffix(line, ":0") {
					return "not masked: " + line
				}
			}
			return ""
		},
	},
}

// made lists what was made in a directory of the host.
func (t *try) made(dir string) string {
	entries, err := os.ReadDir(dir)
	t.must(err)
	if len(entries) == 0 {
		return ""
	}
	return entries[0].Name() + " was made on the host"
}

// opened tells whether a file was opened, not only by name (O_PATH), while f ran:
// inotify(7).
func (t *try) opened(name string, f func()) string {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	t.must(err)
	defer unix.Close(fd)
	_, err = unix.InotifyAddWatch(fd, name, unix.IN_OPEN)
	t.must(err)
	f()
	if n, _ := unix.Read(fd, make([]byte, 4096)); n > 0 {
		return "the runtime opened it"
	}
	return ""
}
