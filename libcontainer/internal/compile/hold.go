package compile

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// compileHold makes the plan for a program that does not become a user's: it stays, and
// holds the namespaces of a pod. As the first process of a pid namespace it reaps what
// nobody waits for, as the pause container of Kubernetes does. Of the configuration it uses
// what a pod has: namespaces, names, sysctls, process.user, capabilities, and the filter.
func (c *compiler) compileHold() (*Plan, error) {
	c.plan.ParentSets = spec.FindNamespace(c.spec, specs.UserNamespace) != nil
	c.prologue()
	c.allProcessors()
	c.session()
	c.namespaces()
	c.leaveHostProc()
	c.emptyRoot()
	c.closeOwn()
	c.credentials()
	c.ready()
	c.setLabels()
	c.loadFilter()
	if c.late != nil {
		c.late()
	}
	c.hold()
	c.endPart()
	return c.end()
}

// emptyRoot makes an empty file system the root directory: through /proc/PID/root, a
// container that shares the pod's processes would otherwise see the host's.
func (c *compiler) emptyRoot() {
	c.hostPropagation()
	c.Source("root.path", "make an empty file system")
	c.root = c.newMount("tmpfs", "tmpfs", mountOptions{})
	c.moveRoot("/")
	c.sysctl()
	c.Source("root.path", "make the root file system read-only")
	c.setAttributes(c.root, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC, 0, 0, false)
	c.enterRoot(true)
}

// hold stays until SIGTERM or SIGINT comes, and reaps children. It blocks all signals: so
// the kernel keeps those for it, too, that it would not send to the first process of a pid
// namespace.
func (c *compiler) hold() {
	const maskSize = 8 // bytes of the kernel's signal set
	c.Source("process", "hold the namespaces")
	signals, r := c.Reg(), c.Reg()
	info := c.Buffer("signalfd_siginfo", 128)
	mask := program.At(c.Struct("all signals", program.U64(^uint64(0))))
	c.Do(program.RtSigprocmask, program.Imm(unix.SIG_SETMASK), mask, program.Imm(0), program.Imm(maskSize))
	c.Do(program.Signalfd4, program.Imm(-1), mask, program.Imm(maskSize), program.Imm(unix.SFD_CLOEXEC)).To(signals)
	c.Do(program.Prctl, program.Imm(unix.PR_SET_NAME), c.Str("rt-pod"), program.Imm(0), program.Imm(0), program.Imm(0)).Ignore().For("be called so by ps(1)")
	c.Source("process", "tell the parent that the pod is ready")
	c.Do(program.Close, c.waitsAt)
	c.Do(program.Close, program.R(c.conv)) // the last: the parent goes on now
	c.Source("process", "hold the namespaces")
	reap, over := c.Here("reap"), c.NewLabel("over")
	c.Do(program.Wait4, program.Imm(-1), program.Imm(0), program.Imm(unix.WNOHANG), program.Imm(0)).To(r).Ignore()
	c.Branch(r, program.Ge, 1, reap)
	c.Do(program.Read, program.R(signals), program.At(info), program.Imm(128)).Ignore(unix.EINTR).For("wait for a signal")
	c.Load(r, 4, info)
	c.Branch(r, program.Eq, int64(unix.SIGTERM), over)
	c.Branch(r, program.Eq, int64(unix.SIGINT), over)
	c.Jump(reap)
	c.Bind(over)
	c.Do(program.ExitGroup, program.Imm(0)).For("end with the pod")
	c.Free(signals, r)
}
