package compile

import (
	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"golang.org/x/sys/unix"
)

// terminal opens a pseudo terminal on the container's own devpts, sends its master to the
// parent, makes the other end the standard streams, and, for the first process, binds it
// to /dev/console.
func (c *compiler) terminal(console bool) {
	if c.spec.Process == nil || !c.spec.Process.Terminal {
		return
	}
	c.Source("process.terminal", "open a pseudo terminal")
	master, slave := c.Reg(), c.Reg()
	c.multiplexer(master)
	c.Do(program.Ioctl, program.R(master), program.Imm(unix.TIOCSPTLCK), program.At(c.Bytes("zero", make([]byte, 8))))
	c.Do(program.Ioctl, program.R(master), program.Imm(unix.TIOCGPTPEER), program.Imm(unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)).To(slave)
	if console {
		c.handTerminal(master)
		c.console(slave)
	} else {
		c.master = master
	}
	c.Source("process.terminal", "make the terminal the standard streams")
	for fd := range 3 {
		c.Do(program.Dup3, program.R(slave), program.Imm(fd), program.Imm(0))
	}
	if console {
		c.controlTerminal()
	}
	uid := c.spec.Process.User.UID
	if uid != 0 {
		c.Do(program.Fchown, program.Imm(0), program.Imm(uid), program.Imm(-1)).For("give the terminal to the container's user").Ignore(unix.EPERM, unix.EINVAL)
	}
	c.close(slave)
}

// handTerminal sends the master of the terminal to the parent.
func (c *compiler) handTerminal(master program.Reg) {
	c.sendFile(master, RequestTerminal{}, "send the terminal's master to the parent")
	c.close(master)
}

// controlTerminal makes the terminal the controlling terminal of the session.
func (c *compiler) controlTerminal() {
	if c.spec.Process == nil || !c.spec.Process.Terminal {
		return
	}
	c.Source("process.terminal", "make it the controlling terminal of the session")
	if c.further { // not before it is forked, which may fail and be tried again elsewhere
		c.handTerminal(c.master)
	}
	c.Do(program.Ioctl, program.Imm(0), program.Imm(unix.TIOCSCTTY), program.Imm(0))
}

// multiplexer opens /dev/pts/ptmx after checking that it is on a devpts: an image could
// have any device there (CVE-2025-52565).
func (c *compiler) multiplexer(master program.Reg) {
	const needs = "; a terminal needs a devpts mount on /dev/pts"
	pts := c.place("/dev/pts/.")
	if pts.fstype == "devpts" {
		c.openPlace(master, place{pts.dir, "ptmx", pts.fstype}, unix.O_RDWR|unix.O_NOCTTY, inRootExact).For("open /dev/pts/ptmx")
		return
	}
	dir, kind, right := c.Reg(), c.Reg(), c.NewLabel("a devpts")
	c.openPlace(dir, c.place("/dev/pts"), unix.O_PATH|unix.O_DIRECTORY, inRootExact).For("open /dev/pts" + needs)
	if !defence.Off(defence.CheckedDevices) {
		c.Do(program.Fstatfs, program.R(dir), program.At(c.stat)).For("check whether /dev/pts is a devpts")
		c.Load(kind, 8, c.stat)
		c.Branch(kind, program.Eq, unix.DEVPTS_SUPER_MAGIC, right)
		c.fail("/dev/pts is not a devpts" + needs)
		c.Bind(right)
	}
	c.openat2(master, program.R(dir), "ptmx", unix.O_RDWR|unix.O_NOCTTY, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_SYMLINKS|unix.RESOLVE_NO_XDEV).
		For("open /dev/pts/ptmx" + needs)
	c.close(dir)
	c.Free(kind)
}

// console binds the terminal to /dev/console.
func (c *compiler) console(slave program.Reg) {
	c.Source("process.terminal", "bind the terminal to /dev/console")
	tree, target, without := c.Reg(), c.Reg(), c.NewLabel("no console")
	c.Do(program.OpenTree, program.R(slave), c.Str(""), program.Imm(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)).To(tree)
	if c.foreignDev() { // rt makes nothing in a directory of the host
		c.openat2(target, program.R(c.root), "/dev/console", unix.O_PATH, inRoot).OnError(without, unix.ENOENT)
	} else {
		c.target(target, "/dev/console", inRoot, "process.terminal", func() {
			c.makePath(target, "/dev/console", inRoot, EmptyFile)
		})
	}
	c.moveMount(tree, target)
	c.close(target)
	c.Bind(without)
	c.close(tree)
}
