package compile

import (
	"path"
	"strings"

	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// How paths below the container's root are walked: never out of the root, and never
// through the magic links of procfs, whatever the image contains.
const (
	inRoot = unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS
	// inRootExact refuses symlinks, too: for places where an image must not choose what is
	// mounted over, such as /proc.
	inRootExact = inRoot | unix.RESOLVE_NO_SYMLINKS
)

// walk is how a path of the container is walked.
func walk(how uint64) uint64 {
	if defence.Off(defence.InRoot) {
		how &^= unix.RESOLVE_IN_ROOT | unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS
	}
	if defence.Off(defence.ExactProc) {
		how &^= unix.RESOLVE_NO_SYMLINKS
	}
	return how
}

// openat2 opens name below dir into dst.
func (c *compiler) openat2(dst program.Reg, dir program.Arg, name string, flags, resolve uint64) program.Step {
	if defence.Off(defence.InRoot) {
		name = "./" + strings.TrimLeft(name, "/") // which also begins in the root, and may leave it
	}
	how := c.Struct("open_how", program.U64(flags|unix.O_CLOEXEC), program.U64(0), program.U64(walk(resolve)))
	return c.Do(program.Openat2, dir, c.Str(name), program.At(how), program.Imm(unix.SizeofOpenHow)).To(dst)
}

// target opens the place of a mount. If it is missing, create makes it; that code must
// also leave the opened descriptor in dst.
func (c *compiler) target(dst program.Reg, name string, resolve uint64, source string, create func()) {
	c.targetWith(dst, name, unix.O_PATH, resolve, source, create)
}

func (c *compiler) targetWith(dst program.Reg, name string, flags, resolve uint64, source string, create func()) {
	missing, found := c.NewLabel("create "+name), c.NewLabel("have "+name)
	c.openPlace(dst, c.place(name), flags, resolve).OnError(missing, unix.ENOENT)
	c.Bind(found)
	c.later(source, "create "+name, func() {
		c.Bind(missing)
		create()
		c.Jump(found)
	})
}

// makePath creates name below the root and leaves it opened in dst. Usually only the last
// component is missing. Longer paths and dangling symlinks need judgement: the parent
// makes them.
func (c *compiler) makePath(dst program.Reg, name string, resolve uint64, kind PathKind) {
	byParent, made, another := c.NewLabel("let the parent create "+name), c.NewLabel("created "+name), c.NewLabel("a symlink, or gone again")
	p := c.place(name)
	above, last := p, ""
	above.name, last = path.Split(path.Clean("/" + p.name))
	if p.fstype != "" { // the walk begins at the mount
		above.name = path.Clean("." + above.name)
	}
	parent := c.Reg()
	c.openPlace(parent, above, unix.O_PATH|unix.O_DIRECTORY, resolve).OnError(byParent, unix.ENOENT)
	c.makeLast(program.R(parent), last, kind)
	// From where it was made: another container that shares the root may replace the
	// directories on the way at any moment.
	c.openat2(dst, program.R(parent), last, unix.O_PATH, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_SYMLINKS).OnError(another, unix.ENOENT, unix.ELOOP)
	c.Do(program.Close, program.R(parent))
	c.Jump(made)
	c.Bind(another)
	c.Do(program.Close, program.R(parent))
	c.Bind(byParent)
	c.plan.Paths = append(c.plan.Paths, Path{Name: p.name, Kind: kind, Source: c.CurrentNote().Source})
	c.exchangeFile(dst, p.dir, RequestPath{uint64(len(c.plan.Paths) - 1)}, "ask the parent to create "+name)
	c.Bind(made)
	c.Free(parent)
}

// makeLast is the last step of makePath: a directory, or an empty file to
// mount over.
func (c *compiler) makeLast(parent program.Arg, comp string, kind PathKind) {
	if kind == Directory {
		c.Do(program.Mkdirat, parent, c.Str(comp), program.Imm(0o755)).Ignore(unix.EEXIST)
		return
	}
	c.Do(program.Mknodat, parent, c.Str(comp), program.Imm(unix.S_IFREG|0o644), program.Imm(0)).Ignore(unix.EEXIST)
}

// maskedPaths hides linux.maskedPaths: directories below an empty read-only tmpfs,
// everything else below the null device. A path that does not exist needs no hiding.
func (c *compiler) maskedPaths() {
	if c.spec.Linux == nil || len(c.spec.Linux.MaskedPaths) == 0 || defence.Off(defence.MaskedPaths) {
		return
	}
	m := c.newMask()
	for i, name := range c.spec.Linux.MaskedPaths {
		c.Source(index("linux.maskedPaths", i), "hide "+name)
		c.mask(m, name)
	}
	c.Free(m.null, m.empty, m.target, m.tree)
}

// mask holds the descriptors that hide paths.
type mask struct {
	null, empty  program.Reg
	target, tree program.Reg
}

func (c *compiler) newMask() mask {
	m := mask{c.Reg(), c.Reg(), c.Reg(), c.Reg()}
	c.Source("linux.maskedPaths", "find the null device")
	// This is the host's own: nothing in the image could replace it. The program still
	// checks it, because the host may be a container, too.
	c.Do(program.Openat, program.AtFdcwd, c.Str("/dev/null"), program.Imm(unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC), program.Imm(0)).To(m.null)
	c.checkDevice(m.null, 1, 3, "/dev/null is not the null device")
	c.Move(m.empty, program.Imm(-1))
	return m
}

func (c *compiler) mask(m mask, name string) {
	other, done := c.NewLabel("not a directory"), c.NewLabel("hidden")
	p := c.kernels(name)
	c.openPlace(m.target, p, unix.O_PATH|unix.O_DIRECTORY, inRoot).OnError(other, unix.ENOENT, unix.ENOTDIR)
	if p.fstype == "" {
		c.checkNotRoot(m.target, name)
	}

	have := c.NewLabel("have an empty directory")
	mounted := c.NewLabel("directory hidden")
	c.Branch(m.empty, program.Ge, 0, have)
	c.Do(program.Fsopen, c.Str("tmpfs"), program.Imm(unix.FSOPEN_CLOEXEC)).To(c.fsfd)
	c.setString("source", "tmpfs")
	c.mountLabel("tmpfs")
	c.Do(program.Fsconfig, program.R(c.fsfd), program.Imm(unix.FSCONFIG_CMD_CREATE), program.Imm(0), program.Imm(0), program.Imm(0))
	c.Do(program.Fsmount, program.R(c.fsfd), program.Imm(unix.FSMOUNT_CLOEXEC), program.Imm(unix.MOUNT_ATTR_RDONLY)).To(m.empty)
	c.closeContext()
	c.moveMount(m.empty, m.target)
	c.Jump(mounted)
	c.Bind(have)
	c.Do(program.OpenTree, program.R(m.empty), c.Str(""), program.Imm(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)).To(m.tree)
	c.moveMount(m.tree, m.target)
	c.Do(program.Close, program.R(m.tree))
	c.Bind(mounted)
	c.Do(program.Close, program.R(m.target))
	c.Jump(done)

	c.Bind(other)
	c.Branch(m.target, program.Ne, -int64(unix.ENOTDIR), done)
	c.openPlace(m.target, p, unix.O_PATH, inRoot).OnError(done, unix.ENOENT, unix.ENOTDIR)
	c.Do(program.OpenTree, program.R(m.null), c.Str(""), program.Imm(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)).To(m.tree)
	c.setAttributes(m.tree, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC, 0, 0, false)
	c.moveMount(m.tree, m.target)
	c.Do(program.Close, program.R(m.tree))
	c.Do(program.Close, program.R(m.target))
	c.Bind(done)
}

// readonlyPaths makes linux.readonlyPaths read-only, with everything below them.
func (c *compiler) readonlyPaths() {
	if c.spec.Linux == nil || defence.Off(defence.ReadonlyPaths) {
		return
	}
	target, tree := c.Reg(), c.Reg()
	for i, name := range c.spec.Linux.ReadonlyPaths {
		c.Source(index("linux.readonlyPaths", i), "make "+name+" read-only")
		if spec.IsRoot(name) { // a mount on it would be above it
			c.setAttributes(c.root, unix.MOUNT_ATTR_RDONLY, 0, 0, false)
			continue
		}
		done := c.NewLabel("read-only")
		c.openPlace(target, c.kernels(name), unix.O_PATH, inRoot).OnError(done, unix.ENOENT, unix.ENOTDIR)
		c.Do(program.OpenTree, program.R(target), c.Str(""), program.Imm(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH|unix.AT_RECURSIVE)).To(tree)
		c.setAttributes(tree, unix.MOUNT_ATTR_RDONLY, 0, 0, true)
		c.moveMount(tree, target)
		c.Do(program.Close, program.R(tree))
		c.Do(program.Close, program.R(target))
		c.Bind(done)
	}
	c.Free(target, tree)
}

// Offsets of struct statx: stx_mode, followed by two zero bytes, stx_rdev_major,
// stx_rdev_minor.
const offMode, offMajor, offMinor = 28, 128, 132

// checkDevice fails unless fd is the character device major:minor.
func (c *compiler) checkDevice(fd program.Reg, major, minor int64, otherwise string) {
	if defence.Off(defence.CheckedDevices) {
		return
	}
	n := c.Reg()
	c.Do(program.Statx, program.R(fd), c.Str(""), program.Imm(unix.AT_EMPTY_PATH), program.Imm(unix.STATX_TYPE), program.At(c.stat))
	wrong, right := c.NewLabel("wrong device"), c.NewLabel("right device")
	c.Load(n, 4, c.stat.Plus(offMajor))
	c.Branch(n, program.Ne, major, wrong)
	c.Load(n, 4, c.stat.Plus(offMinor))
	c.Branch(n, program.Eq, minor, right)
	c.Bind(wrong)
	c.fail(otherwise)
	c.Bind(right)
	c.Free(n)
}
