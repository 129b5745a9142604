package compile

import (
	"fmt"
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

// Mounts of an existing container. The program that adds or removes them joins the
// container's namespaces except the pid namespace, where the container's processes could
// see it.

// ChangeOptions is what the compiler needs to know about a container whose mounts change.
type ChangeOptions struct {
	// Bundle is where relative sources of mounts begin.
	Bundle string
	// Namespaces are those that the container has for itself, as flags of clone(2).
	Namespaces uint64
}

// CompileAddMounts makes the plan that adds mounts to an existing container, in order. If
// one fails, the program unmounts those before it.
func CompileAddMounts(s *specs.Spec, mounts []specs.Mount, host Host, opt ChangeOptions) (*Plan, error) {
	c := newChange(s, mounts, host, opt)
	for i := range mounts {
		if err := c.checkAddition(index("mounts", i), &mounts[i]); err != nil {
			return nil, err
		}
	}
	process := c.joinUsers(opt.Namespaces)
	c.copySources()
	c.enterMounts(process)
	c.wanted()
	c.mounts()
	c.finishReadonly()
	return c.done()
}

// CompileRemoveMounts makes the plan that unmounts mounts. The last one goes first, since
// it may be mounted on one before it.
func CompileRemoveMounts(s *specs.Spec, mounts []specs.Mount, host Host, opt ChangeOptions) (*Plan, error) {
	c := newChange(s, mounts, host, opt)
	for i := range mounts {
		if err := c.checkPlace(index("mounts", i), &mounts[i]); err != nil {
			return nil, err
		}
	}
	c.enterMounts(c.joinUsers(opt.Namespaces))
	for i := range slices.Backward(mounts) {
		c.removeMount(index("mounts", i), &mounts[i])
	}
	return c.done()
}

func newChange(s *specs.Spec, mounts []specs.Mount, host Host, opt ChangeOptions) *compiler {
	changed := *s
	changed.Process, changed.Hooks, changed.Mounts = nil, nil, mounts
	c := &compiler{
		Builder: program.NewBuilder(), spec: &changed, before: s.Mounts, host: host, opt: Options{Bundle: opt.Bundle},
		further: true, ahead: map[int]program.Ref{},
	}
	c.begin()
	c.setUp()
	return c
}

// checkAddition refuses what only the creation of a container can do.
func (c *compiler) checkAddition(field string, m *specs.Mount) error {
	o := parseOptions(m.Options)
	switch {
	case o.remount:
		return fmt.Errorf("%s.options: \"remount\" changes an existing mount and adds none: remove that mount, and add it with other options", field)
	case o.copyUp:
		return fmt.Errorf("%s.options: %q is only for a container that is being created: leave it out, and copy the files", field, spec.OptionTmpcopyup)
	case o.copySymlink:
		return fmt.Errorf("%s.options: %q makes no mount: leave it out, and make the symlink in the container", field, spec.OptionCopySymlink)
	case !spec.IsBind(m) && slices.Contains(onlyAtCreation, m.Type):
		return fmt.Errorf("%s.type: a file system of type %q shows a container's namespaces, and can only be mounted when the container is created: put it into config.json", field, m.Type)
	case !spec.IsBind(m) && m.Type == "overlay":
		return fmt.Errorf("%s.type: the kernel would look for the directories of an overlay in the container: mount it on the host, and add a bind mount of it", field)
	case !spec.IsBind(m) && tooLong(o.data):
		return fmt.Errorf("%s.options: a value of more than %d bytes is only for a container that is being created: mount the file system on the host, and add a bind mount of it", field, maxOption)
	}
	return c.checkPlace(field, m)
}

// onlyAtCreation are file systems that depend on the namespaces of the mounting process,
// and on masks that follow.
var onlyAtCreation = []string{"proc", "sysfs", "cgroup", "cgroup2"}

// checkPlace refuses places whose mounts must not change: a mount over a mask could show
// what it hides, as the removal of a mask would.
func (c *compiler) checkPlace(field string, m *specs.Mount) error {
	destination := path.Clean("/" + m.Destination)
	if destination == "/" {
		return fmt.Errorf("%s.destination: \"/\" is the root directory, which the container's processes already use: choose one below it", field)
	}
	l := c.spec.Linux
	if l == nil {
		return nil
	}
	for _, list := range []struct {
		field string
		paths []string
	}{{"linux.maskedPaths", l.MaskedPaths}, {"linux.readonlyPaths", l.ReadonlyPaths}} {
		for i, p := range list.paths {
			if name := path.Clean("/" + p); name == destination || strings.HasPrefix(name, destination+"/") {
				return fmt.Errorf("%s.destination: %q is at or above %s, %q, which must not change: choose another place", field, m.Destination, index(list.field, i), p)
			}
		}
	}
	return nil
}

// resolve is how destinations are walked: a running container could redirect rt by a
// symlink to a mount that must not change.
func (c *compiler) resolve() uint64 {
	if c.ownFiles.slot != 0 && !defence.Off(defence.ExactPlaces) {
		return inRootExact
	}
	return inRoot
}

// joinUsers joins the container's namespaces except the mount namespace, to which the
// returned pidfd refers, and makes a mount namespace with the host's mounts. That one
// belongs to the container's user namespace, so that the kernel locks the host's
// restrictions on copies that are made there. It would not lock copies of the host's own
// mount namespace: mount_namespaces(7).
func (c *compiler) joinUsers(namespaces uint64) (process program.Arg) {
	process = c.file(File{Kind: ContainerProcess})
	c.takeOwnFiles()
	if others := namespaces &^ (unix.CLONE_NEWNS | unix.CLONE_NEWPID); others != 0 {
		c.Source("", "join the container's namespaces")
		c.Do(program.Setns, process, program.Imm(others))
	}
	if namespaces&unix.CLONE_NEWUSER != 0 {
		c.becomeRoot()
	}
	return process
}

// copySources copies the sources of bind mounts while the host's mounts are visible: with
// linux.rootfsPropagation, as when the container was created.
func (c *compiler) copySources() {
	if !slices.ContainsFunc(c.spec.Mounts, func(m specs.Mount) bool { return spec.IsBind(&m) }) {
		return
	}
	c.Source("", "make a mount namespace to copy the sources in")
	c.Do(program.Unshare, program.Imm(unix.CLONE_NEWNS))
	c.hostPropagation()
	for i := range c.spec.Mounts {
		m := &c.spec.Mounts[i]
		if _, copied := c.ahead[i]; !copied && spec.IsBind(m) {
			c.copySource(i, m, parseOptions(m.Options), fmt.Sprintf("copy source %q", m.Source))
		}
	}
}

// enterMounts joins the container's mount namespace, and with it its root directory.
func (c *compiler) enterMounts(process program.Arg) {
	c.Source("root.path", "enter the container's root file system")
	c.Do(program.Setns, process, program.Imm(unix.CLONE_NEWNS))
	c.openat2(c.root, program.AtFdcwd, "/", unix.O_PATH|unix.O_DIRECTORY, 0)
}

// done ends the program.
func (c *compiler) done() (*Plan, error) {
	const what = "the mounts are changed"
	c.Source("", what)
	c.tell(c.message(what, RequestReady{}), what)
	c.Do(program.ExitGroup, program.Imm(0))
	return c.end()
}

// removeMount unmounts the mount on the opened place, whatever its name refers to by now.
// It does not follow the last component, so that the directory above tells whether the
// mount is a mask in a procfs or sysfs.
func (c *compiler) removeMount(field string, m *specs.Mount) {
	c.Source(field, fmt.Sprintf("unmount %q", m.Destination))
	above, name := path.Split(path.Clean("/" + m.Destination))
	parent, target := c.Reg(), c.Reg()
	c.openat2(parent, program.R(c.root), above, unix.O_PATH|unix.O_DIRECTORY, c.resolve())
	c.checkDestination(parent, m)
	c.openat2(target, program.R(parent), name, unix.O_PATH|unix.O_NOFOLLOW, unix.RESOLVE_BENEATH)
	_, purpose := c.note()
	c.takeOff(target)[0].For(purpose + ", which must be a mount point, and no symlink to one")
	c.close(parent, target)
}

// ownFiles is the directory of the program's descriptors in the host's procfs. umount2(2)
// takes only a path; the path of a descriptor names exactly one mount, even on a file.
type ownFiles struct {
	dir program.Reg
	// slot is the descriptor number for that.
	slot int
}

func (c *compiler) takeOwnFiles() {
	c.Source("", "open the list of the program's descriptors")
	slot := c.file(File{Kind: Spare})
	c.ownFiles = ownFiles{dir: c.Reg(), slot: int(slot.Value)}
	c.Do(program.Openat, program.AtFdcwd, c.Str("/proc/self/fd"), program.Imm(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC), program.Imm(0)).To(c.ownFiles.dir)
}

// takeOff unmounts the mount whose root a descriptor refers to, with the mounts below. It
// first makes the mount a slave: otherwise the kernel would also unmount the mounts below
// on the host, if they are peers of the host's. It returns its steps.
func (c *compiler) takeOff(mount program.Reg) []program.Step {
	return []program.Step{
		c.setAttributes(mount, 0, 0, unix.MS_SLAVE, true),
		c.Do(program.Dup3, program.R(mount), program.Imm(c.ownFiles.slot), program.Imm(unix.O_CLOEXEC)),
		c.Do(program.Fchdir, program.R(c.ownFiles.dir)),
		c.Do(program.Umount2, c.Str(strconv.Itoa(c.ownFiles.slot)), program.Imm(unix.MNT_DETACH)),
	}
}

// noteAdded opens a mount again before it is attached, and returns the code that records
// it as added.
func (c *compiler) noteAdded(mount program.Reg) (attached func()) {
	fd, at := c.Reg(), c.Buffer("added", 8)
	c.Do(program.OpenTree, program.R(mount), c.Str(""), program.Imm(unix.AT_EMPTY_PATH|unix.OPEN_TREE_CLOEXEC)).To(fd).For("keep a descriptor, to unmount it if a later mount fails")
	return func() {
		c.Store(fd, 4, at)
		c.attached = append(c.attached, at)
		c.Free(fd)
	}
}

// takeOffAdded unmounts the added mounts, the last one first.
func (c *compiler) takeOffAdded() {
	if len(c.attached) == 0 {
		return
	}
	note := c.CurrentNote()
	c.Source("", "unmount what was mounted")
	mount := c.Reg()
	for _, at := range slices.Backward(c.attached) {
		next := c.NewLabel("not mounted")
		c.Load(mount, 4, at)
		c.Branch(mount, program.Eq, 0, next)
		for _, step := range c.takeOff(mount) {
			step.Ignore()
		}
		c.Bind(next)
	}
	c.Free(mount)
	c.Source(note.Source, note.Purpose)
}
