package compile

import (
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"golang.org/x/sys/unix"
)

// TimelineSize is the size in bytes of the file for the times of a program's steps.
const TimelineSize = 1 << 20

// timelineAt is where the program maps that file: far from everything else, and possible
// on arm64 with 39 bits of addresses.
const timelineAt = 0x20_0000_0000

// timeline maps the file for the times of the program's steps.
func (c *compiler) timeline() {
	if !c.opt.Timeline {
		return
	}
	c.Source("", "share memory with rt for the times of the steps")
	file := c.file(File{Kind: Timeline})
	c.Do(program.Mmap, program.Imm(timelineAt), program.Imm(TimelineSize), program.Imm(unix.PROT_READ|unix.PROT_WRITE),
		program.Imm(unix.MAP_SHARED|unix.MAP_FIXED_NOREPLACE), file, program.Imm(0))
	c.Do(program.Close, file)
	c.timedFrom = c.Len()
}

// time lets the program write the times of its steps, as long as no filter of the container
// could end it for that, or tell an agent. If there is a filter, that excludes the code at
// the end, too, which may run before or after it is loaded.
func (c *compiler) time() {
	if !c.opt.Timeline {
		return
	}
	end := c.Len()
	if c.filter != nil {
		end = min(c.filterAt, c.plan.Rare)
	}
	p, moved := c.plan.Program.Timed(timelineAt, TimelineSize, func(i int) bool { return c.timedFrom <= i && i < end })
	c.plan.Program, c.plan.Rare, c.plan.Ready = p, at(moved, c.plan.Rare), at(moved, c.plan.Ready)
}

// at is the new place of an instruction, which may be the end of the program.
func at(moved []int, i int) int {
	if i >= len(moved) {
		return i - len(moved) + moved[len(moved)-1] + 1
	}
	return moved[i]
}
