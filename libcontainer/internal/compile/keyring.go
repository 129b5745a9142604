package compile

import (
	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"golang.org/x/sys/unix"
)

// keyringPermissions, keyctl_setperm(3): its possessor may do everything. Its user may
// find it by its name, without which a further process of the container would get
// another keyring; nothing else, so that no other container of that user sees the name
// in /proc/keys.
const keyringPermissions = 0x3f000000 | 0x00080000

// keyring joins the session keyring of the container, session-keyring(7), and
// makes it when there is none. It belongs to the user that the program is, in the
// user namespace that it is in.
func (c *compiler) keyring() {
	if c.opt.Keyring == "" || defence.Off(defence.Keyring) {
		return
	}
	c.Source("process", "join the container's session keyring")
	// keyctl(2): not every kernel has keyrings, and a quota or a filter may forbid
	// a new one; the container works without.
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

// labelKeys lets keyrings that the program makes have process.selinuxLabel: else
// the container could not use them. The execve that follows ends it.
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
