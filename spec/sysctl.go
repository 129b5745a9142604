package spec

import (
	"path"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// sysctls names the kernel parameters that belong to a namespace, as paths below
// /proc/sys; a path with a slash at the end stands for everything below it. Other
// parameters are the machine's: a container must not change them. See namespaces(7),
// ipc_namespaces(7) and user_namespaces(7).
var sysctls = Table[specs.LinuxNamespaceType]{
	{"net/", specs.NetworkNamespace},
	{"fs/mqueue/", specs.IPCNamespace},
	{"kernel/auto_msgmni", specs.IPCNamespace}, {"kernel/msgmax", specs.IPCNamespace}, {"kernel/msgmnb", specs.IPCNamespace},
	{"kernel/msgmni", specs.IPCNamespace}, {"kernel/msg_next_id", specs.IPCNamespace},
	{"kernel/sem", specs.IPCNamespace}, {"kernel/sem_next_id", specs.IPCNamespace},
	{"kernel/shmall", specs.IPCNamespace}, {"kernel/shmmax", specs.IPCNamespace}, {"kernel/shmmni", specs.IPCNamespace},
	{"kernel/shm_next_id", specs.IPCNamespace}, {"kernel/shm_rmid_forced", specs.IPCNamespace},
	{"kernel/hostname", specs.UTSNamespace}, {"kernel/domainname", specs.UTSNamespace},
	{"user/", specs.UserNamespace},
}

// SysctlPath is the file below /proc/sys of a name of linux.sysctl. As in sysctl(8), the
// first separator, a dot or a slash, is the separator of the name, and the other one is a
// dot in a directory's name: both "net.ipv4.conf.eth0/1.forwarding" and
// "net/ipv4/conf/eth0.1/forwarding" are net/ipv4/conf/eth0.1/forwarding. ok is false if
// the path is not below /proc/sys.
func SysctlPath(name string) (file string, ok bool) {
	if i := strings.IndexAny(name, "./"); i >= 0 && name[i] == '.' {
		name = strings.Map(swapSeparators, name)
	}
	ok = name != "" && path.Clean(name) == name && name[0] != '/' && name[0] != '.'
	return name, ok && strings.IndexByte(name, 0) < 0
}

func swapSeparators(r rune) rune {
	switch r {
	case '.':
		return '/'
	case '/':
		return '.'
	}
	return r
}

// sysctlNamespace is the type of the namespace that the parameter belongs to.
func sysctlNamespace(file string) (specs.LinuxNamespaceType, bool) {
	for _, s := range sysctls {
		if file == s.Name || strings.HasSuffix(s.Name, "/") && strings.HasPrefix(file, s.Name) {
			return s.Value, true
		}
	}
	return "", false
}

// SysctlOf is a name in linux.sysctl of a parameter that belongs to a type of namespace,
// as its JSON path, or empty.
func SysctlOf(s *specs.Spec, t specs.LinuxNamespaceType) string {
	if s.Linux == nil {
		return ""
	}
	for _, name := range sortedKeys(s.Linux.Sysctl) {
		if file, ok := SysctlPath(name); ok {
			if owner, ok := sysctlNamespace(file); ok && owner == t {
				return member("linux.sysctl", name)
			}
		}
	}
	return ""
}

// sysctl checks the section of that name: config-linux.md, "Sysctl".
func (v *validator) sysctl(values map[string]string) {
	seen := make(map[string]string, len(values))
	for _, name := range sortedKeys(values) {
		field := member("linux.sysctl", name)
		v.text(field, values[name])
		file, ok := SysctlPath(name)
		if !ok {
			v.add(field, "%q is not the name of a kernel parameter, such as net.ipv4.ip_forward", name)
			continue
		}
		if other, again := seen[file]; again {
			v.add(field, "is the same parameter as %q", other)
		}
		seen[file] = name
		v.namespaced(field, name, file, values[name])
	}
}

// namespaced refuses parameters that would change more than the container.
func (v *validator) namespaced(field, name, file, value string) {
	t, ok := sysctlNamespace(file)
	if !ok {
		v.add(field, "%s is not namespaced: it would change the whole machine; set it on the host", name)
		return
	}
	n := FindNamespace(v.s, t)
	switch {
	case t == specs.UTSNamespace:
		v.utsParameter(field, path.Base(file), value, n)
	case n == nil || ofHost(n):
		v.add(field, "%s belongs to the %s namespace, and the container does not have its own: add {\"type\": %q} to linux.namespaces", name, t, t)
	}
}

// utsParameter: the two names have fields of their own.
func (v *validator) utsParameter(field, name, value string, uts *specs.LinuxNamespace) {
	set := v.s.Hostname
	if name == "domainname" {
		set = v.s.Domainname
	}
	switch {
	case uts == nil || uts.Path != "":
		v.add(field, "would change the name outside the container, which has no new uts namespace; use the field %s", name)
	case set != "" && set != value:
		v.add(field, "%q contradicts the field %s, %q", value, name, set)
	}
}
