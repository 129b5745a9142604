package compile

import (
	"fmt"
	"maps"
	"slices"

	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// sysctl writes linux.sysctl through a procfs that the program mounted itself.
func (c *compiler) sysctl() {
	if c.spec.Linux == nil || len(c.spec.Linux.Sysctl) == 0 {
		return
	}
	c.Source("linux.sysctl", "mount a procfs to write to")
	proc := c.procfs()
	fd := c.Reg()
	for _, name := range slices.Sorted(maps.Keys(c.spec.Linux.Sysctl)) {
		value := c.spec.Linux.Sysctl[name]
		c.Source("linux.sysctl", fmt.Sprintf("set %s to %q", name, value))
		file, _ := spec.SysctlPath(name)
		file = "sys/" + file
		if defence.Off(defence.OwnProcfs) {
			c.openat2(fd, program.R(c.root), "/proc/"+file, unix.O_WRONLY, inRoot)
		} else {
			c.openat2(fd, program.R(proc), file, unix.O_WRONLY, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_SYMLINKS|unix.RESOLVE_NO_XDEV)
		}
		c.Do(program.Write, program.R(fd), c.Str(value), program.Imm(len(value)))
		c.Do(program.Close, program.R(fd))
	}
	c.Free(fd)
}
