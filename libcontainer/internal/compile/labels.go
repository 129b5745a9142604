package compile

import (
	"slices"

	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// procfs returns a procfs of the container's pid namespace that the program
// mounted itself: no image can put something else there.
func (c *compiler) procfs() program.Reg {
	if c.proc == program.Scratch {
		c.proc = c.newMount("proc", "proc", mountOptions{})
	}
	return c.proc
}

// labels prepares process.apparmorProfile and process.selinuxLabel: the files to
// write are opened while the program may still mount.
func (c *compiler) labels() {
	p := c.spec.Process
	if p == nil {
		return
	}
	if p.ApparmorProfile != "" {
		c.Source("process.apparmorProfile", "open the file for the profile")
		c.profile = c.Reg()
		c.attribute(c.profile, c.procfs(), apparmorExec...)
		c.stand(c.profile)
	}
	if p.SelinuxLabel != "" {
		c.Source("process.selinuxLabel", "open the file for the label")
		c.label = c.Reg()
		c.attribute(c.label, c.procfs(), selinuxExec...)
		c.stand(c.label)
	}
}

// ownAttribute is how a file of the program's own in a procfs is reached: nothing
// that is mounted there can stand in for it.
const ownAttribute = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV

// The files of proc_pid_attr(5) for the next execve. Since Linux 5.8 each security
// module has a directory of its own.
var (
	apparmorExec = []string{"self/attr/apparmor/exec", "self/attr/exec"}
	selinuxExec  = []string{"self/attr/exec"}
)

// attribute opens the first of these files in a procfs that is there.
func (c *compiler) attribute(fd, procfs program.Reg, names ...string) {
	if defence.Off(defence.OwnProcfs) && !c.further {
		c.openat2(fd, program.R(c.root), "/proc/"+names[0], unix.O_WRONLY, inRoot)
		return
	}
	have := c.NewLabel("have the file")
	for _, name := range names[:len(names)-1] {
		c.openat2(fd, program.R(procfs), name, unix.O_WRONLY, ownAttribute).Ignore(unix.ENOENT)
		c.Branch(fd, program.Ge, 0, have)
	}
	c.openat2(fd, program.R(procfs), names[len(names)-1], unix.O_WRONLY, ownAttribute)
	c.Bind(have)
}

// setLabels says what the next execve changes to.
func (c *compiler) setLabels() {
	p := c.spec.Process
	if p == nil || c.further {
		return
	}
	if p.ApparmorProfile != "" {
		c.setProfile(c.profile)
	}
	if p.SelinuxLabel != "" {
		c.setLabel(c.label)
	}
}

// setLabelsAhead does the same for a further process: before it enters the container,
// in the host's /proc. The labels stay with it when it forks, and nothing is left to
// do in the container's pid namespace that would take rights.
func (c *compiler) setLabelsAhead() {
	if !c.labelled() {
		return
	}
	p, fd := c.spec.Process, c.Reg()
	if p.ApparmorProfile != "" {
		c.Source("process.apparmorProfile", "open the file for the profile")
		c.attribute(fd, c.hostProc, apparmorExec...)
		c.setProfile(fd)
	}
	if p.SelinuxLabel != "" {
		c.Source("process.selinuxLabel", "open the file for the label")
		c.attribute(fd, c.hostProc, selinuxExec...)
		c.setLabel(fd)
	}
	c.Free(fd)
}

func (c *compiler) labelled() bool {
	p := c.spec.Process
	return p != nil && p.ApparmorProfile+p.SelinuxLabel != ""
}

func (c *compiler) setProfile(fd program.Reg) {
	name := c.spec.Process.ApparmorProfile
	c.Source("process.apparmorProfile", "change to the profile "+name+" on execve; it must be loaded, see apparmor_parser(8)")
	c.writeAttribute(fd, "exec "+name)
}

func (c *compiler) setLabel(fd program.Reg) {
	label := c.spec.Process.SelinuxLabel
	c.Source("process.selinuxLabel", "change to the label "+label+" on execve")
	c.writeAttribute(fd, label)
}

func (c *compiler) writeAttribute(fd program.Reg, value string) {
	c.Do(program.Write, program.R(fd), c.Str(value), program.Imm(len(value)))
	c.Do(program.Close, program.R(fd))
}

// unlabelled are the file systems that have labels of their own.
var unlabelled = []string{"proc", "sysfs", "cgroup", "cgroup2", "mqueue", "bpf", "debugfs", "tracefs", "securityfs"}

// mountLabel gives a new file system linux.mountLabel: mount(8), "context".
func (c *compiler) mountLabel(fstype string) {
	if label := c.labelOf(fstype); label != "" {
		c.labelling(label, func() { c.setString(c.contextOption(), label) })
	}
}

// contextOption is the option by which a file system gets its label.
func (c *compiler) contextOption() string {
	if name := c.spec.Annotations[spec.AnnotationMountContext]; name != "" {
		return name
	}
	return spec.MountContexts[0]
}

// labelQueues gives linux.mountLabel to the root of a message queue file system,
// which takes no option for it.
func (c *compiler) labelQueues(mount program.Reg) {
	l := c.spec.Linux
	if l == nil || l.MountLabel == "" {
		return
	}
	c.labelling(l.MountLabel, func() {
		root := c.Reg()
		c.openat2(root, program.R(mount), ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		c.Do(program.Fsetxattr, program.R(root), c.Str("security.selinux"), c.Str(l.MountLabel), program.Imm(len(l.MountLabel)), program.Imm(0))
		c.close(root)
	})
}

// labelling names the field of the label for what emit emits.
func (c *compiler) labelling(label string, emit func()) {
	source, purpose := c.note()
	c.Source("linux.mountLabel", purpose+" with the label "+label)
	emit()
	c.Source(source, purpose)
}

// labelOf is the label for a new file system of that type, if it gets one.
func (c *compiler) labelOf(fstype string) string {
	if l := c.spec.Linux; l != nil && !slices.Contains(unlabelled, fstype) {
		return l.MountLabel
	}
	return ""
}
