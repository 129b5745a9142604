package libcontainer

import (
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/compile"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// setForUserNamespace sets what the program cannot set in a user namespace: nobody in
// one has the rights of the host's root, who rt may be.
func setForUserNamespace(s *specs.Spec, pid int) error {
	if s.Process == nil || spec.FindNamespace(s, specs.UserNamespace) == nil {
		return nil
	}
	for i, r := range s.Process.Rlimits {
		number, _ := spec.Rlimits.Find(r.Type)
		if err := unix.Prlimit(pid, int(number), &unix.Rlimit{Cur: r.Soft, Max: r.Hard}, nil); err != nil {
			return fmt.Errorf("process.rlimits[%d]: set %s to %d, at most %d: %w", i, r.Type, r.Soft, r.Hard, err)
		}
	}
	if s.Process.Scheduler != nil {
		attr := compile.SchedAttr(s.Process.Scheduler)
		if err := unix.SchedSetAttr(pid, &attr, 0); err != nil {
			return fmt.Errorf("process.scheduler: set the scheduling policy %s: sched_setattr: %w", s.Process.Scheduler.Policy, err)
		}
	}
	if p := s.Process.IOPriority; p != nil {
		if _, _, errno := unix.Syscall(unix.SYS_IOPRIO_SET, compile.IOPrioWhoProcess, uintptr(pid), uintptr(compile.IOPrio(p))); errno != 0 {
			return fmt.Errorf("process.ioPriority: set the I/O priority: ioprio_set: %w", errno)
		}
	}
	return nil
}
