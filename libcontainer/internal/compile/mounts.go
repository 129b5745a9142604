package compile

import (
	"cmp"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// mountOptions is mounts[].options sorted by who takes care of them.
type mountOptions struct {
	set, clear   uint64 // attributes of the mount
	rset, rclear uint64 // attributes of the whole tree
	propagation  uint64
	recursive    bool // the propagation is for the whole tree
	rbind        bool
	remount      bool
	copyUp       bool // tmpcopyup: begin with what is there already
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
			c.Source(field, fmt.Sprintf("change what is mounted on %q, which must be a mount point", m.Destination))
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

// hostPath is the source of a bind mount.
func (c *compiler) hostPath(m *specs.Mount) string {
	if filepath.IsAbs(m.Source) {
		return m.Source
	}
	return filepath.Join(c.opt.Bundle, m.Source)
}

// inRootfs tells whether a path of the host lies in the container's root file system
// below something that is mounted there for the container.
func (c *compiler) inRootfs(source string) bool {
	if c.further {
		return false // what is mounted in a container that runs is not the host's to give
	}
	name, ok := strings.CutPrefix(filepath.Clean(source), c.opt.Rootfs+"/")
	return ok && slices.ContainsFunc(c.spec.Mounts, func(m specs.Mount) bool {
		at := path.Clean("/" + m.Destination)
		return at == "/" || at == "/"+name || strings.HasPrefix("/"+name, at+"/")
	})
}

// bind attaches a copy of the mount tree at the source.
func (c *compiler) bind(i int, m *specs.Mount, o mountOptions) {
	field, done := index("mounts", i), c.NewLabel("done")
	if o.copySymlink {
		c.copySymlink(m, done)
	}
	tree := c.bindTree(i, m, c.hostPath(m), o)
	c.checkProcSource(tree, m)
	c.attributes(tree, o.exactly())
	target := c.Reg()
	c.targetWith(target, m.Destination, o.targetFlags(), c.resolve(), field, func() {
		mode, file, directory, made := c.Reg(), c.NewLabel("file"), c.NewLabel("directory"), c.NewLabel("made")
		// Not by opening it: that may be forbidden in a user namespace.
		c.Do(program.Statx, program.R(tree), c.Str(""), program.Imm(unix.AT_EMPTY_PATH), program.Imm(unix.STATX_TYPE), program.At(c.stat)).For("find out whether the source is a directory")
		c.Load(mode, 4, c.stat.Plus(offMode))
		c.Branch(mode, program.Lt, unix.S_IFDIR, file)
		c.Branch(mode, program.Lt, unix.S_IFDIR+0o10000, directory)
		c.Bind(file)
		c.makePath(target, m.Destination, c.resolve(), EmptyFile)
		c.Jump(made)
		c.Bind(directory)
		c.makePath(target, m.Destination, c.resolve(), Directory)
		c.Bind(made)
		c.Free(mode)
	})
	c.checkTarget(target, m)
	c.moveMount(tree, target)
	c.close(target)
	c.mounted(m.Destination, tree)
	kind := ""
	if path.Clean("/"+m.Destination) == "/proc" {
		kind = "proc" // which was checked
	}
	if !c.mountedHere(m.Destination, kind, false, tree) {
		c.close(tree)
	}
	c.Bind(done)
}

// targetFlags are how the mount point is opened.
func (o mountOptions) targetFlags() uint64 {
	if o.destNofollow {
		return unix.O_PATH | unix.O_NOFOLLOW
	}
	return unix.O_PATH
}

// copySymlink makes what the source is, if that is a symlink, and goes to done. One
// that is there already, from a former life of the container, is replaced.
func (c *compiler) copySymlink(m *specs.Mount, done program.Label) {
	const size = unix.PathMax
	no, exists, made := c.NewLabel("no symlink"), c.NewLabel("something is there"), c.NewLabel("copied")
	text, n, dir := c.Buffer("symlink", size), c.Reg(), c.Reg()
	above, name := path.Split(path.Clean("/" + m.Destination))
	link := func() program.Step {
		return c.Do(program.Symlinkat, program.At(text), program.R(dir), c.Str(name)).For("copy the symlink")
	}
	c.Do(program.Readlinkat, program.AtFdcwd, c.Str(c.hostPath(m)), program.At(text), program.Imm(size-1)).To(n).OnError(no, unix.EINVAL)
	c.target(dir, above, inRoot, c.CurrentNote().Source, func() { c.makePath(dir, above, inRoot, Directory) })
	link().OnError(exists, unix.EEXIST)
	c.Bind(made)
	c.Do(program.Close, program.R(dir))
	c.Jump(done)
	source, purpose := c.note()
	c.later(source, purpose, func() {
		c.Bind(exists)
		c.Do(program.Readlinkat, program.R(dir), c.Str(name), program.At(c.Buffer("old symlink", size)), program.Imm(size-1)).
			For("there is a file at " + m.Destination + ", and no symlink")
		c.Do(program.Unlinkat, program.R(dir), c.Str(name), program.Imm(0))
		link()
		c.Jump(made)
	})
	c.Bind(no)
	c.Free(n, dir)
}

// bindTree copies the tree of a bind mount. Ids are mapped by the parent, who
// can make a user namespace for it.
func (c *compiler) bindTree(i int, m *specs.Mount, source string, o mountOptions) program.Reg {
	field := index("mounts", i)
	ahead, ok := c.ahead[i]
	var tree program.Reg
	switch {
	case ok:
		tree = c.Reg()
		c.Load(tree, 4, ahead)
	case c.inRootfs(source):
		tree = c.treeInRoot(field, source, o.rbind)
	default:
		tree = c.treeAt(Source{Path: source, Recursive: o.rbind, NoFollow: o.srcNofollow, Field: field})
	}
	if !o.idmap && len(m.UIDMappings)+len(m.GIDMappings) == 0 {
		return tree
	}
	ids := &IDMap{UIDs: m.UIDMappings, GIDs: m.GIDMappings, Recursive: o.ridmap}
	if len(ids.UIDs)+len(ids.GIDs) == 0 {
		if n := spec.FindNamespace(c.spec, specs.UserNamespace); n != nil && n.Path != "" {
			ids.Namespace = n.Path
		} else {
			ids.UIDs, ids.GIDs = c.spec.Linux.UIDMappings, c.spec.Linux.GIDMappings
		}
	}
	c.sendFile(tree, RequestMapIDs, c.source(Source{Path: source, Recursive: o.rbind, Field: field, IDMap: ids}), "let the parent map the ids of "+source)
	return tree
}

// treeInRoot copies a tree in the container's root file system, with what is mounted
// there by now: the path leads through the root, since on the host nothing of that is
// to be seen. What a mount hides there is taken from the host.
func (c *compiler) treeInRoot(field, source string, recursive bool) program.Reg {
	flags := copyTree | unix.AT_EMPTY_PATH
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	tree, from := c.Reg(), c.Reg()
	hidden, copied := c.NewLabel("hidden"), c.NewLabel("copied")
	c.openPlace(from, c.place(strings.TrimPrefix(filepath.Clean(source), c.opt.Rootfs)), unix.O_PATH, inRoot).OnError(hidden, unix.ENOENT)
	c.Do(program.OpenTree, program.R(from), c.Str(""), program.Imm(flags)).To(tree)
	c.Do(program.Close, program.R(from))
	c.Bind(copied)
	_, purpose := c.note()
	c.later(field, purpose, func() {
		c.Bind(hidden)
		other := c.tree(field, source, recursive)
		c.Move(tree, program.R(other))
		c.Jump(copied)
	})
	c.Free(from)
	return tree
}

// source notes what a request to the parent is about.
func (c *compiler) source(s Source) uint64 {
	c.plan.Sources = append(c.plan.Sources, s)
	return uint64(len(c.plan.Sources) - 1)
}

// tree copies the mount tree at a path of the host. In a user namespace the
// path may be closed to the container's root: then the parent opens it. It is
// the program that copies in any case, in its own mount namespace: only mounts
// of that are locked, in which a user namespace must not lift what the host
// forbids (mount_namespaces(7), "Restrictions on mount namespaces").
func (c *compiler) tree(field, source string, recursive bool) program.Reg {
	return c.treeAt(Source{Path: source, Recursive: recursive, Field: field})
}

func (c *compiler) treeAt(s Source) program.Reg {
	flags := 0
	if s.Recursive {
		flags = unix.AT_RECURSIVE
	}
	if !c.hostOpens() {
		if s.NoFollow {
			flags |= unix.AT_SYMLINK_NOFOLLOW
		}
		return c.openTree(s.Path, flags)
	}
	_, purpose := c.note()
	if !s.Recursive {
		purpose += "; a user namespace must not see what lies below other mounts there: rbind takes them along"
	}
	tree, from := c.Reg(), c.Reg()
	c.fetch(from, RequestSource, c.source(s), "let the parent open "+s.Path)
	if defence.Off(defence.LockedMounts) {
		return from // the parent has copied it
	}
	c.Do(program.OpenTree, program.R(from), c.Str(""), program.Imm(copyTree|unix.AT_EMPTY_PATH|flags)).To(tree).For(purpose)
	c.close(from)
	return tree
}

const copyTree = unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC

// openTree copies the mount tree at a path that the program can walk itself.
func (c *compiler) openTree(source string, flags int) program.Reg {
	tree := c.Reg()
	c.Do(program.OpenTree, program.AtFdcwd, c.Str(source), program.Imm(copyTree|flags)).To(tree)
	return tree
}

func (c *compiler) hostOpens() bool {
	return c.host.Privileged && spec.FindNamespace(c.spec, specs.UserNamespace) != nil
}

// fileSystem mounts a new instance of a file system.
func (c *compiler) fileSystem(field string, m *specs.Mount, o mountOptions) {
	if tooLong(o.data) && !spec.IsRoot(m.Destination) {
		c.longMount(field, m, o)
		return
	}
	below := m.Type == "tmpfs" && !slices.ContainsFunc(o.data, func(s string) bool { return strings.HasPrefix(s, "mode=") })
	o.set, o.rset = o.set|o.rset, 0 // nothing is below it yet
	readOnly := uint64(0)
	if slices.Contains(rtFiles, m.Type) { // it has to be filled first
		readOnly = o.set & unix.MOUNT_ATTR_RDONLY
		o.set &^= readOnly
	}
	mount := c.newMount(m.Type, m.Source, o)
	resolve := c.resolve()
	if m.Type == "proc" || m.Type == "sysfs" {
		resolve = inRootExact
	}
	if below {
		c.modeOfBelow(m.Destination, mount)
	}
	if o.copyUp {
		c.copyUp(field, m.Destination, mount)
	}
	later := readOnly != 0 && c.filledLater(m.Destination)
	if readOnly != 0 && !later {
		c.setAttributes(mount, readOnly, 0, 0, false)
	}
	c.attach(m, resolve, mount)
	c.mounted(m.Destination, mount)
	kept := c.mountedHere(m.Destination, m.Type, o.copyUp, mount)
	if later {
		c.unfinished = append(c.unfinished, unfinished{c.duplicate(mount), c.CurrentNote()})
	}
	if m.Type == "proc" && o.set&unix.MOUNT_ATTR_RDONLY == 0 && c.proc == program.Scratch {
		c.proc = mount // the program writes its own /proc files there
		kept = true
	}
	if !kept {
		c.close(mount)
	}
}

// unfinished is a mount that becomes read-only when all below it is made.
type unfinished struct {
	mount program.Reg
	note  program.Note
}

// filledLater tells whether something is still to be made in a file system that is
// mounted at a place: a mount point, a device, the working directory.
func (c *compiler) filledLater(destination string) bool {
	name := path.Clean("/" + destination)
	return name == "/" || name == "/dev" || c.made.above[name]
}

// finishReadonly makes read-only what had to be filled first.
func (c *compiler) finishReadonly() {
	for _, u := range c.unfinished {
		c.Source(u.note.Source, u.note.Purpose)
		c.setAttributes(u.mount, unix.MOUNT_ATTR_RDONLY, 0, 0, false).For("make it read-only, now that it is filled")
		c.close(u.mount)
	}
}

// duplicate makes another descriptor for the root of a mount.
func (c *compiler) duplicate(mount program.Reg) program.Reg {
	other := c.Reg()
	c.openat2(other, program.R(mount), ".", unix.O_PATH|unix.O_DIRECTORY, 0)
	return other
}

// modeOfBelow gives a new tmpfs the mode of the directory that it hides, if there
// is one. Everybody may write to a tmpfs, as the kernel has it.
func (c *compiler) modeOfBelow(destination string, mount program.Reg) {
	dir, mode, none := c.Reg(), c.Reg(), c.NewLabel("nothing below")
	c.openPlace(dir, c.place(destination), unix.O_PATH|unix.O_DIRECTORY, inRoot).OnError(none, unix.ENOENT)
	c.Do(program.Statx, program.R(dir), c.Str(""), program.Imm(unix.AT_EMPTY_PATH), program.Imm(unix.STATX_TYPE|unix.STATX_MODE), program.At(c.stat))
	c.Do(program.Close, program.R(dir))
	c.Load(mode, 4, c.stat.Plus(offMode))
	c.openat2(dir, program.R(mount), ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	c.Do(program.Fchmod, program.R(dir), program.R(mode)).For("give it the mode of the directory below")
	c.Do(program.Close, program.R(dir))
	c.Bind(none)
	c.Free(dir, mode)
}

// newMount makes a detached mount of a new file system.
func (c *compiler) newMount(fstype, source string, o mountOptions) program.Reg {
	mount := c.Reg()
	opened := c.Do(program.Fsopen, c.Str(fstype), program.Imm(unix.FSOPEN_CLOEXEC)).To(c.fsfd)
	if fstype == "sysfs" && spec.FindNamespace(c.spec, specs.UserNamespace) != nil {
		made := c.NewLabel("have a sysfs")
		opened.OnError(c.bindSysfs(mount, o, made), unix.EPERM)
		defer c.Bind(made)
	}
	if source != "" {
		c.setString("source", source)
	}
	c.mountLabel(fstype)
	for _, name := range o.super {
		c.setFlag(name)
	}
	if o.set&unix.MOUNT_ATTR_RDONLY != 0 && (!slices.Contains(sharedSuperblock, fstype) || fstype == "sysfs" && c.ownSysfs()) {
		c.setFlag("ro")
	}
	c.setOptions(o.data)
	create := c.Do(program.Fsconfig, program.R(c.fsfd), program.Imm(unix.FSCONFIG_CMD_CREATE), program.Imm(0), program.Imm(0), program.Imm(0))
	if len(o.data) > 0 { // some file systems look at them only now
		_, purpose := c.note()
		create.For(purpose + ", options " + optionNames(o.data))
	}
	c.Do(program.Fsmount, program.R(c.fsfd), program.Imm(unix.FSMOUNT_CLOEXEC), program.Imm(o.set|o.rset)).To(mount)
	c.closeContext()
	if fstype == "mqueue" {
		c.labelQueues(mount)
	}
	if o.propagation != 0 {
		c.setAttributes(mount, 0, 0, o.propagation, o.recursive)
	}
	return mount
}

// sharedSuperblock lists the file systems of which "ro" makes only the mount
// read-only: their superblock may be that of other mounts, which stay
// writable, or has to be filled first.
var sharedSuperblock = []string{
	"proc", "sysfs", "mqueue", "devpts", "cgroup", "cgroup2", "tmpfs", "debugfs", "tracefs", "securityfs", "bpf", "overlay",
}

// bindSysfs is what to do where a user namespace does not own the network namespace,
// and so may have no sysfs of it: the host's is bound, with all below.
func (c *compiler) bindSysfs(mount program.Reg, o mountOptions, made program.Label) program.Label {
	refused := c.NewLabel("no sysfs in this network namespace")
	source, purpose := c.note()
	c.later(source, purpose, func() {
		c.Bind(refused)
		c.Move(c.fsfd, program.Imm(-1))
		tree := c.openTree("/sys", unix.AT_RECURSIVE)
		c.attributesOf(tree, o.set, 0, true)
		c.Move(mount, program.R(tree))
		c.Jump(made)
	})
	return refused
}

// ownSysfs tells whether the container's sysfs is its own: a superblock belongs to
// a network namespace. In a user namespace the container could mount it again,
// writable, if only its first mount were read-only.
func (c *compiler) ownSysfs() bool {
	user, net := spec.FindNamespace(c.spec, specs.UserNamespace), spec.FindNamespace(c.spec, specs.NetworkNamespace)
	return user != nil && net != nil && user.Path == "" && net.Path == "" && !defence.Off(defence.ReadOnlySysfs)
}

// remount changes what is mounted already: the attributes that are named, for this
// mount only, and options of the file system, wherever else that is mounted.
func (c *compiler) remount(m *specs.Mount, o mountOptions) {
	target := c.Reg()
	c.openPlace(target, c.place(m.Destination), unix.O_PATH, inRoot)
	if len(o.super)+len(o.data) > 0 {
		c.Do(program.Fspick, program.R(target), c.Str(""), program.Imm(unix.FSPICK_CLOEXEC|unix.FSPICK_EMPTY_PATH)).To(c.fsfd)
		for _, name := range o.super {
			c.setFlag(name)
		}
		c.setOptions(o.data)
		c.Do(program.Fsconfig, program.R(c.fsfd), program.Imm(unix.FSCONFIG_CMD_RECONFIGURE), program.Imm(0), program.Imm(0), program.Imm(0))
		c.closeContext()
	}
	c.attributes(target, o)
	c.close(target)
}

// attach puts a detached mount at its place, which is a directory.
func (c *compiler) attach(m *specs.Mount, resolve uint64, mount program.Reg) {
	target := c.Reg()
	c.target(target, m.Destination, resolve, c.CurrentNote().Source, func() {
		c.makePath(target, m.Destination, resolve, Directory)
	})
	c.checkTarget(target, m)
	c.moveMount(mount, target)
	c.close(target)
}

// mounted follows a mount on the root directory: it is the container's root now.
func (c *compiler) mounted(destination string, mount program.Reg) {
	if spec.IsRoot(destination) {
		c.Do(program.Dup3, program.R(mount), program.R(c.root), program.Imm(unix.O_CLOEXEC)).For("go on in the new root file system")
	}
}

func (c *compiler) moveMount(mount, target program.Reg) {
	if c.ownFiles.slot != 0 { // it may have to be taken off again
		defer c.noteAdded(mount)()
	}
	c.Do(program.MoveMount, program.R(mount), c.Str(""), program.R(target), c.Str(""),
		program.Imm(unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH))
}

const exactAttributes = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC | unix.MOUNT_ATTR_NOSYMFOLLOW

// exactly is what the options of a bind mount mean: without any that sets or clears an
// attribute those of the source stay; with one they become what the options say, as
// with mount(8) and runc. How times of access are noted stays if no option is about it.
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

// attributesOf sets and clears attributes. A user namespace cannot take back what
// the host's mount forbids, such as writing, nor change how it notes the times of
// access: the mount stays with it then.
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

func (c *compiler) setString(name, value string) program.Step {
	return c.Do(program.Fsconfig, program.R(c.fsfd), program.Imm(unix.FSCONFIG_SET_STRING), c.Str(name), c.Str(value), program.Imm(0))
}

// setOptions sets the file system's own options, name or name=value. The step names the
// option: not every kernel does.
func (c *compiler) setOptions(data []string) {
	_, purpose := c.note()
	for _, option := range data {
		name, value, ok := strings.Cut(option, "=")
		set := func() program.Step { return c.setFlag(name) }
		if ok {
			set = func() program.Step { return c.setString(name, value) }
		}
		set().For(purpose + ", option " + strconv.Quote(name))
	}
}

// optionNames are the names without their values.
func optionNames(data []string) string {
	names := make([]string, len(data))
	for i, option := range data {
		name, _, _ := strings.Cut(option, "=")
		names[i] = strconv.Quote(name)
	}
	return strings.Join(names, ", ")
}

func (c *compiler) setFlag(name string) program.Step {
	return c.Do(program.Fsconfig, program.R(c.fsfd), program.Imm(unix.FSCONFIG_SET_FLAG), c.Str(name), program.Imm(0), program.Imm(0))
}

// closeContext ends the work on a file system context: from here on its log
// does not belong to failures any more.
func (c *compiler) closeContext() {
	c.Do(program.Close, program.R(c.fsfd))
	c.Move(c.fsfd, program.Imm(-1))
}

func (c *compiler) close(regs ...program.Reg) {
	for _, r := range regs {
		c.Do(program.Close, program.R(r))
	}
	c.Free(regs...)
}

// cgroupMount shows the container its cgroups: in a cgroup namespace by new mounts,
// which begin at the container's own cgroup; else v2 as a whole, and of v1 bind mounts
// of the container's own. In v1 it is a tmpfs with a directory for every hierarchy.
func (c *compiler) cgroupMount(field string, m *specs.Mount, o mountOptions) {
	o.set, o.clear, o.rset, o.rclear = o.set|o.rset, o.clear|o.rclear, 0, 0
	if defence.Off(defence.CgroupMount) {
		o.set &^= unix.MOUNT_ATTR_RDONLY
	}
	if c.host.Cgroup.Unified != "" || m.Type == "cgroup2" {
		mount := c.cgroup2(field, o)
		c.attach(m, inRoot, mount)
		c.covered(path.Clean("/" + m.Destination))
		c.close(mount)
		return
	}
	top := c.newMount("tmpfs", "tmpfs", mountOptions{
		set: o.set &^ unix.MOUNT_ATTR_RDONLY, propagation: o.propagation, recursive: o.recursive, data: []string{"mode=755"},
	})
	c.attach(m, inRoot, top)
	c.covered(path.Clean("/" + m.Destination))
	for _, h := range c.host.Cgroup.V1 {
		c.Source(field, fmt.Sprintf("mount the cgroup hierarchy %s on %q", h.Name, path.Join(m.Destination, h.Name)))
		c.hierarchy(field, top, h, o)
	}
	if o.set&unix.MOUNT_ATTR_RDONLY != 0 {
		c.setAttributes(top, unix.MOUNT_ATTR_RDONLY, 0, 0, false)
	}
	c.close(top)
}

// hostCgroups tells whether the container sees the cgroups as the host does.
func (c *compiler) hostCgroups() bool {
	return spec.FindNamespace(c.spec, specs.CgroupNamespace) == nil || c.host.Cgroup.Joined
}

// cgroup2 shows all of the hierarchy where there is no cgroup namespace: the paths in
// /proc/self/cgroup begin at its root. It is a copy of the host's mount. In the first
// cgroup namespace a new one would set the options of the whole hierarchy anew, such as
// nsdelegate, and wait for a grace period of RCU (apply_cgroup_root_flags in
// kernel/cgroup/cgroup.c); a user namespace may not do that at all.
func (c *compiler) cgroup2(field string, o mountOptions) program.Reg {
	host := c.host.Cgroup.V2
	if !c.hostCgroups() || host == "" || len(o.data)+len(o.super) > 0 || defence.Off(defence.HostCgroups) {
		return c.newMount("cgroup2", "cgroup", o)
	}
	inUser := spec.FindNamespace(c.spec, specs.UserNamespace) != nil
	tree := c.tree(field, host, inUser) // what hides there must stay hidden from a user namespace
	if !inUser {
		c.setAttributes(tree, o.set, o.clear|exactAttributes&^o.set, cmp.Or(o.propagation, unix.MS_PRIVATE), false)
		return tree
	}
	c.attributesOf(tree, o.set, o.clear, true)
	return tree
}

func (c *compiler) hierarchy(field string, top program.Reg, h Hierarchy, o mountOptions) {
	var mount program.Reg
	if !c.hostCgroups() {
		mount = c.newMount("cgroup", "cgroup", mountOptions{set: o.set, propagation: o.propagation, data: h.Options})
	} else {
		own := h.Path
		if defence.Off(defence.CgroupMount) {
			own = "/sys/fs/cgroup/" + h.Name
		}
		mount = c.tree(field, own, false)
		c.attributes(mount, mountOptions{set: o.set, clear: o.clear, propagation: o.propagation})
	}
	dir := c.Reg()
	c.Do(program.Mkdirat, program.R(top), c.Str(h.Name), program.Imm(0o755))
	c.openat2(dir, program.R(top), h.Name, unix.O_PATH|unix.O_DIRECTORY, inRootExact)
	c.moveMount(mount, dir)
	c.close(dir, mount)
	for _, alias := range h.Aliases {
		c.Do(program.Symlinkat, c.Str(h.Name), program.R(top), c.Str(alias))
	}
}
