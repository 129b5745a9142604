package compile

import (
	"fmt"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// rootfs builds the container's file system and enters it.
func (c *compiler) rootfs() {
	n := spec.FindNamespace(c.spec, specs.MountNamespace)
	own := n != nil && n.Path == ""
	c.wanted()
	c.attachRoot(own)
	c.mounts()
	c.devices()
	c.sysctl()
	c.labels()
	c.workingDirectory()
	c.terminal(true)
	c.createHooks(own)
	// This follows the hooks, which complete the root file system.
	c.finishReadonly()
	c.maskedPaths()
	c.readonlyPaths()
	if c.spec.Root.Readonly {
		c.Source("root.readonly", "make the root file system read-only")
		c.setAttributes(c.root, unix.MOUNT_ATTR_RDONLY, 0, 0, false)
	}
	c.enterRoot(own)
}

// attachRoot mounts a copy of the tree at root.path over the root directory of the new
// mount namespace. That place always exists and nothing else uses it: the process's own
// root stays below, so that paths of the host still work.
//
// If the mount namespace is not new, the tree is mounted on root.path itself.
func (c *compiler) attachRoot(own bool) {
	place := c.opt.Rootfs
	if own {
		place = "/"
		c.hostPropagation()
	}
	c.Source("root.path", "copy the mounts at "+c.opt.Rootfs)
	c.root = c.tree("root.path", c.opt.Rootfs, true)
	if !own {
		c.setAttributes(c.root, 0, 0, unix.MS_PRIVATE, true)
	} else if c.sharesHostMounts() {
		c.setAttributes(c.root, 0, 0, unix.MS_PRIVATE, false).For("pivot_root refuses a shared mount")
	}
	c.moveRoot(place)
	if !own {
		c.setAttributes(c.root, 0, 0, unix.MS_PRIVATE, true).For("keep the container's mounts out of other namespaces")
	}
}

// moveRoot moves the tree to a directory of the host, by any of its names.
func (c *compiler) moveRoot(place string) program.Step {
	return c.Do(program.MoveMount, program.R(c.root), c.Str(""), program.AtFdcwd, c.Str(place),
		program.Imm(unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_SYMLINKS))
}

func (c *compiler) propagation() string {
	if c.spec.Linux == nil {
		return ""
	}
	return c.spec.Linux.RootfsPropagation
}

// hostPropagation detaches the copied host mounts from the host, as far as
// linux.rootfsPropagation says: usually the copies still get later mounts of the host, but
// not the other way round. "private" without "r" applies only to the root directory's
// mount.
//
// The mount below the container's root must never be shared, because pivot_root(2) refuses
// that. So mounts that must stay shared are copied before.
func (c *compiler) hostPropagation() {
	set := func(flags int, kind uint64) {
		c.Do(program.MountSetattr, program.AtFdcwd, c.Str("/"), program.Imm(flags), c.mountAttr(0, 0, kind), program.Imm(unix.MOUNT_ATTR_SIZE_VER0))
	}
	if c.sharesHostMounts() {
		c.copyAhead(0, unix.MS_SHARED, unix.MS_SLAVE)
		c.Source("linux.rootfsPropagation", "keep the container's root file system from propagating to the host")
		set(unix.AT_RECURSIVE, unix.MS_SHARED)
		set(0, unix.MS_PRIVATE)
		return
	}
	name := c.propagation()
	if name == "private" || name == "slave" {
		c.copyAhead(unix.MS_SHARED) // "r" would have been for all mounts
	}
	c.Source("linux.rootfsPropagation", "keep mounts from propagating to the host")
	if name == "rprivate" {
		set(unix.AT_RECURSIVE, unix.MS_PRIVATE)
		return
	}
	set(unix.AT_RECURSIVE, unix.MS_SLAVE)
	if name == "private" {
		set(0, unix.MS_PRIVATE)
	}
}

// copyAhead copies the sources of bind mounts with these propagations while they are peers
// of the host's mounts.
func (c *compiler) copyAhead(propagations ...uint64) {
	c.ahead = map[int]program.Ref{}
	for i := range c.spec.Mounts {
		m := &c.spec.Mounts[i]
		o := parseOptions(m.Options)
		if !spec.IsBind(m) || o.remount || !slices.Contains(propagations, o.propagation) || c.inRootfs(c.hostPath(m)) {
			continue
		}
		c.copySource(i, m, o, fmt.Sprintf("copy source %q while it is shared with the host", m.Source))
	}
}

// copySource copies the source of a bind mount before its place can be reached.
func (c *compiler) copySource(i int, m *specs.Mount, o mountOptions, purpose string) {
	field := index("mounts", i)
	c.Source(field, purpose)
	tree := c.treeAt(Source{Path: c.hostPath(m), Recursive: o.rbind, NoFollow: o.srcNofollow, Field: field})
	c.ahead[i] = c.Buffer("copy", 8)
	c.Store(tree, 4, c.ahead[i])
	c.Free(tree)
}

// sharesHostMounts tells whether mounts of the host stay shared with it.
func (c *compiler) sharesHostMounts() bool {
	return strings.TrimPrefix(c.propagation(), "r") == "shared"
}

// showAtPath moves the tree to root.path, where hooks look for it, during the calls that
// during emits. If the root of a user namespace cannot reach that path, the tree stays
// where it is.
func (c *compiler) showAtPath(during func()) {
	moved, stays := c.Reg(), c.NewLabel("it stays")
	if c.sharesHostMounts() {
		c.Source("hooks", "keep the container's mounts from propagating to the host")
		c.makeMountPrivate(c.opt.Rootfs)
	}
	c.Source("hooks", "show the container's mounts at "+c.opt.Rootfs)
	c.moveRoot(c.opt.Rootfs).To(moved).Ignore(unix.EACCES)
	during()
	c.Source("hooks", "put the container's mounts over the root directory again")
	c.Branch(moved, program.Ne, 0, stays)
	c.moveRoot("/")
	c.Bind(stays)
	c.Free(moved)
}

// makeMountPrivate makes the mount that a directory is in private, because move_mount(2)
// refuses to move a mount out of a shared one. The way up ends at the root directory,
// which is known to be a mount.
func (c *compiler) makeMountPrivate(name string) {
	dir, above := c.Reg(), c.Reg()
	up, private, done := c.NewLabel("within the mount"), c.NewLabel("private"), c.NewLabel("no way there")
	c.Do(program.Openat, program.AtFdcwd, c.Str(name), program.Imm(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC), program.Imm(0)).To(dir).OnError(done, unix.EACCES)
	again := c.Here("is it a mount's root")
	c.setAttributes(dir, 0, 0, unix.MS_PRIVATE, false).OnError(up, unix.EINVAL)
	c.Jump(private)
	c.Bind(up)
	c.Do(program.Openat, program.R(dir), c.Str(".."), program.Imm(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC), program.Imm(0)).To(above)
	c.Do(program.Close, program.R(dir))
	c.Move(dir, program.R(above))
	c.Jump(again)
	c.Bind(private)
	c.Do(program.Close, program.R(dir))
	c.Bind(done)
	c.Free(dir, above)
}

// pivotRoot replaces the root directory and unmounts the old one.
func (c *compiler) pivotRoot() {
	var old program.Reg
	if c.sharesHostMounts() {
		old = c.Reg()
		c.Do(program.Openat, program.AtFdcwd, c.Str("/"), program.Imm(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC), program.Imm(0)).To(old)
	}
	// pivot_root(2): with both arguments "." the old root ends up above the new one, where
	// it is unmounted.
	c.Do(program.PivotRoot, c.Str("."), c.Str("."))
	if c.sharesHostMounts() {
		c.setAttributes(old, 0, 0, unix.MS_SLAVE, true).For("do not unmount the host's own mounts")
		c.close(old)
	}
	c.Do(program.Umount2, c.Str("."), program.Imm(unix.MNT_DETACH)).For("detach the host's file system")
}

// enterRoot makes the tree the root directory and the host's unreachable.
func (c *compiler) enterRoot(own bool) {
	c.Source("root.path", "enter the root file system")
	c.Do(program.Fchdir, program.R(c.root))
	switch {
	case own && !c.opt.NoPivot:
		c.pivotRoot()
	case own:
		c.hideHostMounts()
		fallthrough
	default:
		c.Do(program.Chroot, c.Str("."))
	}
	c.Do(program.Chdir, c.Str("/"))
	if name := c.propagation(); own && name != "" && name != "private" && name != "rprivate" {
		// Not before: pivot_root(2) refuses a shared root.
		c.Source("linux.rootfsPropagation", "make the root file system "+name)
		kind, _ := spec.Propagations.Find(name)
		c.setAttributes(c.root, 0, 0, kind, name[0] == 'r')
	}
}

// hideHostMounts unmounts the host's proc and sysfs, which stay below the container's root
// without pivot_root: as long as the mount namespace has one in which nothing is hidden,
// the kernel lets every user namespace mount another (mount_too_revealing in
// fs/namespace.c). In a user namespace they are locked, and so are covered instead.
func (c *compiler) hideHostMounts() {
	if defence.Off(defence.HostProc) {
		return
	}
	for _, name := range c.opt.HostMounts {
		c.Source("", "unmount the host's "+name+", which --no-pivot leaves below the container")
		locked, done := c.NewLabel("locked"), c.NewLabel("hidden")
		c.Do(program.MountSetattr, program.AtFdcwd, c.Str(name), program.Imm(unix.AT_RECURSIVE), c.mountAttr(0, 0, unix.MS_PRIVATE), program.Imm(unix.MOUNT_ATTR_SIZE_VER0)).
			For("leave the host's own " + name + " where it is")
		c.Do(program.Umount2, c.Str(name), program.Imm(unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)).OnError(locked, unix.EINVAL, unix.EPERM)
		c.Bind(done)
		source, purpose := c.note()
		c.later(source, purpose, func() {
			c.Bind(locked)
			c.Do(program.Mount, c.Str("tmpfs"), c.Str(name), c.Str("tmpfs"), program.Imm(unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC), c.Str("size=0"))
			c.Jump(done)
		})
	}
}

// workingDirectory creates process.cwd while the root is still writable.
func (c *compiler) workingDirectory() {
	p := c.spec.Process
	if p == nil || p.Cwd == "/" || defence.Off(defence.WorkingDirectory) {
		return
	}
	c.Source("process.cwd", "find the working directory "+p.Cwd)
	dir := c.Reg()
	c.target(dir, p.Cwd, inRoot, "process.cwd", func() {
		c.makePath(dir, p.Cwd, inRoot, Directory)
	})
	c.close(dir)
}
