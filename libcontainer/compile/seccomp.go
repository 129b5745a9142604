package compile

import (
	"errors"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/libcontainer/program"
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

// passesExecve refuses a filter with which no process can be executed: behind it,
// the program might not even be able to say so. Who compares arguments of execve,
// which are addresses, is taken to know what for.
func (c *compiler) passesExecve(f *seccomp.Filter) error {
	compared := slices.ContainsFunc(c.spec.Linux.Seccomp.Syscalls, func(s specs.LinuxSyscall) bool {
		return len(s.Args) > 0 && slices.Contains(s.Names, "execve")
	})
	const address = 0x400000
	if c.spec.Process == nil || compared || f.Passes(unix.SYS_EXECVE, [6]uint64{address, address, address}) {
		return nil
	}
	return errors.New("linux.seccomp: the filter forbids execve, by which the container's process begins: add it to linux.seccomp.syscalls with SCMP_ACT_ALLOW")
}

// Loading a filter takes no_new_privs or CAP_SYS_ADMIN: seccomp(2). It is loaded
// last, so that it cannot forbid what the program itself has to call; where the
// process will have neither, only the loss of the capabilities follows it.

// needsAdmin is true when what is still to do needs CAP_SYS_ADMIN, which the process
// must not have: to load the filter, or, in a process that is still to be forked, to
// mount the procfs of its labels.
func (c *compiler) needsAdmin(caps capSets) bool {
	filter := c.filter != nil && !c.spec.Process.NoNewPrivileges
	labels := c.further && len(c.spare) > 0
	return (filter || labels) && caps.effective&(1<<unix.CAP_SYS_ADMIN) == 0
}

// raise gives the program the process's capabilities and the one that it still needs,
// no others: until the container is started it may be waiting where other
// containers can trace it.
func (c *compiler) raise(caps capSets) {
	c.Source("process.capabilities", "keep CAP_SYS_ADMIN for what is still to do")
	if defence.Off(defence.WaitingCapabilities) {
		all := c.grantable() & (1<<(c.host.LastCap+1) - 1)
		c.capset(capSets{effective: all, permitted: all})
		return
	}
	caps.effective |= c.grantable() & (1 << unix.CAP_SYS_ADMIN)
	caps.permitted |= caps.effective
	c.capset(caps)
}

// seccomp loads the filter, with these of its flags.
func (c *compiler) seccomp(flags uint64) program.Step {
	if c.filterData == nil {
		code := c.Bytes("filter", c.filter.Bytes())
		ref := c.Struct("sock_fprog", program.U16(uint16(len(c.filter.Instructions))), program.Ptr(code))
		c.filterData = &ref
	}
	return c.Do(program.Seccomp, program.Imm(unix.SECCOMP_SET_MODE_FILTER), program.Imm(flags), program.At(*c.filterData))
}

// filterHook loads the filter in a hook's process, which then has what the
// container's will have. An agent gets no listener for it: what the filter would ask
// it is refused there, ENOSYS.
func (c *compiler) filterHook() {
	if c.filter == nil || defence.Off(defence.FilteredHooks) {
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

// loadFilter installs the filter.
func (c *compiler) loadFilter() {
	if c.filter == nil {
		return
	}
	fd := c.Reg()
	c.Source("linux.seccomp", "load the filter")
	c.seccomp(c.filter.Flags).To(fd)
	if c.filter.Listener {
		c.Source("linux.seccomp.listenerPath", "hand the filter's descriptor to the agent")
		msg := c.WritableStruct("listener", program.U64(RequestListener), program.U64(0))
		c.Store(fd, 4, msg.Plus(8))
		c.Free(c.ask(program.At(msg), "the filter has a listener"))
		c.Do(program.Close, program.R(fd))
	}
	c.Free(fd)
}
