package compile

import (
	"fmt"
	"math"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// credentials drops everything that the user's process must not have: process.rlimits,
// user, capabilities, noNewPrivileges.
func (c *compiler) credentials() {
	p := c.spec.Process
	if p == nil {
		return
	}
	caps := c.capSets()
	c.scheduling()
	c.raiseRlimits()
	c.ownStdio()
	c.Source("process.cwd", "enter the working directory "+p.Cwd)
	denied := c.Reg()
	c.Do(program.Chdir, c.Str(p.Cwd)).To(denied).Ignore(unix.EACCES)
	c.bounding(caps.bounding)
	c.user()
	early := c.loadsEarly(caps)
	switch {
	case early:
		c.raise(caps)
	case !c.needsAdmin(caps):
		c.capabilities(caps)
	default:
		c.raise(caps)
		c.clearAmbient()
		c.late = func() { c.lower(caps) }
	}
	c.enterWorkingDirectory(denied)
	c.Source("process.user.umask", "set the file creation mask")
	umask := uint32(0o022)
	if p.User.Umask != nil {
		umask = *p.User.Umask
	}
	c.Do(program.Umask, program.Imm(umask))
	if early {
		c.loadEarly()
		c.capabilities(caps)
	}
	if p.NoNewPrivileges {
		c.Source("process.noNewPrivileges", "forbid new privileges")
		c.Do(program.Prctl, program.Imm(unix.PR_SET_NO_NEW_PRIVS), program.Imm(1), program.Imm(0), program.Imm(0), program.Imm(0))
	}
}

// raiseRlimits raises the hard limits that are below process.rlimits while the program
// may; later nobody can. rlimits lowers limits right before execve: with few descriptors
// or processes the program could not do its own work.
func (c *compiler) raiseRlimits() {
	if c.plan.ParentSets {
		return
	}
	for i, r := range c.spec.Process.Rlimits {
		c.Source(index("process.rlimits", i), fmt.Sprintf("raise %s to %d, if it is lower", r.Type, r.Hard))
		number, _ := spec.Rlimits.Find(r.Type)
		if c.limitNow == nil {
			now := c.Buffer("rlimit", 16)
			c.limitNow = &now
		}
		n, high := c.Reg(), c.NewLabel("high enough")
		c.Do(program.Prlimit64, program.Imm(0), program.Imm(number), program.Imm(0), program.At(*c.limitNow))
		c.Load(n, 8, c.limitNow.Plus(8))
		c.Branch(n, program.Lt, 0, high) // none
		if r.Hard <= math.MaxInt64 {
			c.Branch(n, program.Ge, int64(r.Hard), high)
		}
		limit := c.Struct("rlimit", program.U64(r.Hard), program.U64(r.Hard))
		c.Do(program.Prlimit64, program.Imm(0), program.Imm(number), program.At(limit), program.Imm(0))
		c.Bind(high)
		c.Free(n)
	}
}

// rlimits sets process.rlimits.
func (c *compiler) rlimits() {
	for i, r := range c.spec.Process.Rlimits {
		c.Source(index("process.rlimits", i), fmt.Sprintf("set %s to %d, at most %d", r.Type, r.Soft, r.Hard))
		limit := c.Struct("rlimit", program.U64(r.Soft), program.U64(r.Hard))
		number, _ := spec.Rlimits.Find(r.Type)
		c.Do(program.Prlimit64, program.Imm(0), program.Imm(number), program.At(limit), program.Imm(0))
	}
}

// ownStdio lets a user that is not root reopen its standard streams.
func (c *compiler) ownStdio() {
	if c.spec.Process.User.UID == 0 || c.spec.Process.Terminal {
		return
	}
	c.Source("process.user.uid", "give the standard streams to the container's user")
	for fd, own := range c.host.OwnStdio {
		if own {
			c.Do(program.Fchown, program.Imm(fd), program.Imm(c.spec.Process.User.UID), program.Imm(-1)).Ignore(unix.EPERM, unix.EINVAL, unix.EROFS)
		}
	}
}

// capability sets as bit masks.
type capSets struct {
	bounding, effective, permitted, inheritable, ambient uint64
}

// capSets reads process.capabilities. Without it the process has none.
func (c *compiler) capSets() (s capSets) {
	caps := c.spec.Process.Capabilities
	if caps == nil {
		return s
	}
	var low []string
	for _, set := range []struct {
		name string
		list []string
		mask *uint64
	}{
		{"bounding", caps.Bounding, &s.bounding}, {"effective", caps.Effective, &s.effective},
		{"permitted", caps.Permitted, &s.permitted}, {"inheritable", caps.Inheritable, &s.inheritable},
		{"ambient", caps.Ambient, &s.ambient},
	} {
		for i, name := range set.list {
			n := spec.Capability(name)
			// config.md: a capability that cannot be mapped or granted must be logged and
			// must not be an error.
			if n < 0 || n > c.host.LastCap {
				c.warn("process.capabilities.%s[%d]: %q is not a capability of this kernel, ignored", set.name, i, name)
				continue
			}
			if c.grantable()&(1<<n) == 0 {
				c.warn("process.capabilities.%s[%d]: rt does not have %s itself and cannot grant it: ignored", set.name, i, name)
				continue
			}
			if set.name == "ambient" && s.permitted&s.inheritable&(1<<n) == 0 {
				// capabilities(7): the kernel would refuse to raise it.
				low = append(low, name)
				continue
			}
			*set.mask |= 1 << n
		}
	}
	if low != nil {
		c.warn("process.capabilities.ambient: not in both permitted and inheritable, ignored: %s", strings.Join(low, ", "))
	}
	return s
}

// bounding drops capabilities from the bounding set while the program has CAP_SETPCAP.
func (c *compiler) bounding(keep uint64) {
	for n := 0; n <= c.host.LastCap; n++ {
		if keep&(1<<n) == 0 {
			c.Source("process.capabilities.bounding", "drop "+capName(n))
			c.Do(program.Prctl, program.Imm(unix.PR_CAPBSET_DROP), program.Imm(n), program.Imm(0), program.Imm(0), program.Imm(0))
		}
	}
}

// grantable are the capabilities that the program can grant: its own. In a user namespace
// it has all of them.
func (c *compiler) grantable() uint64 {
	if spec.FindNamespace(c.spec, specs.UserNamespace) != nil {
		return ^uint64(0)
	}
	return c.host.Capabilities
}

func capName(n int) string {
	if n < len(spec.Capabilities) {
		return spec.Capabilities[n]
	}
	return fmt.Sprintf("capability %d", n)
}

func (c *compiler) user() {
	u := &c.spec.Process.User
	zero := program.Imm(0)
	c.Source("process.user", "keep capabilities across the change of user")
	c.Do(program.Prctl, program.Imm(unix.PR_SET_KEEPCAPS), program.Imm(1), zero, zero, zero)
	if !c.keepsGroups() {
		c.groups(u.AdditionalGids)
	}
	c.Source("process.user.gid", fmt.Sprintf("become group %d", u.GID))
	c.Do(program.Setresgid, program.Imm(u.GID), program.Imm(u.GID), program.Imm(u.GID))
	c.Source("process.user.uid", fmt.Sprintf("become user %d", u.UID))
	c.Do(program.Setresuid, program.Imm(u.UID), program.Imm(u.UID), program.Imm(u.UID))
	c.undumpable()
	c.Do(program.Prctl, program.Imm(unix.PR_SET_KEEPCAPS), zero, zero, zero, zero)
}

// keepsGroups tells whether the process keeps the groups of the caller of rt, including
// those that its user namespace does not map.
func (c *compiler) keepsGroups() bool {
	_, ok := c.spec.Annotations[spec.AnnotationKeepGroups]
	return ok
}

func (c *compiler) groups(gids []uint32) {
	c.Source("process.user.additionalGids", "set the additional groups")
	groups := program.Imm(0)
	if len(gids) > 0 {
		fields := make([]program.Field, len(gids))
		for i, g := range gids {
			fields[i] = program.U32(g)
		}
		groups = program.At(c.Struct("groups", fields...))
	}
	step := c.Do(program.Setgroups, program.Imm(len(gids)), groups)
	if len(gids) == 0 {
		step.Ignore(unix.EPERM) // user_namespaces(7): "deny" in /proc/PID/setgroups
	}
}

// capabilities sets the four sets of the process, capset(2) and prctl(2).
func (c *compiler) capabilities(s capSets) {
	c.setCapabilities(s)
	c.clearAmbient()
	c.raiseAmbient(s)
}

func (c *compiler) clearAmbient() {
	c.Source("process.capabilities.ambient", "clear the ambient capabilities")
	c.ambient(unix.PR_CAP_AMBIENT_CLEAR_ALL, 0)
}

// lower sets the capabilities of the process after its filter is loaded. The filter may
// forbid prctl(2), so it does only what is necessary.
func (c *compiler) lower(s capSets) {
	c.setCapabilities(s)
	c.raiseAmbient(s)
}

func (c *compiler) setCapabilities(s capSets) {
	c.Source("process.capabilities", "set the capabilities")
	c.capset(s)
}

func (c *compiler) raiseAmbient(s capSets) {
	for n := 0; n <= c.host.LastCap; n++ {
		if s.ambient&(1<<n) != 0 {
			c.Source("process.capabilities.ambient", "raise "+capName(n))
			c.ambient(unix.PR_CAP_AMBIENT_RAISE, n)
		}
	}
}

func (c *compiler) capset(s capSets) {
	const version3 = 0x20080522 // _LINUX_CAPABILITY_VERSION_3
	header := c.WritableStruct("capability header", program.U32(version3), program.U32(0))
	var fields []program.Field
	for _, shift := range []int{0, 32} {
		for _, set := range []uint64{s.effective, s.permitted, s.inheritable} {
			fields = append(fields, program.U32(uint32(set>>shift)))
		}
	}
	c.Do(program.Capset, program.At(header), program.At(c.Struct("capability data", fields...)))
}

func (c *compiler) ambient(op, n int) {
	c.Do(program.Prctl, program.Imm(unix.PR_CAP_AMBIENT), program.Imm(op), program.Imm(n), program.Imm(0), program.Imm(0))
}

// enterWorkingDirectory tries again as the container's user, who may be allowed to enter
// where root without capabilities over the file is not. It checks that the directory is
// inside the root (CVE-2024-21626).
func (c *compiler) enterWorkingDirectory(denied program.Reg) {
	cwd := c.spec.Process.Cwd
	c.Source("process.cwd", "enter the working directory "+cwd)
	entered := c.NewLabel("entered")
	c.Branch(denied, program.Eq, 0, entered)
	c.Do(program.Chdir, c.Str(cwd))
	c.Bind(entered)
	if defence.Off(defence.WorkingDirectory) {
		c.Free(denied)
		return
	}
	c.Source("process.cwd", "check that the working directory is inside the container")
	path := c.Buffer("cwd", unix.PathMax)
	inside := c.NewLabel("inside")
	c.Do(program.Getcwd, program.At(path), program.Imm(unix.PathMax))
	c.Load(denied, 1, path)
	c.Branch(denied, program.Eq, '/', inside)
	c.fail("the working directory is outside the container")
	c.Bind(inside)
	c.Free(denied)
}
