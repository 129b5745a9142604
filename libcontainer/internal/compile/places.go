package compile

import (
	"maps"
	"path"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// Safety rule: rt reaches files on a mount that it made from that mount's descriptor.
// Whoever shares the root file system can replace /proc or /dev by a rename at any moment,
// and a path from the root would lead elsewhere.

// made are the file systems that were mounted for the container and that other paths are
// on: by destination, with their descriptors, which stay open.
type made struct {
	mounts map[string]madeMount
	// above are the directories above paths that will be opened.
	above map[string]bool
}

type madeMount struct {
	fd     program.Reg
	fstype string
}

// kernelFiles are file systems whose names nobody in a container can change. rtFiles begin
// empty, and only rt makes files there before the container runs. So no symlink leads out
// of these.
var (
	kernelFiles = []string{"proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue"}
	rtFiles     = []string{"tmpfs", "ramfs"}
)

// maxMade limits the registers and descriptors for this.
const maxMade = 16

// wanted records all paths that are opened below a mount.
func (c *compiler) wanted() {
	c.made = made{mounts: map[string]madeMount{}, above: map[string]bool{}}
	if defence.Off(defence.MountDescriptors) {
		return
	}
	for i := range c.spec.Mounts {
		c.made.want(c.spec.Mounts[i].Destination)
	}
	for _, d := range DefaultDevices {
		c.made.want(d.Path)
	}
	if c.spec.Process != nil && c.spec.Process.Terminal {
		c.made.want("/dev/console")
		c.made.want("/dev/pts/ptmx")
	}
	if c.spec.Process != nil {
		c.made.want(c.spec.Process.Cwd + "/.")
	}
	l := c.spec.Linux
	if l == nil {
		return
	}
	for i := range l.Devices {
		c.made.want(l.Devices[i].Path)
	}
	for _, list := range [][]string{l.MaskedPaths, l.ReadonlyPaths} {
		for _, name := range list {
			c.made.want(name)
		}
	}
}

func (m *made) want(name string) {
	for dir := path.Dir(path.Clean("/" + name)); !m.above[dir]; dir = path.Dir(dir) {
		m.above[dir] = true
	}
}

// mountedHere handles a mount: files at that place, or below, are not reached by path any
// more. It tells whether fd stays open.
func (c *compiler) mountedHere(destination, fstype string, copied bool, fd program.Reg) bool {
	name := path.Clean("/" + destination)
	c.covered(name)
	kept := !copied && (slices.Contains(kernelFiles, fstype) || slices.Contains(rtFiles, fstype))
	if kept && c.made.above[name] && len(c.made.mounts) < maxMade {
		c.made.mounts[name] = madeMount{fd, fstype}
		return true
	}
	return false
}

// covered forgets the mounts at a path and below.
func (c *compiler) covered(name string) {
	for _, other := range slices.Sorted(maps.Keys(c.made.mounts)) {
		m := c.made.mounts[other]
		if other == name || name == "/" || strings.HasPrefix(other, name+"/") {
			delete(c.made.mounts, other)
			if m.fd != c.proc {
				c.close(m.fd)
			}
		}
	}
}

// procfs returns a procfs of the container's pid namespace that the program mounted
// itself: no image can replace it.
func (c *compiler) procfs() program.Reg {
	if c.proc == program.Scratch {
		c.proc = c.newMount("proc", "proc", mountOptions{})
	}
	return c.proc
}

// place is where a path of the container is opened from.
type place struct {
	dir  program.Reg
	name string
	// fstype is the type of the mount whose root dir is, "" for the container's root
	// directory.
	fstype string
}

// place finds the mount that a path is on, if rt has made it.
func (c *compiler) place(name string) place {
	root := place{dir: c.root, name: name}
	if slices.Contains(strings.Split(name, "/"), "..") {
		return root // only the kernel knows where that leads
	}
	clean := path.Clean("/" + name)
	for at := clean; at != "/"; at = path.Dir(at) {
		if m, ok := c.made.mounts[at]; ok {
			below := strings.TrimPrefix(clean[len(at):], "/")
			if below == "" {
				below = "."
			}
			return place{dir: m.fd, name: below, fstype: m.fstype}
		}
	}
	return root
}

// kernels is place for paths where hooks may have made symlinks, except on file systems
// where they cannot.
func (c *compiler) kernels(name string) place {
	if p := c.place(name); slices.Contains(kernelFiles, p.fstype) {
		return p
	}
	return place{dir: c.root, name: name}
}

// resolve is how the path is walked: never out of the mount that it is on.
func (p place) resolve(how uint64) uint64 {
	if p.fstype != "" {
		return how&^unix.RESOLVE_IN_ROOT | unix.RESOLVE_BENEATH
	}
	return how
}

// openPlace opens a place into dst.
func (c *compiler) openPlace(dst program.Reg, p place, flags, resolve uint64) program.Step {
	return c.openat2(dst, program.R(p.dir), p.name, flags, p.resolve(resolve))
}

// procFiles are the files of a procfs that may be mounted over: emulations of machine
// information, as lxcfs has them.
var procFiles = []string{
	"/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps", "/proc/uptime", "/proc/loadavg",
	"/proc/slabinfo", "/proc/net/dev", "/proc/sys/kernel/ns_last_pid", "/proc/sys/crypto/fips_enabled",
}

// checkDestination refuses mounts over files of a procfs, and over files of a sysfs that
// the destination does not name: an image's symlink would decide what the container and
// its security modules read there (CVE-2019-16884, CVE-2019-19921). The mount point is
// open; its file system tells.
func (c *compiler) checkDestination(target program.Reg, m *specs.Mount) {
	destination := path.Clean("/" + m.Destination)
	if defence.Off(defence.ProcDestination) || spec.IsRoot(destination) {
		return
	}
	if p := c.place(m.Destination); p.fstype != "" && p.fstype != "proc" {
		return // there can be no other
	}
	proc := slices.Contains(procFiles, destination) || c.mountsOn(destination, "proc")
	sys := c.mountsOn(destination, "sysfs")
	if proc && sys {
		return
	}
	kind, refuse := c.Reg(), c.NewLabel("on a file system of the kernel's")
	c.Do(program.Fstatfs, program.R(target), program.At(c.stat)).For("check which file system " + m.Destination + " is on")
	c.Load(kind, 8, c.stat)
	if !proc {
		c.Branch(kind, program.Eq, unix.PROC_SUPER_MAGIC, refuse)
	}
	if !sys {
		c.Branch(kind, program.Eq, unix.SYSFS_MAGIC, refuse)
	}
	c.Free(kind)
	source, purpose := c.note()
	c.later(source, purpose, func() {
		c.Bind(refuse)
		c.fail(purpose + ": rt does not mount over a procfs or sysfs; choose another destination")
	})
}

// checkTarget refuses an open mount point where nothing may be mounted.
func (c *compiler) checkTarget(target program.Reg, m *specs.Mount) {
	c.checkDestination(target, m)
	if !spec.IsRoot(m.Destination) && c.place(m.Destination).fstype == "" {
		c.checkNotRoot(target, m.Destination)
	}
}

// checkNotRoot refuses a place that is the root directory itself, through a symlink: a
// mount there hides all others from processes that enter the container later, but not from
// those that are in it.
func (c *compiler) checkNotRoot(target program.Reg, name string) {
	if defence.Off(defence.RootDestination) {
		return
	}
	const (
		attributes = 9    // the second byte of stx_attributes: statx(2)
		mountRoot  = 0x20 // of STATX_ATTR_MOUNT_ROOT, above all others there
		mountID    = 144  // stx_mnt_id
	)
	stat := func(fd program.Reg) {
		c.Do(program.Statx, program.R(fd), c.Str(""), program.Imm(unix.AT_EMPTY_PATH), program.Imm(unix.STATX_MNT_ID), program.At(c.stat)).
			For("check whether " + name + " is the root directory")
	}
	r, another, isMount := c.Reg(), c.NewLabel("another directory"), c.NewLabel("the root of a mount")
	stat(target)
	c.Load(r, 1, c.stat.Plus(attributes))
	c.Branch(r, program.Ge, mountRoot, isMount)
	c.Bind(another)
	c.Free(r)
	source, purpose := c.note()
	c.later(source, purpose, func() {
		c.Bind(isMount)
		id := c.Reg()
		stat(c.root)
		c.Load(id, 4, c.stat.Plus(mountID))
		stat(target)
		// futex(2) compares a number in memory with another, and does not wait here.
		c.Do(program.Futex, program.At(c.stat.Plus(mountID)), program.Imm(futexWait), program.R(id), program.At(c.Struct("no time", program.U64(0), program.U64(0)))).
			To(id).Ignore(unix.EAGAIN, unix.ETIMEDOUT).For("compare the mounts")
		c.Branch(id, program.Ne, -int64(unix.ETIMEDOUT), another)
		c.Free(id)
		c.fail(purpose + ": a symlink leads to the container's root directory; choose another destination")
	})
}

const futexWait = 0x80 // FUTEX_WAIT | FUTEX_PRIVATE_FLAG

// mountsOn tells whether the configuration itself wants a mount on such a file system at
// this destination: at the same place again, or, in a sysfs, below it.
func (c *compiler) mountsOn(destination, fstype string) bool {
	kernels := map[string]string{"proc": "/proc", "sysfs": "/sys"}[fstype]
	mounts := c.spec.Mounts
	if fstype == "sysfs" {
		mounts = slices.Concat(c.before, mounts)
	}
	return slices.ContainsFunc(mounts, func(m specs.Mount) bool {
		at := path.Clean("/" + m.Destination)
		is := m.Type == fstype || spec.IsBind(&m) && (m.Source == kernels || strings.HasPrefix(m.Source, kernels+"/"))
		return is && (at == destination || fstype == "sysfs" && strings.HasPrefix(destination, at+"/"))
	})
}

// checkProcSource refuses to bind anything but a procfs to /proc: a process there that
// changes its label would write to a file of somebody's choice.
func (c *compiler) checkProcSource(tree program.Reg, m *specs.Mount) {
	if path.Clean("/"+m.Destination) != "/proc" || defence.Off(defence.ProcDestination) {
		return
	}
	kind, right := c.Reg(), c.NewLabel("a procfs")
	c.Do(program.Fstatfs, program.R(tree), program.At(c.stat)).For("check whether the source is a procfs")
	c.Load(kind, 8, c.stat)
	c.Branch(kind, program.Eq, unix.PROC_SUPER_MAGIC, right)
	_, purpose := c.note()
	c.fail(purpose + ": only a procfs can be mounted on /proc")
	c.Bind(right)
	c.Free(kind)
}
