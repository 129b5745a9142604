package compile

import (
	"errors"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"github.com/rtcontainers/rt/libcontainer/seccomp"
	"golang.org/x/sys/unix"
)

// seccompFilter compiles linux.seccomp, if there is one.
func (c *compiler) seccompFilter() error {
	if c.spec.Linux == nil || c.spec.Linux.Seccomp == nil {
		return nil
	}
	f, err := seccomp.Compile(c.spec.Linux.Seccomp)
	if err != nil {
		return err
	}
	if err := c.passesExecve(f); err != nil {
		return err
	}
	c.filter = f
	c.plan.Warnings = append(c.plan.Warnings, f.Warnings...)
	return nil
}

// passesExecve refuses a filter with which no process can be executed: once it is loaded,
// the program might not even be able to report it. A rule that compares arguments of
// execve, which are addresses, is assumed to be intended.
func (c *compiler) passesExecve(f *seccomp.Filter) error {
	compared := slices.ContainsFunc(c.spec.Linux.Seccomp.Syscalls, func(s specs.LinuxSyscall) bool {
		return len(s.Args) > 0 && slices.Contains(s.Names, "execve")
	})
	const address = 0x400000
	if c.spec.Process == nil || compared || f.Passes(unix.SYS_EXECVE, [6]uint64{address, address, address}) {
		return nil
	}
	return errors.New("linux.seccomp: the filter forbids execve, which starts the container's process: add it to linux.seccomp.syscalls with SCMP_ACT_ALLOW")
}

// passesCapset refuses a filter that is loaded last, with CAP_SYS_ADMIN, and then forbids
// to drop that capability.
func (c *compiler) passesCapset() error {
	const address = 0x400000
	if c.late == nil || c.filter.Passes(unix.SYS_CAPSET, [6]uint64{address, address}) {
		return nil
	}
	return errors.New("linux.seccomp: the filter forbids capset, with which rt drops the capability to load the filter: add it to linux.seccomp.syscalls with SCMP_ACT_ALLOW, or set process.noNewPrivileges")
}

// Loading a filter needs no_new_privs or CAP_SYS_ADMIN: seccomp(2). If the process has one
// of them, it loads the filter last, so that the filter cannot forbid the program's own
// calls. Otherwise the program loads the filter before others can trace it, and drops the
// capability: before it waits for its start, or enters the container's pid namespace. That
// is possible only if the filter allows all calls that follow. If not, the program loads
// it last, too, and then only drops the capability.

// needsAdmin is true if the process must not have CAP_SYS_ADMIN, which loading its filter
// needs.
func (c *compiler) needsAdmin(caps capSets) bool {
	return c.filter != nil && !c.spec.Process.NoNewPrivileges && caps.effective&(1<<unix.CAP_SYS_ADMIN) == 0
}

// errFilterForbids says that the filter cannot be loaded early.
var errFilterForbids = errors.New("linux.seccomp: the filter forbids what comes after it")

// filterEarly compiles with the filter loaded early or, if that is impossible, last.
func filterEarly(compile func(early bool) (*Plan, error)) (*Plan, error) {
	plan, err := compile(true)
	if err == errFilterForbids {
		return compile(false)
	}
	return plan, err
}

// loadsEarly tells whether to try it. An agent has to know the process, which may still
// have to be forked.
func (c *compiler) loadsEarly(caps capSets) bool {
	return c.early && c.needsAdmin(caps) && !c.filter.Listener && !defence.Off(defence.WaitingCapabilities)
}

// loadEarly loads the filter; it applies to everything that is emitted from here on.
func (c *compiler) loadEarly() {
	c.Source("linux.seccomp", "load the filter early: it allows all later calls")
	c.seccomp(c.filter.Flags)
	c.beginPart(true)
}

// part is a range of instructions.
type part struct{ from, to int }

// beginPart begins a part that runs with the filter, or without.
func (c *compiler) beginPart(filtered bool) {
	c.filtered = filtered
	if filtered {
		c.behind = append(c.behind, part{from: c.Len()})
	}
}

func (c *compiler) endPart() {
	if c.filtered {
		c.behind[len(c.behind)-1].to = c.Len()
	}
	c.filtered = false
}

// allowedBehind tells whether the filter allows all calls that follow it.
func (c *compiler) allowedBehind() bool {
	seen := map[seccomp.Call]bool{}
	var calls []seccomp.Call
	for _, part := range c.behind {
		for _, ins := range c.Instructions(part.from, part.to) {
			if ins.Op != program.OpSyscall {
				continue
			}
			call := seccomp.Call{Number: ins.Call.Number()}
			for i, a := range ins.Args[:ins.NArgs] {
				if call.Unknown[i] = a.Kind != program.Immediate; !call.Unknown[i] {
					call.Args[i] = a.Value
				}
			}
			if !seen[call] {
				seen[call] = true
				calls = append(calls, call)
			}
		}
	}
	return len(calls) == 0 || c.filter.Allows(calls)
}

// raise gives the program the process's capabilities and the one that it still needs, but
// no others: until the container is started, the program may wait where other containers
// can trace it.
func (c *compiler) raise(caps capSets) {
	c.Source("process.capabilities", "keep CAP_SYS_ADMIN to load the filter")
	if defence.Off(defence.WaitingCapabilities) {
		all := c.grantable() & (1<<(c.host.LastCap+1) - 1)
		c.capset(capSets{effective: all, permitted: all})
		return
	}
	caps.effective |= c.grantable() & (1 << unix.CAP_SYS_ADMIN)
	caps.permitted |= caps.effective
	c.capset(caps)
}

// seccomp loads the filter with these of its flags.
func (c *compiler) seccomp(flags uint64) program.Step {
	if c.filterAt == 0 {
		c.filterAt = c.Len()
	}
	if c.filterData == nil {
		code := c.Bytes("filter", c.filter.Bytes())
		ref := c.Struct("sock_fprog", program.U16(uint16(len(c.filter.Instructions))), program.Ptr(code))
		c.filterData = &ref
	}
	return c.Do(program.Seccomp, program.Imm(unix.SECCOMP_SET_MODE_FILTER), program.Imm(flags), program.At(*c.filterData))
}

// filterHook loads the filter in a hook's process, so that the hook is restricted as the
// container will be. The agent gets no listener for it: calls that the filter would pass
// to the agent fail with ENOSYS.
func (c *compiler) filterHook() {
	if c.filter == nil || c.filtered || defence.Off(defence.FilteredHooks) {
		return
	}
	source, purpose := c.note()
	c.Source("linux.seccomp", "load the filter for the hook")
	c.seccomp(c.filter.Flags &^ unix.SECCOMP_FILTER_FLAG_NEW_LISTENER)
	c.Source(source, purpose)
	if c.late != nil {
		c.late()
		c.Source(source, purpose)
	}
}

// loadFilter installs the filter, if that is not done yet.
func (c *compiler) loadFilter() {
	if c.filter == nil || c.filtered {
		return
	}
	fd := c.Reg()
	c.Source("linux.seccomp", "load the filter")
	c.seccomp(c.filter.Flags).To(fd)
	if c.filter.Listener {
		c.Source("linux.seccomp.listenerPath", "send the filter's descriptor to the agent")
		msg, argument := c.openMessage("listener", RequestListener{})
		c.Store(fd, 4, argument)
		c.ask(msg, "the filter has a listener")
		c.Do(program.Close, program.R(fd))
	}
	c.Free(fd)
}
