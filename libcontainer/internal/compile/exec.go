package compile

import (
	"bytes"
	"encoding/binary"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// ExecOptions is what the compiler needs to know about a further process in a container.
type ExecOptions struct {
	// Options has the ID, the Keyring, PreserveFDs and Gaps.
	Options
	// Namespaces are those that the container has for itself, as flags of
	// clone(2).
	Namespaces uint64
	// Cgroup is true if the program is not started in the container's cgroup of v2, and
	// has the directory of one in which it continues.
	Cgroup bool
	// Tasks is the number of hierarchies of cgroup v1 that the program enters itself.
	Tasks int
}

// CompileExec makes the plan for a process in an existing container. Of the configuration
// it uses process, and what every process of the container must have: linux.seccomp,
// linux.personality and linux.memoryPolicy.
func CompileExec(s *specs.Spec, host Host, opt ExecOptions) (*Plan, error) {
	return filterEarly(func(early bool) (*Plan, error) { return compileExec(s, host, opt, early) })
}

func compileExec(s *specs.Spec, host Host, opt ExecOptions, early bool) (*Plan, error) {
	c := &compiler{early: early, Builder: program.NewBuilder(), spec: s, host: host, opt: opt.Options, further: true}
	if err := c.seccompFilter(); err != nil {
		return nil, err
	}
	forks := opt.Namespaces&unix.CLONE_NEWPID != 0
	c.plan.ParentSets = spec.FindNamespace(s, specs.UserNamespace) != nil
	c.prologue()
	for range opt.Tasks {
		c.enterHierarchy()
	}
	if opt.Cgroup {
		c.bornInCgroup()
	}
	if a := s.Process.ExecCPUAffinity; a != nil && a.Initial != "" {
		c.affinity("process.execCPUAffinity.initial", a.Initial)
	} else {
		c.allProcessors()
	}
	c.setLabelsAhead()
	c.joinContainer(opt.Namespaces)
	c.labelKeys()
	c.leaveHostProc()
	c.keyring()
	c.terminal(false)
	c.Source("", "close the descriptors that only the setup needed")
	c.doneWith(program.R(c.root))
	// As soon as the program is in the container's pid namespace, the container's
	// processes can see it and may trace it. So it drops its rights before.
	if forks && defence.Off(defence.WaitingCapabilities) {
		c.secondClone()
		forks = false
	}
	c.credentials()
	if forks {
		c.secondClone()
	}
	c.session()
	c.controlTerminal()
	c.closeOwn()
	c.ready()
	if a := s.Process.ExecCPUAffinity; a != nil {
		c.affinity("process.execCPUAffinity.final", a.Final)
	}
	return c.finish()
}

// enterHierarchy enters the container's freezer of cgroup v1, or its CPU shares, and may
// stop there.
func (c *compiler) enterHierarchy() {
	tasks := c.file(File{Kind: ContainerTasks})
	c.Source("linux.cgroupsPath", "enter the container's cgroup")
	c.Do(program.Write, tasks, c.Str("0"), program.Imm(1))
	c.doneWith(tasks)
}

// joinContainer enters the container's namespaces by its first process.
func (c *compiler) joinContainer(namespaces uint64) {
	process := c.file(File{Kind: ContainerProcess})
	root := c.file(File{Kind: ContainerRoot})
	if namespaces != 0 {
		c.Source("", "join the container's namespaces")
		c.Do(program.Setns, process, program.Imm(namespaces))
	}
	c.doneWith(process)
	if namespaces&unix.CLONE_NEWUSER != 0 {
		c.becomeRoot()
	}
	c.Source("root.path", "enter the container's root file system")
	if n := spec.FindNamespace(c.spec, specs.MountNamespace); namespaces&unix.CLONE_NEWNS != 0 && n != nil && n.Path == "" {
		// The root came with the container's own mount namespace; the first process may
		// have changed its own root. In a joined namespace the root is another's.
		c.openat2(c.root, program.AtFdcwd, "/", unix.O_PATH|unix.O_DIRECTORY, 0)
		c.doneWith(root)
	} else {
		c.Move(c.root, root)
		c.Do(program.Fchdir, root)
		c.Do(program.Chroot, c.Str("."))
	}
}

// affinity sets the CPUs that the process may run on: sched_setaffinity(2).
func (c *compiler) affinity(field, list string) {
	if list == "" {
		return
	}
	c.Source(field, "run on the CPUs "+list)
	cpus, _ := spec.ParseList(list)
	mask := bitMask(cpus)
	c.Do(program.SchedSetaffinity, program.Imm(0), program.Imm(len(mask)), program.At(c.Bytes("cpu mask", mask)))
}

// allProcessors undoes a narrow CPU mask of the caller of rt: the container's cpuset says
// where its processes may run, and the kernel enforces that.
func (c *compiler) allProcessors() {
	const most = 8192 // CONFIG_NR_CPUS at most
	c.Source("linux.resources.cpu.cpus", "run on all CPUs that the cgroup allows, whatever the caller's mask")
	mask := bytes.Repeat([]byte{0xff}, most/8)
	c.Do(program.SchedSetaffinity, program.Imm(0), program.Imm(len(mask)), program.At(c.Bytes("all CPUs", mask))).Ignore()
}

// unblockSignals undoes a mask of blocked signals that comes from the caller of rt:
// otherwise the container's process would miss these signals.
func (c *compiler) unblockSignals() {
	c.Source("process", "block no signals")
	none := c.Struct("no signals", program.U64(0))
	c.Do(program.RtSigprocmask, program.Imm(unix.SIG_SETMASK), program.At(none), program.Imm(0), program.Imm(8))
}

// bitMask is a non-empty set of small numbers as an array of unsigned long.
func bitMask(list []int) []byte {
	const bits = 64
	words := make([]uint64, list[len(list)-1]/bits+1)
	for _, n := range list {
		words[n/bits] |= 1 << (n % bits)
	}
	var mask []byte
	for _, w := range words {
		mask = binary.LittleEndian.AppendUint64(mask, w)
	}
	return mask
}
