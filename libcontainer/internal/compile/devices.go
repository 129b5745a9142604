package compile

import (
	"fmt"
	"path"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// DefaultDevices are those that every container has: config-linux.md,
// "Default Devices".
var DefaultDevices = []specs.LinuxDevice{
	{Path: "/dev/null", Type: "c", Major: 1, Minor: 3},
	{Path: "/dev/zero", Type: "c", Major: 1, Minor: 5},
	{Path: "/dev/full", Type: "c", Major: 1, Minor: 7},
	{Path: "/dev/random", Type: "c", Major: 1, Minor: 8},
	{Path: "/dev/urandom", Type: "c", Major: 1, Minor: 9},
	{Path: "/dev/tty", Type: "c", Major: 5, Minor: 0},
}

// symlinks of /dev: runtime-linux.md, "Dev symbolic links", and the ptmx of
// config-linux.md.
var symlinks = [][2]string{
	{"/proc/self/fd", "fd"}, {"/proc/self/fd/0", "stdin"}, {"/proc/self/fd/1", "stdout"},
	{"/proc/self/fd/2", "stderr"}, {"/proc/kcore", "core"}, {"pts/ptmx", "ptmx"},
}

// devices fills /dev, unless the configuration mounts a /dev of the host.
func (c *compiler) devices() {
	if c.foreignDev() {
		return
	}
	dev := c.Reg()
	c.Source("linux.devices", "open /dev")
	c.target(dev, "/dev", inRoot, "linux.devices", func() {
		c.makePath(dev, "/dev", inRoot, Directory)
	})
	for _, d := range DefaultDevices {
		c.Source("linux.devices", "make the default device "+d.Path)
		if !c.listed(d.Path) && !c.mountedOn(d.Path) {
			c.device(dev, "linux.devices", &d)
		}
	}
	if l := c.spec.Linux; l != nil {
		for i := range l.Devices {
			d := &l.Devices[i]
			field := index("linux.devices", i)
			c.Source(field, "make the device "+d.Path)
			c.device(dev, field, d)
		}
	}
	c.Source("linux.devices", "make the symlinks of /dev")
	for _, s := range symlinks {
		c.Do(program.Symlinkat, c.Str(s[0]), program.R(dev), c.Str(s[1])).Ignore(unix.EEXIST)
	}
	c.close(dev)
}

func (c *compiler) foreignDev() bool {
	return slices.ContainsFunc(c.spec.Mounts, func(m specs.Mount) bool {
		return path.Clean(m.Destination) == "/dev" && spec.IsBind(&m)
	})
}

// mountedOn tells whether something is mounted at a path, for example /dev/urandom at
// /dev/random.
func (c *compiler) mountedOn(name string) bool {
	return slices.ContainsFunc(c.spec.Mounts, func(m specs.Mount) bool { return path.Clean("/"+m.Destination) == name })
}

func (c *compiler) listed(name string) bool {
	return c.spec.Linux != nil && slices.ContainsFunc(c.spec.Linux.Devices, func(d specs.LinuxDevice) bool {
		return path.Clean(d.Path) == name
	})
}

// device makes one device node. If the container's user namespace forbids mknod, it binds
// the host's node to the same place.
func (c *compiler) device(dev program.Reg, field string, d *specs.LinuxDevice) {
	if c.spec.Linux != nil && (spec.FindNamespace(c.spec, specs.UserNamespace) != nil || !c.host.Privileged) {
		c.bindDevice(field, d)
		return
	}
	dir, opened := dev, program.Scratch
	name, ok := strings.CutPrefix(path.Clean(d.Path), "/dev/")
	if !ok || strings.Contains(name, "/") {
		opened = c.Reg()
		parent := path.Dir(path.Clean(d.Path))
		c.target(opened, parent, inRoot, field, func() {
			c.makePath(opened, parent, inRoot, Directory)
		})
		dir, name = opened, path.Base(d.Path)
	}
	mode := uint32(0o666)
	if d.FileMode != nil {
		mode = uint32(*d.FileMode) & 0o7777
	}
	kind, _ := spec.DeviceTypes.Find(d.Type)
	exists, made := c.NewLabel("there already"), c.NewLabel("made")
	c.Do(program.Mknodat, program.R(dir), c.Str(name), program.Imm(kind|mode),
		program.Imm(unix.Mkdev(uint32(d.Major), uint32(d.Minor)))).OnError(exists, unix.EEXIST)
	c.Bind(made)
	source, purpose := c.note()
	c.later(source, purpose, func() {
		c.Bind(exists)
		c.existingDevice(dir, name, d, kind)
		c.Jump(made)
	})
	if d.UID != nil || d.GID != nil {
		c.ownDevice(dir, name, d)
	}
	if opened != program.Scratch {
		c.close(opened)
	}
}

// existingDevice accepts a file that is already the device. config-linux.md, "Devices":
// any other file is an error.
func (c *compiler) existingDevice(dir program.Reg, name string, d *specs.LinuxDevice, kind uint32) {
	const offModeHigh = offMode + 1 // its upper half is the type
	n := c.Reg()
	wrong, right := c.NewLabel("another file"), c.NewLabel("the device")
	c.Do(program.Statx, program.R(dir), c.Str(name), program.Imm(unix.AT_SYMLINK_NOFOLLOW), program.Imm(unix.STATX_TYPE), program.At(c.stat))
	c.Load(n, 1, c.stat.Plus(offModeHigh))
	c.Branch(n, program.Lt, int64(kind>>8), wrong)
	c.Branch(n, program.Ge, int64(kind>>8)+16, wrong)
	c.Load(n, 4, c.stat.Plus(offMajor))
	c.Branch(n, program.Ne, d.Major, wrong)
	c.Load(n, 4, c.stat.Plus(offMinor))
	c.Branch(n, program.Eq, d.Minor, right)
	c.Bind(wrong)
	c.fail(fmt.Sprintf("%s exists already and is another file", d.Path))
	c.Bind(right)
	c.Free(n)
}

func (c *compiler) ownDevice(dir program.Reg, name string, d *specs.LinuxDevice) {
	var uid, gid uint32
	if d.UID != nil {
		uid = *d.UID
	}
	if d.GID != nil {
		gid = *d.GID
	}
	c.Do(program.Fchownat, program.R(dir), c.Str(name), program.Imm(uid), program.Imm(gid), program.Imm(unix.AT_SYMLINK_NOFOLLOW)).For("give " + d.Path + " its owner")
}

func (c *compiler) bindDevice(field string, d *specs.LinuxDevice) {
	var tree program.Reg
	if slices.ContainsFunc(DefaultDevices, func(own specs.LinuxDevice) bool { return own.Path == d.Path }) {
		tree = c.openTree(d.Path, 0) // everybody may walk there
	} else {
		tree = c.deviceTree(field, d)
	}
	c.setAttributes(tree, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC, 0, 0, false)
	if d.Type != "p" {
		c.checkDevice(tree, d.Major, d.Minor, fmt.Sprintf("the host's %s is not device %d:%d", d.Path, d.Major, d.Minor))
	}
	target := c.Reg()
	c.target(target, d.Path, inRoot, field, func() {
		c.makePath(target, d.Path, inRoot, EmptyFile)
	})
	c.moveMount(tree, target)
	c.close(target, tree)
}

// deviceTree is a mount of the host's node, or of one that the parent makes if the host
// has none at that path.
func (c *compiler) deviceTree(field string, d *specs.LinuxDevice) program.Reg {
	if !c.hostOpens() {
		tree, missing := c.Reg(), c.NewLabel("the host has none")
		c.Do(program.OpenTree, program.AtFdcwd, c.Str(d.Path), program.Imm(copyTree)).To(tree).OnError(missing, unix.ENOENT)
		source, purpose := c.note()
		c.later(source, purpose, func() {
			c.Bind(missing)
			c.fail(fmt.Sprintf("the host has no %s, and only root can make it: choose a path at which the host has the device", d.Path))
		})
		return tree
	}
	tree, answer, made := c.Reg(), c.Reg(), c.NewLabel("the parent has made it")
	c.fetch(tree, RequestSource{c.source(Source{Path: d.Path, Field: field, Device: d})}, "let the parent open or make "+d.Path)
	c.Load(answer, 1, c.reply)
	c.Branch(answer, program.Eq, SourceMade, made)
	c.Do(program.OpenTree, program.R(tree), c.Str(""), program.Imm(copyTree|unix.AT_EMPTY_PATH)).To(answer)
	c.Do(program.Close, program.R(tree))
	c.Move(tree, program.R(answer))
	c.Bind(made)
	c.Free(answer)
	return tree
}
