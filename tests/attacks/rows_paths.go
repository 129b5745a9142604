package main

import (
	"fmt"
	"os"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
)

// Paths that others change while the runtime walks them.

var pathAttacks = []attack{
	{
		name:     "masks-shared-root",
		about:    "a neighbour that shares the root file system exchanges /proc while it is masked",
		kinds:    []string{"13.5", "CVE-2019-16884", "CVE-2025-31133"},
		defences: []defence.Name{defence.MountDescriptors},
		race:     true,
		patience: 5 * minute,
		mount: func(t *try) string {
			v := t.attacker("open-for-writing", "/proc/sys/kernel/core_pattern", "/other/sys/kernel/core_pattern")
			v.mkdir(v.root("other"))
			t.neighbour(v.root(), "swap", "/volume/proc", "/volume/other")
			for i := range t.times(100) {
				if tell(v.run(), gained, gained) != "" {
					return fmt.Sprintf("core_pattern could be written to in try %d", i+1)
				}
				v.remove()
			}
			return ""
		},
	},
	{
		name:     "walk-disturbed",
		about:    "a neighbour without any rights renames files in its own /tmp, and other containers cannot be created",
		kinds:    []string{"13.6"},
		defences: []defence.Name{defence.RetriedWalks},
		race:     true,
		patience: 5 * minute,
		mount: func(t *try) string {
			n := t.attacker("rename", "/tmp")
			n.start()
			v := t.script("true")
			t.mkdir(v.root("a/b/c"))
			t.link("../../../run", v.root("a/b/c/run"))
			t.mkdir(v.root("run"))
			for i := range 8 {
				v.spec.Mounts = append(v.spec.Mounts, specs.Mount{Destination: fmt.Sprintf("/a/b/c/run/%d", i), Type: "tmpfs", Source: "tmpfs"})
			}
			for i := range t.times(100) {
				if r := v.run(); r.code != 0 {
					return fmt.Sprintf("creation %d failed: %s", i+1, shorten(r.stderr))
				}
			}
			return ""
		},
	},
	{
		name:     "copyup-memory",
		about:    "an image lets the runtime copy more into a tmpfs than the container's memory limit allows",
		kinds:    []string{"13.7"},
		defences: []defence.Name{defence.ChargedCopies},
		mount: func(t *try) string {
			const limit, size = 24 << 20, 96 << 20
			b := t.script("sleep 100")
			b.mkdir(b.root("data"))
			b.must(os.WriteFile(b.root("data", "blob"), make([]byte, size), 0o644))
			b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/data", Type: "tmpfs", Source: "tmpfs", Options: []string{"tmpcopyup"}})
			n := int64(limit)
			b.spec.Linux.Resources.Memory = &specs.LinuxMemory{Limit: &n}
			b.save()
			if r := b.do("run", "--detach", "--bundle", b.dir, b.id); r.code != 0 {
				return ""
			}
			info, err := os.Stat(filepath.Join(b.proc("root"), "data", "blob"))
			if err != nil || info.Size() < size {
				return ""
			}
			charged := read("/sys/fs/cgroup/memory/" + b.id + "/memory.max_usage_in_bytes")
			return fmt.Sprintf("%d bytes were copied with a limit of %d; charged: %s", info.Size(), limit, charged)
		},
	},
	{
		name:     "volume-over-proc",
		about:    "a symlink of the image redirects a volume to /proc",
		kinds:    []string{"13.14", "CVE-2019-16884", "CVE-2019-19921", "CVE-2023-27561"},
		defences: []defence.Name{defence.ProcDestination},
		mount:    func(t *try) string { return t.volumeOver("/proc", "/proc") },
	},
	{
		name:     "volume-over-proc-sys",
		about:    "a symlink of the image redirects a volume to a directory of /proc/sys",
		kinds:    []string{"13.14"},
		defences: []defence.Name{defence.ProcDestination},
		mount:    func(t *try) string { return t.volumeOver("/proc/sys/kernel", "/proc/sys/kernel") },
	},
	{
		name:     "volume-over-proc-self",
		about:    "a symlink of the image redirects a volume to the attributes of the process, where labels are written",
		kinds:    []string{"13.14", "CVE-2019-16884"},
		defences: []defence.Name{defence.ProcDestination},
		mount:    func(t *try) string { return t.volumeOver("/proc/self/attr", "/proc/1/attr") },
	},
	{
		name:     "volume-over-sys",
		about:    "a symlink of the image redirects a volume to /sys",
		kinds:    []string{"13.14"},
		defences: []defence.Name{defence.ProcDestination},
		mount:    func(t *try) string { return t.volumeOver("/sys", "/sys") },
	},
}

// volumeOver mounts a volume on /data, which the image makes a symlink to target, and
// looks for the volume's file in place.
func (t *try) volumeOver(target, place string) string {
	b := t.bundle("cat", filepath.Join(place, "planted"))
	t.write(t.host("volume", "planted"), secret)
	t.link(target, b.root("data"))
	b.bind(t.host("volume"), "/data")
	return tell(b.run(), secret, "the volume is mounted on "+place)
}
