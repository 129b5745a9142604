package birth

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/internal/sysfile"
	"github.com/rtcontainers/rt/libcontainer/internal/compile"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// setPriorities sets the limits and priorities of a process that its program cannot
// set: Plan.ParentSets.
func setPriorities(p *specs.Process, pid int) error {
	if p == nil {
		return nil
	}
	for i, r := range p.Rlimits {
		// The program lowers them itself, at the end.
		number, _ := spec.Rlimits.Find(r.Type)
		var now unix.Rlimit
		err := unix.Prlimit(pid, int(number), nil, &now)
		if err == nil && now.Max < r.Hard {
			err = unix.Prlimit(pid, int(number), &unix.Rlimit{Cur: now.Cur, Max: r.Hard}, nil)
		}
		if err != nil {
			return fmt.Errorf("process.rlimits[%d]: raise %s to %d: %w", i, r.Type, r.Hard, err)
		}
	}
	if p.Scheduler != nil {
		attr := compile.SchedAttr(p.Scheduler)
		if err := unix.SchedSetAttr(pid, &attr, 0); err != nil {
			return fmt.Errorf("process.scheduler: set the scheduling policy %s: sched_setattr: %w", p.Scheduler.Policy, err)
		}
	}
	if io := p.IOPriority; io != nil {
		if _, _, errno := unix.Syscall(unix.SYS_IOPRIO_SET, compile.IOPrioWhoProcess, uintptr(pid), uintptr(compile.IOPrio(io))); errno != 0 {
			return fmt.Errorf("process.ioPriority: set the I/O priority: ioprio_set: %w", errno)
		}
	}
	return nil
}

// adjustOOM sets process.oomScoreAdj. Only root may lower the value; a rootless container
// runs without that.
func adjustOOM(p *specs.Process, pid int, rootless bool, warn func(string)) error {
	if p == nil || p.OOMScoreAdj == nil {
		return nil
	}
	adj := strconv.Itoa(*p.OOMScoreAdj)
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	if defence.Off(defence.OwnProcfs) {
		dir += "/root/proc/self" // the container's
	}
	err := sysfile.Write(filepath.Join(dir, "oom_score_adj"), []byte(adj))
	switch {
	case err == nil:
		return nil
	case !rootless || !errors.Is(err, unix.EACCES):
		return fmt.Errorf("process.oomScoreAdj: set %s: %w", adj, err)
	case warn != nil:
		warn(fmt.Sprintf("process.oomScoreAdj: only root may set %s, which is below rt's own value: it stays unchanged", adj))
	}
	return nil
}
