package compile

import (
	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/libcontainer/program"
	"golang.org/x/sys/unix"
)

// keyringPermissions are those of a new session keyring, keyctl_setperm(3), and
// the right to find it, without which a later process of the same user would get
// another keyring of that name.
const keyringPermissions = 0x3f000000 | // its possessor: everything
	0x00010000 | 0x00020000 | 0x00080000 | 0x00100000 // its user: view, read, search, link

// keyring joins the session keyring of the container, session-keyring(7), and
// makes it when there is none. It belongs to the user that the program is, in the
// user namespace that it is in.
func (c *compiler) keyring() {
	if c.opt.NoNewKeyring || defence.Off(defence.Keyring) {
		return
	}
	c.Source("process", "join a session keyring of the container's own")
	// keyctl(2): not every kernel has keyrings, and a quota or a filter may forbid
	// a new one; the container works without.
	id, none := c.Reg(), c.NewLabel("no keyring")
	c.Do(program.Keyctl, program.Imm(unix.KEYCTL_JOIN_SESSION_KEYRING), c.Str("_ses."+c.opt.ID)).To(id).Ignore()
	c.Branch(id, program.Lt, 0, none)
	c.Do(program.Keyctl, program.Imm(unix.KEYCTL_SETPERM), program.R(id), program.Imm(keyringPermissions)).Ignore()
	c.Bind(none)
	c.Free(id)
}

// labelKeys lets keyrings that the program makes have process.selinuxLabel: else
// the container could not use them. The execve that follows ends it.
func (c *compiler) labelKeys() {
	if c.labelsKeys() {
		p := c.spec.Process
		c.Source("process.selinuxLabel", "label new keyrings "+p.SelinuxLabel)
		c.writeHostProc("self/attr/keycreate", p.SelinuxLabel, "label new keyrings "+p.SelinuxLabel)
	}
}

func (c *compiler) labelsKeys() bool {
	return !c.opt.NoNewKeyring && c.spec.Process != nil && c.spec.Process.SelinuxLabel != ""
}
