package spec

import (
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// PersonalityDomains gives the domains of linux.personality their values:
// personality(2).
var PersonalityDomains = Table[uint64]{{"LINUX", 0}, {"LINUX32", 8}}

// linux checks the section of that name: config-linux.md.
func (v *validator) linux() {
	l := v.s.Linux
	if l == nil {
		return
	}
	v.userMappings("linux.uidMappings", l.UIDMappings)
	v.userMappings("linux.gidMappings", l.GIDMappings)
	v.sysctl(l.Sysctl)
	v.resources(l.Resources)
	v.cgroupsPath(l.CgroupsPath)
	v.namespaces(l.Namespaces)
	v.devices(l.Devices)
	v.netDevices(l.NetDevices)
	if l.Seccomp != nil {
		for _, p := range CheckSeccomp(l.Seccomp) {
			v.add(p.Field, "%s", p.Message)
		}
	}
	v.rootfsPropagation(l.RootfsPropagation)
	for i, p := range l.MaskedPaths {
		v.absolute(entry("linux.maskedPaths", i), p)
		if IsRoot(p) {
			v.add(entry("linux.maskedPaths", i), "%q is the root directory: nothing would be left to run", p)
		}
	}
	for i, p := range l.ReadonlyPaths {
		v.absolute(entry("linux.readonlyPaths", i), p)
	}
	v.label("linux.mountLabel", l.MountLabel)
	v.intelRdt(l.IntelRdt)
	v.memoryPolicy(l.MemoryPolicy)
	v.personality(l.Personality)
	v.timeOffsets(l.TimeOffsets)
}

// cgroupsPath must stay below the directory where rt puts cgroups. Its other form, three
// words for systemd, has no slash.
func (v *validator) cgroupsPath(p string) {
	v.line("linux.cgroupsPath", p)
	if leadsOut(p) {
		v.add("linux.cgroupsPath", "%q is outside the directory where rt puts cgroups", p)
	}
}

// leadsOut tells whether a path leaves its starting directory by "..".
func leadsOut(p string) bool {
	depth := 0
	for part := range strings.SplitSeq(p, "/") {
		switch part {
		case "", ".":
		case "..":
			depth--
		default:
			depth++
		}
		if depth < 0 {
			return true
		}
	}
	return false
}

func (v *validator) rootfsPropagation(p string) {
	if p == "" {
		return
	}
	if _, ok := Propagations.Find(p); !ok {
		v.add("linux.rootfsPropagation", "%q is not one of shared, slave, private, unbindable", p)
	}
}

// personality: config-linux.md defines two domains and no flag.
func (v *validator) personality(p *specs.LinuxPersonality) {
	if p == nil {
		return
	}
	oneOf(v, "linux.personality.domain", string(p.Domain), PersonalityDomains)
	for i, flag := range p.Flags {
		v.add(entry("linux.personality.flags", i), "%q is not known; the specification has no flags yet", flag)
	}
}

// maxOffset is KTIME_SEC_MAX/2, the largest offset of the clocks of time_namespaces(7).
const maxOffset = 4611686018

// timeOffsets: config-linux.md, "Offset for Time Namespace".
func (v *validator) timeOffsets(offsets map[string]specs.LinuxTimeOffset) {
	if len(offsets) == 0 {
		return
	}
	const field = "linux.timeOffsets"
	v.need(field, specs.TimeNamespace)
	if n := FindNamespace(v.s, specs.TimeNamespace); n != nil && n.Path != "" {
		v.add(field, "offsets can be set only in a new time namespace; this one is joined: %q", n.Path)
	}
	for _, clock := range sortedKeys(offsets) {
		if clock != "monotonic" && clock != "boottime" {
			v.add(member(field, clock), "%q is not a clock; use monotonic or boottime", clock)
			continue
		}
		at, o := field+"."+clock, offsets[clock]
		v.within(at+".secs", o.Secs, -maxOffset, maxOffset)
		if o.Nanosecs >= 1e9 {
			v.add(at+".nanosecs", "%d is a second or more", o.Nanosecs)
		}
	}
}

// sortedKeys makes the order of messages about a map always the same.
func sortedKeys[T any](m map[string]T) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
