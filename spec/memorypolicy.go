package spec

import (
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// MemoryPolicyMode is a mode of set_mempolicy(2).
type MemoryPolicyMode struct {
	Number uint32
	// Nodes says whether the mode takes memory nodes.
	Nodes NodeRule
}

// NodeRule says whether a mode needs memory nodes.
type NodeRule uint8

// The rules for linux.memoryPolicy.nodes.
const (
	NoNodes NodeRule = iota
	MayHaveNodes
	NeedsNodes
)

// MemoryPolicyModes gives the modes of linux.memoryPolicy their numbers.
var MemoryPolicyModes = Table[MemoryPolicyMode]{
	{"MPOL_DEFAULT", MemoryPolicyMode{0, NoNodes}},
	{"MPOL_PREFERRED", MemoryPolicyMode{1, MayHaveNodes}},
	{"MPOL_BIND", MemoryPolicyMode{2, NeedsNodes}},
	{"MPOL_INTERLEAVE", MemoryPolicyMode{3, NeedsNodes}},
	{"MPOL_LOCAL", MemoryPolicyMode{4, NoNodes}},
	{"MPOL_PREFERRED_MANY", MemoryPolicyMode{5, NeedsNodes}},
	{"MPOL_WEIGHTED_INTERLEAVE", MemoryPolicyMode{6, NeedsNodes}},
}

// MemoryPolicyFlags gives the flags of linux.memoryPolicy the bits that are
// added to the mode.
var MemoryPolicyFlags = Table[uint32]{
	{"MPOL_F_NUMA_BALANCING", 1 << 13}, {"MPOL_F_RELATIVE_NODES", 1 << 14}, {"MPOL_F_STATIC_NODES", 1 << 15},
}

// memoryPolicy checks the section of that name by the rules of set_mempolicy(2), which
// reports only EINVAL for all of them.
func (v *validator) memoryPolicy(p *specs.LinuxMemoryPolicy) {
	if p == nil {
		return
	}
	const field = "linux.memoryPolicy"
	mode, _ := MemoryPolicyModes.Find(string(p.Mode))
	known := oneOf(v, field+".mode", string(p.Mode), MemoryPolicyModes)
	v.list(field+".nodes", p.Nodes)
	switch {
	case known && mode.Nodes == NoNodes && p.Nodes != "":
		v.add(field+".nodes", "%q: %s takes no nodes", p.Nodes, p.Mode)
	case known && mode.Nodes == NeedsNodes && p.Nodes == "":
		v.add(field+".nodes", "missing; %s needs at least one node", p.Mode)
	}
	for i, flag := range p.Flags {
		at := entry(field+".flags", i)
		if oneOf(v, at, string(flag), MemoryPolicyFlags) && known {
			v.memoryPolicyFlag(at, flag, p)
		}
	}
}

func (v *validator) memoryPolicyFlag(field string, flag specs.MemoryPolicyFlagType, p *specs.LinuxMemoryPolicy) {
	switch {
	case flag == specs.MpolFNumaBalancing:
		if p.Mode != specs.MpolBind && p.Mode != specs.MpolPreferredMany {
			v.add(field, "%s needs the mode MPOL_BIND or MPOL_PREFERRED_MANY, this is %s", flag, p.Mode)
		}
	case p.Mode == specs.MpolDefault: // the kernel accepts it, without effect
	case p.Nodes == "":
		v.add(field, "%s needs nodes", flag)
	case flag == specs.MpolFStaticNodes && slices.Contains(p.Flags, specs.MpolFRelativeNodes):
		v.add(field, "%s and %s exclude each other", flag, specs.MpolFRelativeNodes)
	}
}
