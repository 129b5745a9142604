package compile

import (
	"fmt"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// mountOptions is mounts[].options sorted by who handles them.
type mountOptions struct {
	set, clear   uint64 // attributes of the mount
	rset, rclear uint64 // attributes of the whole tree
	propagation  uint64
	recursive    bool // the propagation is for the whole tree
	rbind        bool
	remount      bool
	copyUp       bool // tmpcopyup: begin with the content of the mount point
	idmap        bool // map the ids, of the whole tree with ridmap
	ridmap       bool
	copySymlink  bool // see spec.OptionCopySymlink, and so on
	srcNofollow  bool
	destNofollow bool
	super        []string // superblock flags
	data         []string // the file system's own, name or name=value
}

func parseOptions(options []string) mountOptions {
	var o mountOptions
	for _, name := range options {
		if a, ok := spec.FindMountOption(name); ok {
			if a.Recursive {
				o.rset, o.rclear = o.rset&^a.Clear|a.Set, o.rclear&^a.Set|a.Clear
			} else {
				o.set, o.clear = o.set&^a.Clear|a.Set, o.clear&^a.Set|a.Clear
			}
			continue
		}
		if p, ok := spec.Propagations.Find(name); ok {
			o.propagation, o.recursive = p, name[0] == 'r'
			continue
		}
		switch {
		case name == "":
		case name == "rbind":
			o.rbind = true
		case name == "remount":
			o.remount = true
		case name == "tmpcopyup":
			o.copyUp = true
		case name == "idmap":
			o.idmap = true
		case name == "ridmap":
			o.idmap, o.ridmap = true, true
		case name == spec.OptionCopySymlink:
			o.copySymlink = true
		case name == spec.OptionSrcNofollow:
			o.srcNofollow = true
		case name == spec.OptionDestNofollow:
			o.destNofollow = true
		case slices.Contains(spec.SuperblockFlags, name):
			o.super = append(o.super, name)
		case spec.IsIgnoredOption(name):
		default:
			o.data = append(o.data, name)
		}
	}
	return o
}

// mounts makes the entries of mounts, in order.
func (c *compiler) mounts() {
	for i := range c.spec.Mounts {
		m := &c.spec.Mounts[i]
		o := parseOptions(m.Options)
		field := index("mounts", i)
		c.Source(field, fmt.Sprintf("mount %s on %q", mountWhat(m), m.Destination))
		switch {
		case o.remount:
			c.Source(field, fmt.Sprintf("remount %q, which must be a mount point", m.Destination))
			c.remount(m, o)
		case spec.IsBind(m):
			c.bind(i, m, o)
		case m.Type == "cgroup", m.Type == "cgroup2":
			c.cgroupMount(field, m, o)
		default:
			c.fileSystem(field, m, o)
		}
	}
}

// mountWhat describes what is mounted: the type, or a bind mount's source.
func mountWhat(m *specs.Mount) string {
	if spec.IsBind(m) {
		return fmt.Sprintf("source %q", m.Source)
	}
	return m.Type
}

// duplicate makes another descriptor for the root of a mount.
func (c *compiler) duplicate(mount program.Reg) program.Reg {
	other := c.Reg()
	c.openat2(other, program.R(mount), ".", unix.O_PATH|unix.O_DIRECTORY, 0)
	return other
}

// remount changes an existing mount: the named attributes, for this mount only, and
// options of the file system, wherever else that is mounted.
func (c *compiler) remount(m *specs.Mount, o mountOptions) {
	target := c.Reg()
	c.openPlace(target, c.place(m.Destination), unix.O_PATH, inRoot)
	if len(o.super)+len(o.data) > 0 {
		c.Do(program.Fspick, program.R(target), c.Str(""), program.Imm(unix.FSPICK_CLOEXEC|unix.FSPICK_EMPTY_PATH)).To(c.fsfd)
		for _, name := range o.super {
			c.setFlag(name)
		}
		for _, option := range o.data {
			c.setOption(option)
		}
		c.Do(program.Fsconfig, program.R(c.fsfd), program.Imm(unix.FSCONFIG_CMD_RECONFIGURE), program.Imm(0), program.Imm(0), program.Imm(0))
		c.closeContext()
	}
	c.attributes(target, o)
	c.close(target)
}

// attach puts a detached mount on its mount point, a directory.
func (c *compiler) attach(m *specs.Mount, resolve uint64, mount program.Reg) {
	target := c.Reg()
	c.target(target, m.Destination, resolve, c.CurrentNote().Source, func() {
		c.makePath(target, m.Destination, resolve, Directory)
	})
	c.checkTarget(target, m)
	c.moveMount(mount, target)
	c.close(target)
}

// mounted handles a mount on the root directory: it is the container's root now.
func (c *compiler) mounted(destination string, mount program.Reg) {
	if spec.IsRoot(destination) {
		c.Do(program.Dup3, program.R(mount), program.R(c.root), program.Imm(unix.O_CLOEXEC)).For("enter the new root file system")
	}
}

func (c *compiler) moveMount(mount, target program.Reg) {
	if c.ownFiles.slot != 0 { // it may have to be unmounted again
		defer c.noteAdded(mount)()
	}
	c.Do(program.MoveMount, program.R(mount), c.Str(""), program.R(target), c.Str(""),
		program.Imm(unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH))
}

const exactAttributes = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC | unix.MOUNT_ATTR_NOSYMFOLLOW

// exactly is what the options of a bind mount mean. If none sets or clears an attribute,
// the source's attributes stay. Otherwise the attributes become exactly what the options
// say, as with mount(8) and runc. The access time mode stays if no option is about it.
func (o mountOptions) exactly() mountOptions {
	if o.set|o.clear != 0 {
		o.clear |= exactAttributes &^ o.set
	}
	return o
}

// attributes applies the options that change attributes and propagation.
func (c *compiler) attributes(mount program.Reg, o mountOptions) {
	c.attributesOf(mount, o.rset, o.rclear, true)
	c.attributesOf(mount, o.set, o.clear, false)
	if o.propagation != 0 {
		c.setAttributes(mount, 0, 0, o.propagation, o.recursive)
	}
}

// attributesOf sets and clears attributes. A user namespace cannot lift the restrictions
// of the host's mount, nor change its access time mode: the mount then keeps them.
func (c *compiler) attributesOf(mount program.Reg, set, clear uint64, recursive bool) {
	if set|clear == 0 {
		return
	}
	if spec.FindNamespace(c.spec, specs.UserNamespace) == nil {
		c.setAttributes(mount, set, clear, 0, recursive)
		return
	}
	const atime = unix.MOUNT_ATTR__ATIME | unix.MOUNT_ATTR_NODIRATIME
	if forbids := set &^ atime; forbids != 0 {
		c.setAttributes(mount, forbids, 0, 0, recursive)
	}
	if set&atime|clear != 0 {
		c.setAttributes(mount, set&atime, clear, 0, recursive).Ignore(unix.EPERM)
	}
}

func (c *compiler) setAttributes(mount program.Reg, set, clear, propagation uint64, recursive bool) program.Step {
	flags := unix.AT_EMPTY_PATH
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	return c.Do(program.MountSetattr, program.R(mount), c.Str(""), program.Imm(flags), c.mountAttr(set, clear, propagation), program.Imm(unix.MOUNT_ATTR_SIZE_VER0))
}

func (c *compiler) mountAttr(set, clear, propagation uint64) program.Arg {
	return program.At(c.Struct("mount_attr", program.U64(set), program.U64(clear), program.U64(propagation), program.U64(0)))
}

func (c *compiler) close(regs ...program.Reg) {
	for _, r := range regs {
		c.Do(program.Close, program.R(r))
	}
	c.Free(regs...)
}
