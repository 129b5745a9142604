package compile

import (
	"github.com/rtcontainers/rt/libcontainer/program"
	"github.com/rtcontainers/rt/spec"
)

// scheduling sets how the kernel treats the process: while the program still has
// the rights for it. All of it is inherited through execve.
func (c *compiler) scheduling() {
	c.memoryPolicy()
	c.personality()
	c.scheduler()
	c.ioPriority()
}

// scheduler sets process.scheduler: sched_setattr(2).
func (c *compiler) scheduler() {
	s := c.spec.Process.Scheduler
	if s == nil {
		return
	}
	c.Source("process.scheduler", "set the scheduling policy "+string(s.Policy))
	policy, _ := spec.SchedulerPolicies.Find(string(s.Policy))
	flags := uint64(0)
	for _, name := range s.Flags {
		bit, _ := spec.SchedulerFlags.Find(string(name))
		flags |= bit
	}
	const size = 48 // SCHED_ATTR_SIZE_VER0
	attr := c.Struct("sched_attr", program.U32(size), program.U32(policy), program.U64(flags), program.U32(uint32(s.Nice)),
		program.U32(uint32(s.Priority)), program.U64(s.Runtime), program.U64(s.Deadline), program.U64(s.Period))
	c.Do(program.SchedSetattr, program.Imm(0), program.At(attr), program.Imm(0))
}

// ioPriority sets process.ioPriority: ioprio_set(2).
func (c *compiler) ioPriority() {
	p := c.spec.Process.IOPriority
	if p == nil {
		return
	}
	const (
		whoProcess = 1
		classShift = 13
	)
	c.Source("process.ioPriority", "set the I/O priority")
	class, _ := spec.IOPriorityClasses.Find(string(p.Class))
	c.Do(program.IoprioSet, program.Imm(whoProcess), program.Imm(0), program.Imm(uint64(class)<<classShift|uint64(p.Priority)))
}

// personality sets linux.personality: personality(2).
func (c *compiler) personality() {
	l := c.spec.Linux
	if l == nil || l.Personality == nil {
		return
	}
	c.Source("linux.personality", "set the execution domain "+string(l.Personality.Domain))
	domain, _ := spec.PersonalityDomains.Find(string(l.Personality.Domain))
	c.Do(program.Personality, program.Imm(domain))
}

// memoryPolicy sets linux.memoryPolicy: set_mempolicy(2).
func (c *compiler) memoryPolicy() {
	l := c.spec.Linux
	if l == nil || l.MemoryPolicy == nil {
		return
	}
	c.Source("linux.memoryPolicy", "set the NUMA memory policy "+string(l.MemoryPolicy.Mode))
	mode, _ := spec.MemoryPolicyModes.Find(string(l.MemoryPolicy.Mode))
	bits := mode.Number
	for _, name := range l.MemoryPolicy.Flags {
		flag, _ := spec.MemoryPolicyFlags.Find(string(name))
		bits |= flag
	}
	nodes, size := program.Imm(0), 0
	if l.MemoryPolicy.Nodes != "" {
		list, _ := spec.ParseList(l.MemoryPolicy.Nodes)
		mask := bitMask(list)
		nodes, size = program.At(c.Bytes("nodemask", mask)), 8*len(mask)+1 // the kernel takes one bit less
	}
	c.Do(program.SetMempolicy, program.Imm(bits), nodes, program.Imm(size))
}
