package compile

import (
	"encoding/binary"
	"fmt"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// join is a namespace to enter by path.
type join struct {
	flag   uint64
	fd     program.Arg
	source string
	path   string
}

// namespaces makes and joins linux.namespaces. The flags of the clone that starts the
// program do as much as possible. If a user namespace is combined with joined ones, the
// program itself enters it: the joined ones may belong to the host, and must be entered
// before the program loses its rights over it.
func (c *compiler) namespaces() {
	made, joined, joins := c.sorted()
	byProgram := made & unix.CLONE_NEWTIME
	if made&unix.CLONE_NEWUSER != 0 {
		// Its message queues belong to whoever makes it: it must be the root of the user
		// namespace, which exists only after its ids are mapped.
		byProgram |= made & unix.CLONE_NEWIPC
	}
	if c.opt.MoveCgroup {
		c.Source("linux.cgroupsPath", "enter the cgroup")
		c.request(RequestCgroup{}, "move me to the container's cgroup")
		byProgram |= made & unix.CLONE_NEWCGROUP
	}
	late := joined&unix.CLONE_NEWUSER != 0 || (made&unix.CLONE_NEWUSER != 0 && joined != 0)
	if late {
		byProgram = made
	}
	c.plan.CloneFlags = made &^ byProgram

	if joined&unix.CLONE_NEWUSER != 0 {
		c.joinWithUser(joins)
	} else {
		for _, j := range joins {
			c.setns(j)
		}
	}
	switch {
	case made&unix.CLONE_NEWUSER != 0:
		c.newUser(late)
	case joined&unix.CLONE_NEWUSER != 0:
		c.becomeRoot()
	}
	if rest := byProgram &^ (unix.CLONE_NEWUSER | unix.CLONE_NEWTIME); rest != 0 {
		c.Source("linux.namespaces", "make the namespaces that clone could not make")
		c.Do(program.Unshare, program.Imm(rest))
	}
	forks := joined&unix.CLONE_NEWPID != 0 || byProgram&unix.CLONE_NEWPID != 0
	if made&unix.CLONE_NEWTIME != 0 {
		c.newTime(forks)
	}
	if forks {
		c.plan.Asks = true // only then does the container's process exist
		c.secondClone()
		c.session() // the child leads no session yet, and could have no terminal
	}
	c.identity()
	if made&unix.CLONE_NEWNET != 0 {
		c.loopback()
	}
	c.netDevices()
}

// sorted are linux.namespaces by what happens to them.
func (c *compiler) sorted() (made, joined uint64, joins []join) {
	for i, n := range c.list() {
		flag := spec.NamespaceFlag(n.Type)
		if n.Path == "" {
			made |= flag
			continue
		}
		source := index("linux.namespaces", i)
		joined |= flag
		joins = append(joins, join{
			flag: flag, source: source, path: n.Path,
			fd: c.file(File{Kind: Namespace, Path: n.Path, Namespace: n.Type, Source: source}),
		})
	}
	// Mount namespaces last: entering one changes the meaning of paths.
	slices.SortStableFunc(joins, func(a, b join) int { return mountLast(a) - mountLast(b) })
	return made, joined, joins
}

func mountLast(j join) int {
	if j.flag == unix.CLONE_NEWNS {
		return 1
	}
	return 0
}

func (c *compiler) list() []specs.LinuxNamespace {
	if c.spec.Linux == nil {
		return nil
	}
	return c.spec.Linux.Namespaces
}

func (c *compiler) setns(j join) program.Step {
	c.Source(j.source, fmt.Sprintf("join the namespace %q", j.path))
	return c.Do(program.Setns, j.fd, program.Imm(j.flag))
}

// joinWithUser enters a user namespace and others. It enters the host's namespaces before,
// with the host's rights, and those of the user namespace after, with the rights there.
func (c *compiler) joinWithUser(joins []join) {
	results := make([]program.Reg, len(joins))
	for i, j := range joins {
		if j.flag != unix.CLONE_NEWUSER {
			results[i] = c.Reg()
			c.setns(j).To(results[i]).Ignore(unix.EPERM)
		}
	}
	for _, j := range joins {
		if j.flag == unix.CLONE_NEWUSER {
			c.setns(j)
		}
	}
	for i, j := range joins {
		if j.flag != unix.CLONE_NEWUSER {
			done := c.NewLabel("joined")
			c.Branch(results[i], program.Eq, 0, done)
			c.setns(j)
			c.Bind(done)
			c.Free(results[i])
		}
	}
}

// newUser completes a new user namespace: the parent writes the maps.
func (c *compiler) newUser(late bool) {
	c.Source("linux.uidMappings", "map the users of the new user namespace")
	if late {
		c.Do(program.Unshare, program.Imm(unix.CLONE_NEWUSER))
	}
	c.plan.KeepCapabilities = !late
	// The /proc files of a non-dumpable process belong to root, so that a parent without
	// privileges could not write the maps.
	c.Do(program.Prctl, program.Imm(unix.PR_SET_DUMPABLE), program.Imm(1), program.Imm(0), program.Imm(0), program.Imm(0))
	c.request(RequestMaps{}, "write the uid and gid maps")
	c.becomeRoot()
}

// becomeRoot becomes the user namespace's root: files and mounts that are made from here
// on belong to it. In a namespace without a mapped root the identity stays.
func (c *compiler) becomeRoot() {
	c.Source("linux.uidMappings", "become root of the user namespace")
	zero := program.Imm(0)
	if !c.keepsGroups() {
		c.Do(program.Setgroups, zero, zero).Ignore(unix.EPERM)
	}
	c.Do(program.Setresgid, zero, zero, zero).Ignore(unix.EINVAL)
	c.Do(program.Setresuid, zero, zero, zero).Ignore(unix.EINVAL)
	c.undumpable()
	c.ambient(unix.PR_CAP_AMBIENT_CLEAR_ALL, 0)
}

// secondClone starts the container's first process: setns and unshare of a pid namespace
// affect only children. CLONE_PARENT keeps rt as the parent.
func (c *compiler) secondClone() {
	c.Source("linux.namespaces", "start the first process of the pid namespace")
	c.goOnInChild(func() program.Step {
		return c.Do(program.Clone, program.Imm(unix.CLONE_PARENT|int(unix.SIGCHLD)), program.Imm(0), program.Imm(0), program.Imm(0), program.Imm(0))
	})
}

// bornInCgroup continues in a child that is born in the container's cgroup of v2. rt does
// not start the program itself there: as in vfork(2), rt would wait until the program
// calls execve, and in a frozen or throttled cgroup it would stand still with it.
func (c *compiler) bornInCgroup() {
	dir := c.file(File{Kind: ContainerCgroup})
	c.Source("linux.cgroupsPath", "continue in a child in the container's cgroup")
	const fields = 11 // struct clone_args of clone3(2), the last of which is cgroup
	args := slices.Repeat([]program.Field{program.U64(0)}, fields)
	args[0] = program.U64(unix.CLONE_PARENT | unix.CLONE_INTO_CGROUP) // no exit_signal: CLONE_PARENT copies the program's own
	args[fields-1] = program.U64(dir.Value)
	c.goOnInChild(func() program.Step {
		return c.Do(program.Clone3, program.At(c.Struct("clone_args", args...)), program.Imm(8*fields))
	})
	c.doneWith(dir)
}

// goOnInChild lets the program continue in a child, once the parent knows it.
func (c *compiler) goOnInChild(clone func() program.Step) {
	c.plan.Births++
	pid := c.Reg()
	msg, argument := c.openMessage("child", RequestChild{})
	child := c.NewLabel("child")
	clone().To(pid)
	c.Branch(pid, program.Eq, 0, child)
	c.Store(pid, 8, argument)
	c.Do(program.Write, program.R(c.conv), msg, program.Imm(requestSize)).For("tell the parent about its new child")
	c.Do(program.ExitGroup, program.Imm(0))
	c.Bind(child)
	c.await(pid)
	c.Free(pid)
}

// newTime makes and enters a time namespace: time_namespaces(7). A child is born in it;
// without a child, setns moves a single-threaded process there.
func (c *compiler) newTime(forks bool) {
	c.Source("linux.timeOffsets", "make a time namespace")
	c.Do(program.Unshare, program.Imm(unix.CLONE_NEWTIME))
	if offsets := c.timeOffsets(); offsets != "" {
		c.writeHostProc("self/timens_offsets", offsets, "set the offsets of the clocks")
	}
	if forks {
		return
	}
	fd := c.Reg()
	c.Do(program.Openat, program.R(c.hostProc), c.Str("self/ns/time_for_children"), program.Imm(unix.O_RDONLY|unix.O_CLOEXEC), program.Imm(0)).To(fd)
	c.Do(program.Setns, program.R(fd), program.Imm(unix.CLONE_NEWTIME)).For("enter the time namespace")
	c.close(fd)
}

// openHostProc opens the host's /proc while the program is still in the host's mount
// namespace: in a joined one, /proc is another container's, and may be anything
// (CVE-2025-52881).
func (c *compiler) openHostProc() {
	n := spec.FindNamespace(c.spec, specs.TimeNamespace)
	newTime := !c.further && n != nil && n.Path == ""
	if !newTime && !c.labelsKeys() && !(c.further && len(c.processLabels()) > 0) {
		return
	}
	c.Source("", "open the host's /proc")
	c.hostProc = c.Reg()
	c.Do(program.Openat, program.AtFdcwd, c.Str("/proc"), program.Imm(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC), program.Imm(0)).To(c.hostProc)
}

// writeHostProc writes to one of the program's own files in the host's /proc.
func (c *compiler) writeHostProc(name, value, purpose string) {
	fd := c.Reg()
	if defence.Off(defence.OwnProcfs) {
		c.Do(program.Openat, program.AtFdcwd, c.Str("/proc/"+name), program.Imm(unix.O_WRONLY|unix.O_CLOEXEC), program.Imm(0)).To(fd)
	} else {
		c.openat2(fd, program.R(c.hostProc), name, unix.O_WRONLY, ownAttribute)
	}
	c.Do(program.Write, program.R(fd), c.Str(value), program.Imm(len(value))).For(purpose)
	c.close(fd)
}

// leaveHostProc closes the host's /proc: the container's processes may be able to take
// descriptors of the program.
func (c *compiler) leaveHostProc() {
	if c.hostProc != program.Scratch {
		c.close(c.hostProc)
		c.hostProc = program.Scratch
	}
}

func (c *compiler) timeOffsets() string {
	s := ""
	if c.spec.Linux == nil {
		return s
	}
	for _, clock := range []string{"monotonic", "boottime"} {
		if o, ok := c.spec.Linux.TimeOffsets[clock]; ok {
			s += fmt.Sprintf("%s %d %d\n", clock, o.Secs, o.Nanosecs)
		}
	}
	return s
}

// identity sets the names of the UTS namespace.
func (c *compiler) identity() {
	if name := c.spec.Hostname; name != "" {
		c.Source("hostname", "set the host name")
		c.Do(program.Sethostname, c.Str(name), program.Imm(len(name)))
	}
	if name := c.spec.Domainname; name != "" {
		c.Source("domainname", "set the NIS domain name")
		c.Do(program.Setdomainname, c.Str(name), program.Imm(len(name)))
	}
}

// loopback brings lo up: netdevice(7).
func (c *compiler) loopback() {
	c.Source("linux.namespaces", "bring the loopback interface up")
	var ifreq [40]byte
	copy(ifreq[:], "lo")
	binary.LittleEndian.PutUint16(ifreq[unix.IFNAMSIZ:], unix.IFF_UP|unix.IFF_RUNNING)
	fd := c.Reg()
	c.Do(program.Socket, program.Imm(unix.AF_INET), program.Imm(unix.SOCK_DGRAM|unix.SOCK_CLOEXEC), program.Imm(0)).To(fd)
	c.Do(program.Ioctl, program.R(fd), program.Imm(unix.SIOCSIFFLAGS), program.At(c.Bytes("ifreq", ifreq[:])))
	c.Do(program.Close, program.R(fd))
	c.Free(fd)
}

// netDevices lets the parent move linux.netDevices, through a socket of the container's
// network namespace.
func (c *compiler) netDevices() {
	if c.spec.Linux == nil || len(c.spec.Linux.NetDevices) == 0 {
		return
	}
	c.Source("linux.netDevices", "open a socket in the network namespace")
	fd := c.Reg()
	c.Do(program.Socket, program.Imm(unix.AF_NETLINK), program.Imm(unix.SOCK_RAW|unix.SOCK_CLOEXEC), program.Imm(unix.NETLINK_ROUTE)).To(fd)
	c.sendFile(fd, RequestNetDevices{}, "let the parent move the devices")
	c.close(fd)
}

// session starts a new session for the process.
func (c *compiler) session() {
	if defence.Off(defence.NewSession) {
		return
	}
	c.Source("process", "start a new session")
	c.Do(program.Setsid).Ignore(unix.EPERM)
}
