package spec

import (
	"math"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// process checks the section of that name: config.md, "Process".
func (v *validator) process() {
	p := v.s.Process
	if p == nil {
		return // config.md: only required when start is called
	}
	v.terminal(p)
	v.user(&p.User)
	if len(p.Args) == 0 || p.Args[0] == "" {
		v.add("process.args", "empty; its first entry is the program to run")
	}
	v.texts("process.args", p.Args)
	if p.CommandLine != "" {
		v.add("process.commandLine", "is for Windows only; use process.args")
	}
	v.environment("process.env", p.Env)
	v.absolute("process.cwd", p.Cwd)
	// process.capabilities: unknown names must not be errors; the compiler warns about
	// those that it cannot grant.
	v.rlimits(p.Rlimits)
	v.line("process.apparmorProfile", p.ApparmorProfile)
	if a := p.OOMScoreAdj; a != nil {
		v.within("process.oomScoreAdj", int64(*a), -1000, 1000)
	}
	v.scheduler(p.Scheduler)
	v.label("process.selinuxLabel", p.SelinuxLabel)
	v.ioPriority(p.IOPriority)
	if a := p.ExecCPUAffinity; a != nil {
		v.list("process.execCPUAffinity.initial", a.Initial)
		v.list("process.execCPUAffinity.final", a.Final)
	}
}

// terminal checks the size of the terminal, which must be ignored if there is
// none. struct winsize has 16 bits for each direction: ioctl_tty(2).
func (v *validator) terminal(p *specs.Process) {
	if !p.Terminal || p.ConsoleSize == nil {
		return
	}
	box := p.ConsoleSize
	for _, d := range []struct {
		name  string
		value uint
	}{{"height", box.Height}, {"width", box.Width}} {
		if d.value > math.MaxUint16 {
			v.add("process.consoleSize."+d.name, "%d is outside 0 to %d", d.value, math.MaxUint16)
		}
	}
}

// maxGroups is NGROUPS_MAX, the limit of setgroups(2).
const maxGroups = 65536

// user checks process.user: config.md, "POSIX-platform User".
func (v *validator) user(u *specs.User) {
	var l specs.Linux
	if v.s.Linux != nil {
		l = *v.s.Linux
	}
	v.id("process.user.uid", u.UID, l.UIDMappings)
	v.id("process.user.gid", u.GID, l.GIDMappings)
	if m := u.Umask; m != nil && *m > 0o777 {
		v.add("process.user.umask", "%#o has more than permission bits; the number is decimal", *m)
	}
	if n := len(u.AdditionalGids); n > maxGroups {
		v.add("process.user.additionalGids", "%d groups; a process can have at most %d", n, maxGroups)
	}
	for i, gid := range u.AdditionalGids {
		v.id(entry("process.user.additionalGids", i), gid, l.GIDMappings)
	}
	if u.Username != "" {
		v.warn("process.user.username", "%q is ignored, as it is for Windows only; rt uses process.user.uid", u.Username)
	}
}

// id checks a user or group id. The highest one means "no change" to the system calls, and
// the process would stay root: setresuid(2).
func (v *validator) id(field string, id uint32, mappings []specs.LinuxIDMapping) {
	if id == math.MaxUint32 {
		v.add(field, "%d is not an id: it means \"unchanged\" to the kernel", id)
		return
	}
	if n := FindNamespace(v.s, specs.UserNamespace); n == nil || n.Path != "" || len(mappings) == 0 {
		return // not mapped, or not known here
	}
	for _, m := range mappings {
		if id >= m.ContainerID && id-m.ContainerID < m.Size {
			return
		}
	}
	v.add(field, "%d is not mapped in the container's user namespace", id)
}

func (v *validator) rlimits(list []specs.POSIXRlimit) {
	for i, r := range list {
		field := entry("process.rlimits", i)
		if _, ok := Rlimits.Find(r.Type); !ok {
			v.add(field+".type", "%q is not a resource of getrlimit(2), such as RLIMIT_NOFILE", r.Type)
		}
		for _, other := range list[:i] {
			if other.Type == r.Type {
				v.add(field+".type", "%s is listed twice", r.Type)
				break
			}
		}
		if r.Soft > r.Hard {
			v.add(field+".soft", "%d is above the hard limit %d", r.Soft, r.Hard)
		}
	}
}

// label checks the form of an SELinux context: user:role:type, and a level
// where the policy has them.
func (v *validator) label(field, context string) {
	if context == "" {
		return
	}
	v.line(field, context)
	parts := strings.SplitN(context, ":", 4)
	if len(parts) < 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		v.add(field, "%q is not an SELinux context of the form user:role:type:level", context)
	}
}
