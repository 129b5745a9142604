package spec

import (
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"
)

// VersionMin is the oldest version of the specification that rt follows.
const VersionMin = "1.0.0"

// Features describes what rt supports, whatever the host does: features.md.
// It is made of the tables that the code itself works from.
func Features(annotations map[string]string) *features.Features {
	yes, no := true, false
	f := &features.Features{
		OCIVersionMin: VersionMin,
		OCIVersionMax: specs.Version,
		Hooks:         []string{},
		MountOptions:  MountOptionNames(),
		Annotations:   annotations,
		Linux: &features.Linux{
			Capabilities:    Capabilities,
			Cgroup:          &features.Cgroup{V1: &yes, V2: &yes, Systemd: &yes, SystemdUser: &yes, Rdma: &yes},
			Seccomp:         &features.Seccomp{Enabled: &no},
			Apparmor:        &features.Apparmor{Enabled: &no},
			Selinux:         &features.Selinux{Enabled: &no},
			IntelRdt:        &features.IntelRdt{Enabled: &no},
			MemoryPolicy:    &features.MemoryPolicy{},
			MountExtensions: &features.MountExtensions{IDMap: &features.IDMap{Enabled: &no}},
			NetDevices:      &features.NetDevices{Enabled: &no},
		},
	}
	for _, n := range Namespaces {
		f.Linux.Namespaces = append(f.Linux.Namespaces, string(n.Type))
	}
	slices.Sort(f.Linux.Namespaces)
	return f
}

// MountOptionNames lists the options of mounts that have a meaning of their
// own; others are handed to the file system.
func MountOptionNames() []string {
	var names []string
	for _, o := range MountOptions {
		names = append(names, o.Name, "r"+o.Name)
	}
	for _, p := range Propagations {
		names = append(names, p.Name)
	}
	names = append(append(names, SuperblockFlags...), IgnoredOptions...)
	slices.Sort(names)
	return names
}

// unsupported refuses the fields of a configuration that this version of rt
// would have to ignore. A container must not run with less protection than its
// configuration asks for.
func (v *validator) unsupported() {
	s := v.s
	refuse := func(field string, set bool) {
		if set {
			v.add(field, "is not supported by this version of rt")
		}
	}
	if h := s.Hooks; h != nil {
		n := len(h.Prestart) + len(h.CreateRuntime) + len(h.CreateContainer) + len(h.StartContainer) + len(h.Poststart) + len(h.Poststop)
		refuse("hooks", n > 0)
	}
	if p := s.Process; p != nil {
		refuse("process.apparmorProfile", p.ApparmorProfile != "")
		refuse("process.selinuxLabel", p.SelinuxLabel != "")
		refuse("process.scheduler", p.Scheduler != nil)
		refuse("process.ioPriority", p.IOPriority != nil)
		refuse("process.execCPUAffinity", p.ExecCPUAffinity != nil)
	}
	for i, m := range s.Mounts {
		refuse(mountField(i)+".uidMappings", len(m.UIDMappings) > 0)
		refuse(mountField(i)+".gidMappings", len(m.GIDMappings) > 0)
	}
	if l := s.Linux; l != nil {
		refuse("linux.seccomp", l.Seccomp != nil)
		refuse("linux.netDevices", len(l.NetDevices) > 0)
		refuse("linux.mountLabel", l.MountLabel != "")
		refuse("linux.intelRdt", l.IntelRdt != nil)
		refuse("linux.memoryPolicy", l.MemoryPolicy != nil)
		refuse("linux.personality", l.Personality != nil)
	}
}
