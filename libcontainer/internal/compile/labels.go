package compile

import (
	"slices"

	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// processLabel is the label that the process gets when it is executed.
type processLabel struct {
	field, what string
	// files are those of proc_pid_attr(5) to write value to: the first that is there.
	files          []string
	value, purpose string
}

// processLabels are process.apparmorProfile and process.selinuxLabel.
func (c *compiler) processLabels() (list []processLabel) {
	p := c.spec.Process
	if p != nil && p.ApparmorProfile != "" {
		list = append(list, processLabel{
			"process.apparmorProfile", "profile", apparmorExec, "exec " + p.ApparmorProfile,
			"change to the profile " + p.ApparmorProfile + " on execve; it must be loaded, see apparmor_parser(8)",
		})
	}
	if p != nil && p.SelinuxLabel != "" {
		list = append(list, processLabel{
			"process.selinuxLabel", "label", selinuxExec, p.SelinuxLabel, "change to the label " + p.SelinuxLabel + " on execve",
		})
	}
	return list
}

// labels opens the files to write the labels to while the program may still mount.
func (c *compiler) labels() {
	for _, l := range c.processLabels() {
		fd := c.Reg()
		c.openLabel(fd, c.procfs, l)
		c.stand(fd)
		c.labelFiles = append(c.labelFiles, fd)
	}
}

func (c *compiler) openLabel(fd program.Reg, procfs func() program.Reg, l processLabel) {
	c.Source(l.field, "open the file for the "+l.what)
	c.attribute(fd, procfs(), l.files...)
}

func (c *compiler) setLabel(fd program.Reg, l processLabel) {
	c.Source(l.field, l.purpose)
	c.Do(program.Write, program.R(fd), c.Str(l.value), program.Imm(len(l.value)))
	c.Do(program.Close, program.R(fd))
}

// ownAttribute is how the program reaches its own files in a procfs: nothing that is
// mounted there can replace them.
const ownAttribute = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV

// The files of proc_pid_attr(5) for the next execve. Since Linux 5.8 each security module
// has its own directory.
var (
	apparmorExec = []string{"self/attr/apparmor/exec", "self/attr/exec"}
	selinuxExec  = []string{"self/attr/exec"}
)

// attribute opens the first of these files that exists in a procfs.
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

// setLabels sets the labels for the next execve.
func (c *compiler) setLabels() {
	for i, fd := range c.labelFiles {
		c.setLabel(fd, c.processLabels()[i])
	}
}

// setLabelsAhead does the same for a further process, in the host's /proc, before it
// enters the container. The labels survive a fork, and so no step in the container's pid
// namespace needs rights for them.
func (c *compiler) setLabelsAhead() {
	for _, l := range c.processLabels() {
		fd := c.Reg()
		c.openLabel(fd, func() program.Reg { return c.hostProc }, l)
		c.setLabel(fd, l)
		c.Free(fd)
	}
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

// labelQueues sets linux.mountLabel on the root of a message queue file system, which has
// no option for it.
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

// labelling sets the field of the label as the source of what emit emits.
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
