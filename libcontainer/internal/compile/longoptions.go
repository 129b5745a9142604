package compile

import (
	"path"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"golang.org/x/sys/unix"
)

// fsconfig(2) takes values of at most 255 bytes, and the layers of an overlay soon exceed
// that. mount(2) takes a page for all options together.
const maxOption = 255

func tooLong(options []string) bool {
	for _, o := range options {
		if _, value, _ := strings.Cut(o, "="); len(value) > maxOption {
			return true
		}
	}
	return false
}

// mountFlags are the flags of mount(2) for attributes of a mount.
var mountFlags = []struct{ attribute, flag uint64 }{
	{unix.MOUNT_ATTR_RDONLY, unix.MS_RDONLY}, {unix.MOUNT_ATTR_NOSUID, unix.MS_NOSUID}, {unix.MOUNT_ATTR_NODEV, unix.MS_NODEV},
	{unix.MOUNT_ATTR_NOEXEC, unix.MS_NOEXEC}, {unix.MOUNT_ATTR_NOATIME, unix.MS_NOATIME}, {unix.MOUNT_ATTR_NODIRATIME, unix.MS_NODIRATIME},
	{unix.MOUNT_ATTR_STRICTATIME, unix.MS_STRICTATIME}, {unix.MOUNT_ATTR_NOSYMFOLLOW, unix.MS_NOSYMFOLLOW},
}

// longMount mounts a file system with long options on the working directory, which is the
// opened mount point for this moment.
func (c *compiler) longMount(field string, m *specs.Mount, o mountOptions) {
	flags := uint64(0)
	for _, f := range mountFlags {
		if (o.set|o.rset)&f.attribute != 0 {
			flags |= f.flag
		}
	}
	options := slices.Concat(o.super, o.data)
	if label := c.labelOf(m.Type); label != "" {
		options = append(options, c.contextOption()+`="`+label+`"`) // a level has commas
	}
	data := strings.Join(options, ",")
	target := c.Reg()
	c.target(target, m.Destination, inRoot, field, func() { c.makePath(target, m.Destination, inRoot, Directory) })
	c.checkTarget(target, m)
	c.Do(program.Fchdir, program.R(target)).For("enter the mount point")
	c.Do(program.Mount, c.Str(m.Source), c.Str("."), c.Str(m.Type), program.Imm(flags), c.Str(data))
	c.Do(program.Chdir, c.Str("/")).For("leave the mount point")
	if o.propagation != 0 {
		c.openat2(target, program.R(c.root), m.Destination, unix.O_PATH, inRoot)
		c.setAttributes(target, 0, 0, o.propagation, o.recursive)
	}
	c.covered(path.Clean("/" + m.Destination))
	c.close(target)
}
