package compile

import (
	"encoding/binary"

	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"golang.org/x/sys/unix"
)

// The parent's commands while it copies for tmpcopyup. The parent reads the image's
// directory and the program writes, so that the memory is charged to the container. A
// command is a CopyCommand and up to two descriptors, which the program closes. The answer
// is RequestCopied.
const (
	// CopyEnd: everything is copied.
	CopyEnd = iota
	// CopyDirectory makes the directory Name below the first descriptor.
	CopyDirectory
	// CopyNode makes a file of Mode and Device.
	CopyNode
	// CopySymlink makes a symlink to Data.
	CopySymlink
	// CopyContent copies the rest of the second descriptor to the first.
	CopyContent
	// CopyAttribute sets the extended attribute Name of the first descriptor to Size bytes
	// of Data.
	CopyAttribute
)

// CopyCommand is a command of the parent's.
type CopyCommand struct {
	Command, Mode, Device, Size uint64
	Name                        string
	Data                        []byte
}

// Sizes of a command in bytes: a name and an attribute may be as long as the kernel allows
// (NAME_MAX, XATTR_NAME_MAX, XATTR_SIZE_MAX), and end with a 0.
const (
	copyName = 256
	copyData = 65536 + 8
	copySize = 4*8 + copyName + copyData
)

// Encode appends the command in the program's memory layout.
func (c *CopyCommand) Encode(b []byte) ([]byte, error) {
	if len(c.Name) >= copyName || len(c.Data) >= copyData {
		return b, unix.ENAMETOOLONG
	}
	for _, word := range []uint64{c.Command, c.Mode, c.Device, c.Size} {
		b = binary.LittleEndian.AppendUint64(b, word)
	}
	b = append(append(b, c.Name...), make([]byte, copyName-len(c.Name))...)
	return append(append(b, c.Data...), 0), nil
}

// copyUp copies the content of the mount point into the new mount, as the parent commands.
func (c *compiler) copyUp(field, destination string, mount program.Reg) {
	from := c.Reg()
	c.target(from, destination, inRoot, field, func() { c.makePath(from, destination, inRoot, Directory) })
	c.sendFile(from, RequestCopyFrom{}, "copy the content of "+destination)
	c.sendFile(mount, RequestCopyTo{}, "copy it to the new tmpfs")
	c.close(from)
	if !defence.Off(defence.ChargedCopies) {
		c.copyCommands()
	}
}

// copyCommands executes the parent's commands until the parent is done.
func (c *compiler) copyCommands() {
	const mode, device, size, name, data = 8, 16, 24, 32, 32 + copyName // offsets of CopyCommand
	command := c.Buffer("copy command", copySize)
	copied, result := c.openMessage("copied", RequestCopied{})
	m := c.msghdr(command, copySize, 2)
	controlSize, none := c.Reg(), c.Reg()
	op, n, one, other, value := c.Reg(), c.Reg(), c.Reg(), c.Reg(), c.Reg()
	at := func(offset int) program.Arg { return program.At(command.Plus(offset)) }
	again, answer, done := c.Here("next command"), c.NewLabel("answer"), c.NewLabel("all is copied")
	// recvmsg(2) has overwritten the sizes and descriptors.
	c.Move(controlSize, program.Imm(m.controlSize))
	c.Store(controlSize, 8, m.header.Plus(40))
	c.Move(none, program.Imm(-1))
	c.Store(none, 8, m.files)
	c.Do(program.Recvmsg, program.R(c.conv), program.At(m.header), program.Imm(unix.MSG_CMSG_CLOEXEC)).To(n)
	c.orphaned(n)
	c.Load(op, 8, command)
	c.Load(one, 4, m.files)
	c.Load(other, 4, m.files.Plus(4))
	c.Load(value, 8, command.Plus(mode))
	for kind, do := range []func(){
		CopyEnd:       func() { c.Jump(done) },
		CopyDirectory: func() { c.Do(program.Mkdirat, program.R(one), at(name), program.R(value)).To(n).Ignore() },
		CopyNode: func() {
			c.Load(op, 8, command.Plus(device))
			c.Do(program.Mknodat, program.R(one), at(name), program.R(value), program.R(op)).To(n).Ignore()
		},
		CopySymlink: func() { c.Do(program.Symlinkat, at(data), program.R(one), at(name)).To(n).Ignore() },
		CopyContent: func() {
			const most = 0x7ffff000 // of sendfile(2) at once
			more := c.Here("more content")
			c.Do(program.Sendfile, program.R(one), program.R(other), program.Imm(0), program.Imm(most)).To(n).Ignore()
			c.Branch(n, program.Ge, 1, more)
		},
		CopyAttribute: func() {
			c.Load(op, 8, command.Plus(size))
			c.Do(program.Fsetxattr, program.R(one), at(name), at(data), program.R(op), program.Imm(0)).To(n).Ignore()
		},
	} {
		next := c.NewLabel("another command")
		c.Branch(op, program.Ne, int64(kind), next)
		do()
		if kind != CopyEnd {
			c.Jump(answer)
		}
		c.Bind(next)
	}
	c.Bind(answer)
	c.Do(program.Close, program.R(one)).Ignore()
	c.Do(program.Close, program.R(other)).Ignore()
	c.Store(n, 8, result)
	c.tell(copied, "how the command went")
	c.Jump(again)
	c.Bind(done)
	c.Free(controlSize, none, op, n, one, other, value)
}
