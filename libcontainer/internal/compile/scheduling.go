package compile

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// scheduling sets how the kernel schedules the process, while the program still has the
// rights for it. All of it is inherited through execve.
func (c *compiler) scheduling() {
	c.memoryPolicy()
	c.personality()
	c.scheduler()
	c.ioPriority()
}

// scheduler sets process.scheduler: sched_setattr(2).
func (c *compiler) scheduler() {
	s := c.spec.Process.Scheduler
	if s == nil || c.plan.ParentSets {
		return
	}
	c.Source("process.scheduler", "set the scheduling policy "+string(s.Policy))
	a := SchedAttr(s)
	attr := c.Struct("sched_attr", program.U32(a.Size), program.U32(a.Policy), program.U64(a.Flags), program.U32(uint32(a.Nice)),
		program.U32(a.Priority), program.U64(a.Runtime), program.U64(a.Deadline), program.U64(a.Period))
	c.Do(program.SchedSetattr, program.Imm(0), program.At(attr), program.Imm(0))
}

// SchedAttr is process.scheduler for sched_setattr(2), in its first version.
func SchedAttr(s *specs.Scheduler) unix.SchedAttr {
	const size = 48 // SCHED_ATTR_SIZE_VER0
	policy, _ := spec.SchedulerPolicies.Find(string(s.Policy))
	flags := uint64(0)
	for _, name := range s.Flags {
		bit, _ := spec.SchedulerFlags.Find(string(name))
		flags |= bit
	}
	return unix.SchedAttr{
		Size: size, Policy: uint32(policy), Flags: flags, Nice: s.Nice, Priority: uint32(s.Priority),
		Runtime: s.Runtime, Deadline: s.Deadline, Period: s.Period,
	}
}

// ioPriority sets process.ioPriority: ioprio_set(2).
func (c *compiler) ioPriority() {
	p := c.spec.Process.IOPriority
	if p == nil || c.plan.ParentSets {
		return
	}
	c.Source("process.ioPriority", "set the I/O priority")
	c.Do(program.IoprioSet, program.Imm(IOPrioWhoProcess), program.Imm(0), program.Imm(IOPrio(p)))
}

// IOPrioWhoProcess tells ioprio_set(2) that the number is that of a process.
const IOPrioWhoProcess = 1

// IOPrio is process.ioPriority for ioprio_set(2).
func IOPrio(p *specs.LinuxIOPriority) uint64 {
	const classShift = 13
	class, _ := spec.IOPriorityClasses.Find(string(p.Class))
	return uint64(class)<<classShift | uint64(p.Priority)
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
