package compile

import (
	"path"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

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

// modeOfBelow gives a new tmpfs the mode of the directory that it hides, if there is one.
// By default everybody may write to a tmpfs.
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
	for _, option := range o.data {
		c.setOption(option)
	}
	create := c.Do(program.Fsconfig, program.R(c.fsfd), program.Imm(unix.FSCONFIG_CMD_CREATE), program.Imm(0), program.Imm(0), program.Imm(0))
	if len(o.data) > 0 { // some file systems check them only now
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

// sharedSuperblock lists the file systems of which "ro" makes only the mount read-only:
// their superblock may be shared with other mounts, which stay writable, or has to be
// filled first.
var sharedSuperblock = []string{
	"proc", "sysfs", "mqueue", "devpts", "cgroup", "cgroup2", "tmpfs", "debugfs", "tracefs", "securityfs", "bpf", "overlay",
}

// bindSysfs is the fallback if a user namespace does not own the network namespace, and so
// may not mount a sysfs of it: the host's is bound recursively.
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

// ownSysfs tells whether the container's sysfs is its own: a superblock belongs to a
// network namespace. If only the first mount were read-only, the container could mount it
// again, writable, in a user namespace.
func (c *compiler) ownSysfs() bool {
	user, net := spec.FindNamespace(c.spec, specs.UserNamespace), spec.FindNamespace(c.spec, specs.NetworkNamespace)
	return user != nil && net != nil && user.Path == "" && net.Path == "" && !defence.Off(defence.ReadOnlySysfs)
}

func (c *compiler) setString(name, value string) program.Step {
	return c.Do(program.Fsconfig, program.R(c.fsfd), program.Imm(unix.FSCONFIG_SET_STRING), c.Str(name), c.Str(value), program.Imm(0))
}

func (c *compiler) setFlag(name string) program.Step {
	return c.Do(program.Fsconfig, program.R(c.fsfd), program.Imm(unix.FSCONFIG_SET_FLAG), c.Str(name), program.Imm(0), program.Imm(0))
}

// setOption sets an option of the file system, name or name=value. The step names it,
// because not every kernel does.
func (c *compiler) setOption(option string) program.Step {
	_, purpose := c.note()
	purpose += ", option " + optionName(option)
	if name, value, ok := strings.Cut(option, "="); ok {
		return c.setString(name, value).For(purpose)
	}
	return c.setFlag(option).For(purpose)
}

// optionName is the name without its value.
func optionName(option string) string {
	name, _, _ := strings.Cut(option, "=")
	return strconv.Quote(name)
}

func optionNames(data []string) string {
	names := make([]string, len(data))
	for i, option := range data {
		names[i] = optionName(option)
	}
	return strings.Join(names, ", ")
}

// closeContext closes a file system context: from here on, its log does not explain
// failures any more.
func (c *compiler) closeContext() {
	c.Do(program.Close, program.R(c.fsfd))
	c.Move(c.fsfd, program.Imm(-1))
}

// unfinished is a mount that becomes read-only when everything below it is made.
type unfinished struct {
	mount program.Reg
	note  program.Note
}

// filledLater tells whether rt still has to make something in a file system that is
// mounted at a place: a mount point, a device, the working directory.
func (c *compiler) filledLater(destination string) bool {
	name := path.Clean("/" + destination)
	return name == "/" || name == "/dev" || c.made.above[name]
}

// finishReadonly makes file systems read-only that had to be filled first.
func (c *compiler) finishReadonly() {
	for _, u := range c.unfinished {
		c.Source(u.note.Source, u.note.Purpose)
		c.setAttributes(u.mount, unix.MOUNT_ATTR_RDONLY, 0, 0, false).For("make it read-only, now that it is filled")
		c.close(u.mount)
	}
}
