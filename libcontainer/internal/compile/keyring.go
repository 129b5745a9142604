package compile

import (
	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"golang.org/x/sys/unix"
)

// keyringPermissions, keyctl_setperm(3): the possessor may do everything. The user may
// search for the keyring by its name; otherwise a further process of the container would
// get another keyring. The user may do nothing else, so that no other container of that
// user sees the name in /proc/keys.
const keyringPermissions = 0x3f000000 | 0x00080000

// keyring joins the session keyring of the container, session-keyring(7), and makes it if
// there is none. It belongs to the program's current user, in its current user namespace.
func (c *compiler) keyring() {
	if c.opt.Keyring == "" || defence.Off(defence.Keyring) {
		return
	}
	c.Source("process", "join the container's session keyring")
	// keyctl(2): not every kernel has keyrings, and a quota or a filter may forbid a new
	// one; the container works without.
	id, none := c.Reg(), c.NewLabel("no keyring")
	name := c.opt.Keyring
	if defence.Off(defence.KeyringName) {
		name = "_ses." + c.opt.ID
	}
	c.Do(program.Keyctl, program.Imm(unix.KEYCTL_JOIN_SESSION_KEYRING), c.Str(name)).To(id).Ignore()
	c.Branch(id, program.Lt, 0, none)
	c.Do(program.Keyctl, program.Imm(unix.KEYCTL_SETPERM), program.R(id), program.Imm(keyringPermissions)).Ignore()
	c.Bind(none)
	c.Free(id)
}

// labelKeys gives process.selinuxLabel to keyrings that the program makes; otherwise the
// container could not use them. The next execve ends it.
func (c *compiler) labelKeys() {
	if c.labelsKeys() {
		p := c.spec.Process
		c.Source("process.selinuxLabel", "set the label of new keyrings: "+p.SelinuxLabel)
		c.writeHostProc("self/attr/keycreate", p.SelinuxLabel, "set the label of new keyrings: "+p.SelinuxLabel)
	}
}

func (c *compiler) labelsKeys() bool {
	return c.opt.Keyring != "" && c.spec.Process != nil && c.spec.Process.SelinuxLabel != ""
}
