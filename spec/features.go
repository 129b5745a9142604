package spec

import (
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"
)

// Features describes what rt supports, whatever the host supports: features.md. It is
// built from the tables that the code itself uses.
func Features(annotations map[string]string, architectures []string) *features.Features {
	return &features.Features{
		OCIVersionMin:                      VersionMin,
		OCIVersionMax:                      specs.Version,
		Hooks:                              Hooks.Names(),
		MountOptions:                       MountOptionNames(),
		Annotations:                        annotations,
		PotentiallyUnsafeConfigAnnotations: UnsafeAnnotations,
		Linux:                              linuxFeatures(architectures),
	}
}

// linuxFeatures: features-linux.md.
func linuxFeatures(architectures []string) *features.Linux {
	yes := true
	return &features.Linux{
		Namespaces:   sortedNamespaces(),
		Capabilities: Capabilities,
		Cgroup:       &features.Cgroup{V1: &yes, V2: &yes, Systemd: &yes, SystemdUser: &yes, Rdma: &yes},
		Seccomp: &features.Seccomp{
			Enabled: &yes, Actions: SeccompActions.Names(), Operators: namesOf(SeccompOperators),
			Archs: architectures, KnownFlags: SeccompFlags.Names(), SupportedFlags: SeccompFlags.Names(),
		},
		Apparmor: &features.Apparmor{Enabled: &yes},
		Selinux:  &features.Selinux{Enabled: &yes},
		IntelRdt: &features.IntelRdt{
			Enabled: &yes, Schemata: &yes, Monitoring: &yes,
		},
		MemoryPolicy: &features.MemoryPolicy{
			Modes: MemoryPolicyModes.Names(), Flags: MemoryPolicyFlags.Names(),
		},
		MountExtensions: &features.MountExtensions{IDMap: &features.IDMap{Enabled: &yes}},
		NetDevices:      &features.NetDevices{Enabled: &yes},
	}
}

func sortedNamespaces() []string {
	names := make([]string, len(Namespaces))
	for i, n := range Namespaces {
		names[i] = string(n.Type)
	}
	slices.Sort(names)
	return names
}

// MountOptionNames lists the mount options that rt knows; it passes others to the file
// system.
func MountOptionNames() []string {
	var names []string
	for _, o := range MountOptions {
		names = append(names, o.Name, "r"+o.Name)
	}
	names = append(append(names, UserOptions.Names()...), Propagations.Names()...)
	names = append(append(names, SuperblockFlags...), IgnoredOptions...)
	names = append(names, SpecialOptions...)
	slices.Sort(names)
	return names
}
