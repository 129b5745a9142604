package compile

import (
	"path"
	"path/filepath"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

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
		// This does not open it: a user namespace may not allow that.
		c.Do(program.Statx, program.R(tree), c.Str(""), program.Imm(unix.AT_EMPTY_PATH), program.Imm(unix.STATX_TYPE), program.At(c.stat)).For("check whether the source is a directory")
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

// hostPath is the source of a bind mount.
func (c *compiler) hostPath(m *specs.Mount) string {
	if filepath.IsAbs(m.Source) {
		return m.Source
	}
	return filepath.Join(c.opt.Bundle, m.Source)
}

// inRootfs tells whether a path of the host is in the container's root file system, below
// something that is mounted there for the container.
func (c *compiler) inRootfs(source string) bool {
	if c.further {
		return false // the host cannot pass on what is mounted in a running container
	}
	name, ok := strings.CutPrefix(filepath.Clean(source), c.opt.Rootfs+"/")
	return ok && slices.ContainsFunc(c.spec.Mounts, func(m specs.Mount) bool {
		at := path.Clean("/" + m.Destination)
		return at == "/" || at == "/"+name || strings.HasPrefix("/"+name, at+"/")
	})
}

// targetFlags are how the mount point is opened.
func (o mountOptions) targetFlags() uint64 {
	if o.destNofollow {
		return unix.O_PATH | unix.O_NOFOLLOW
	}
	return unix.O_PATH
}

// copySymlink makes the symlink that the source is, and goes to done; if the source is not
// a symlink, it does nothing. An existing symlink, from an earlier life of the container,
// is replaced.
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

// bindTree copies the tree of a bind mount. The parent maps ids, because it can make a
// user namespace for that.
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
	c.sendFile(tree, RequestMapIDs{c.source(Source{Path: source, Recursive: o.rbind, Field: field, IDMap: ids})}, "let the parent map the ids of "+source)
	return tree
}

// treeInRoot copies a tree in the container's root file system, with the mounts that are
// there by now: the path leads through the root, because the host's paths do not show
// them. If a mount hides the source there, it is taken from the host.
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

// tree copies the mount tree at a path of the host. In a user namespace the container's
// root may not be able to reach the path: then the parent opens it. But the program always
// does the copying, in its own mount namespace: only the mounts there are locked, so that
// a user namespace cannot lift the host's restrictions (mount_namespaces(7), "Restrictions
// on mount namespaces").
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
	c.fetch(from, RequestSource{c.source(s)}, "let the parent open "+s.Path)
	if defence.Off(defence.LockedMounts) {
		return from // the parent has copied it
	}
	c.Do(program.OpenTree, program.R(from), c.Str(""), program.Imm(copyTree|unix.AT_EMPTY_PATH|flags)).To(tree).For(purpose)
	c.close(from)
	return tree
}

// source describes what a request to the parent is about.
func (c *compiler) source(s Source) uint64 {
	c.plan.Sources = append(c.plan.Sources, s)
	return uint64(len(c.plan.Sources) - 1)
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
