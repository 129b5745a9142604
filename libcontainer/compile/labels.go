package compile

import (
	"slices"

	"github.com/rtcontainers/rt/libcontainer/program"
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
		// Since Linux 5.8 each security module has a directory of its own.
		c.attribute(c.profile, "self/attr/apparmor/exec", "self/attr/exec")
	}
	if p.SelinuxLabel != "" {
		c.Source("process.selinuxLabel", "open the file for the label")
		c.label = c.Reg()
		c.attribute(c.label, "self/attr/exec", "")
	}
}

// attribute opens a file of proc_pid_attr(5), or another one where it is missing.
func (c *compiler) attribute(fd program.Reg, name, other string) {
	const resolve = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV
	step := c.openat2(fd, program.R(c.procfs()), name, unix.O_WRONLY, resolve)
	if other == "" {
		return
	}
	step.Ignore(unix.ENOENT)
	have := c.NewLabel("have the file")
	c.Branch(fd, program.Ge, 0, have)
	c.openat2(fd, program.R(c.procfs()), other, unix.O_WRONLY, resolve)
	c.Bind(have)
}

// setLabels says what the next execve changes to.
func (c *compiler) setLabels() {
	p := c.spec.Process
	if p == nil {
		return
	}
	if p.ApparmorProfile != "" {
		c.Source("process.apparmorProfile", "change to the profile "+p.ApparmorProfile+" on execve; it must be loaded, see apparmor_parser(8)")
		value := "exec " + p.ApparmorProfile
		c.Do(program.Write, program.R(c.profile), c.Str(value), program.Imm(len(value)))
	}
	if p.SelinuxLabel != "" {
		c.Source("process.selinuxLabel", "change to the label "+p.SelinuxLabel+" on execve")
		c.Do(program.Write, program.R(c.label), c.Str(p.SelinuxLabel), program.Imm(len(p.SelinuxLabel)))
	}
}

// unlabelled are the file systems that have labels of their own.
var unlabelled = []string{"proc", "sysfs", "cgroup", "cgroup2", "mqueue", "bpf", "debugfs", "tracefs", "securityfs"}

// mountLabel gives a new file system linux.mountLabel: mount(8), "context".
func (c *compiler) mountLabel(fstype string) {
	if l := c.spec.Linux; l != nil && l.MountLabel != "" && !slices.Contains(unlabelled, fstype) {
		c.setString("context", l.MountLabel)
	}
}
