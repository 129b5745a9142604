package spec

import (
	"math"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// SchedulerPolicies gives the policies of process.scheduler their numbers:
// sched(7). SCHED_ISO has one, but the kernel never implemented it.
var SchedulerPolicies = Table[uint32]{
	{"SCHED_OTHER", unix.SCHED_NORMAL}, {"SCHED_FIFO", unix.SCHED_FIFO}, {"SCHED_RR", unix.SCHED_RR},
	{"SCHED_BATCH", unix.SCHED_BATCH}, {"SCHED_IDLE", unix.SCHED_IDLE}, {"SCHED_DEADLINE", unix.SCHED_DEADLINE},
}

// SchedulerFlags gives the flags of process.scheduler their bits:
// sched_setattr(2).
var SchedulerFlags = Table[uint64]{
	{"SCHED_FLAG_RESET_ON_FORK", unix.SCHED_FLAG_RESET_ON_FORK}, {"SCHED_FLAG_RECLAIM", unix.SCHED_FLAG_RECLAIM},
	{"SCHED_FLAG_DL_OVERRUN", unix.SCHED_FLAG_DL_OVERRUN}, {"SCHED_FLAG_KEEP_POLICY", unix.SCHED_FLAG_KEEP_POLICY},
	{"SCHED_FLAG_KEEP_PARAMS", unix.SCHED_FLAG_KEEP_PARAMS},
	{"SCHED_FLAG_UTIL_CLAMP_MIN", unix.SCHED_FLAG_UTIL_CLAMP_MIN}, {"SCHED_FLAG_UTIL_CLAMP_MAX", unix.SCHED_FLAG_UTIL_CLAMP_MAX},
}

// IOPriorityClasses gives the classes of process.ioPriority their numbers:
// ioprio_set(2).
var IOPriorityClasses = Table[uint32]{{"IOPRIO_CLASS_RT", 1}, {"IOPRIO_CLASS_BE", 2}, {"IOPRIO_CLASS_IDLE", 3}}

// scheduler checks process.scheduler by the rules of sched_setattr(2), which reports only
// EINVAL for all of them.
func (v *validator) scheduler(s *specs.Scheduler) {
	if s == nil {
		return
	}
	const field = "process.scheduler"
	if s.Policy == specs.SchedISO {
		v.add(field+".policy", "SCHED_ISO is reserved, no kernel has it; SCHED_RR and SCHED_FIFO are the closest")
		return
	}
	known := oneOf(v, field+".policy", string(s.Policy), SchedulerPolicies)
	v.within(field+".nice", int64(s.Nice), -20, 19)
	if known {
		v.priority(field+".priority", s)
	}
	for i, flag := range s.Flags {
		oneOf(v, entry(field+".flags", i), string(flag), SchedulerFlags)
	}
	if s.Policy == specs.SchedDeadline {
		v.deadline(field, s)
	} else if known {
		for _, t := range []struct {
			name string
			time uint64
		}{{"runtime", s.Runtime}, {"deadline", s.Deadline}, {"period", s.Period}} {
			if t.time != 0 {
				v.add(field+"."+t.name, "is for SCHED_DEADLINE only, the policy is %s", s.Policy)
			}
		}
	}
}

func (v *validator) priority(field string, s *specs.Scheduler) {
	switch {
	case s.Policy == specs.SchedFIFO || s.Policy == specs.SchedRR:
		v.within(field, int64(s.Priority), 1, 99)
	case s.Priority != 0:
		v.add(field, "%d: only SCHED_FIFO and SCHED_RR have a priority; with %s it must be 0", s.Priority, s.Policy)
	}
}

// minDeadline is the shortest time that the kernel can account: sched(7).
const minDeadline = 1024

func (v *validator) deadline(field string, s *specs.Scheduler) {
	period := s.Period
	if period == 0 {
		period = s.Deadline // sched(7): the kernel treats it so
	}
	switch {
	case s.Runtime < minDeadline:
		v.add(field+".runtime", "%d: SCHED_DEADLINE needs at least %d nanoseconds", s.Runtime, minDeadline)
	case s.Runtime > s.Deadline:
		v.add(field+".runtime", "%d is longer than the deadline %d", s.Runtime, s.Deadline)
	case s.Deadline > period:
		v.add(field+".deadline", "%d is longer than the period %d", s.Deadline, period)
	case period > math.MaxInt64:
		v.add(field+".period", "%d is longer than the kernel's maximum of %d", period, int64(math.MaxInt64))
	}
}

// ioPriority: config.md wants a class and a level of 0 to 7.
func (v *validator) ioPriority(p *specs.LinuxIOPriority) {
	if p == nil {
		return
	}
	oneOf(v, "process.ioPriority.class", string(p.Class), IOPriorityClasses)
	v.within("process.ioPriority.priority", int64(p.Priority), 0, 7)
}
