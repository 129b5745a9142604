package spec

import (
	"fmt"
	"path"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
)

// mounts checks the section of that name: config.md, "Mounts".
func (v *validator) mounts() {
	for i := range v.s.Mounts {
		v.mount(entry("mounts", i), &v.s.Mounts[i])
	}
}

// PrepareMounts checks the mounts that are added to an existing container, and nothing
// else. It splits options that contain several, as Parse does. It returns warnings.
func PrepareMounts(s *specs.Spec) ([]string, error) {
	plainOptions(s)
	v := &validator{s: s}
	if v.mountsSizes(); len(v.problems) == 0 {
		v.mounts()
	}
	if len(v.problems) > 0 {
		return v.warnings, v.problems
	}
	return v.warnings, nil
}

// CheckDestinations is PrepareMounts for mounts that are removed; only their destinations
// count.
func CheckDestinations(s *specs.Spec) error {
	v := &validator{s: s}
	v.count("mounts", len(s.Mounts), maxEntries)
	for i := range s.Mounts {
		field := entry("mounts", i) + ".destination"
		v.pathSize(field, s.Mounts[i].Destination)
		v.destination(field, s.Mounts[i].Destination)
	}
	if len(v.problems) > 0 {
		return v.problems
	}
	return nil
}

func (v *validator) mount(field string, m *specs.Mount) {
	v.destination(field+".destination", m.Destination)
	v.text(field+".type", m.Type)
	v.text(field+".source", m.Source)
	v.mountType(field, m)
	v.mountOptions(field, m)
	v.mountMappings(field, m)
}

func (v *validator) destination(field, name string) {
	switch {
	case name == "":
		v.add(field, "missing; it is the path in the container")
	case !path.IsAbs(name):
		v.warn(field, "%q is relative, which is deprecated; rt uses %q", name, path.Join("/", name))
	}
	v.text(field, name)
}

// IsRoot tells whether a path in the container is its root directory, judging by the path
// alone.
func IsRoot(p string) bool { return path.Clean("/"+p) == "/" }

// mountType: bind mounts and remounts need no file system, all others do.
func (v *validator) mountType(field string, m *specs.Mount) {
	switch {
	case slices.Contains(m.Options, "remount"):
	case IsBind(m):
		if m.Source == "" {
			v.add(field+".source", "missing; a bind mount needs a source")
		}
	case m.Type == "":
		v.add(field+".type", "missing; only a bind mount needs no type")
	case m.Type == "none":
		v.add(field+".type", "\"none\" is not a file system; for a bind mount, add \"bind\" or \"rbind\" to the options")
	}
}

// mountOptions: options that are not in the tables belong to the file system, if there is
// one, which accepts or refuses them. Of options such as ro and rw the last one counts, as
// with mount(8).
func (v *validator) mountOptions(field string, m *specs.Mount) {
	propagation, bind := "", IsBind(m)
	for i, o := range m.Options {
		at := entry(field+".options", i)
		v.text(at, o)
		kind, isPropagation := Propagations.Find(o)
		switch {
		case o == "":
			// Buildah sets one for a volume without options.
		case o == OptionTmpcopyup && m.Type != "tmpfs":
			v.add(at, "%s needs the type tmpfs, this is %q", o, m.Type)
		case isPropagation:
			if before, ok := Propagations.Find(propagation); ok && before != kind {
				v.add(at, "%q contradicts %q before it; a mount has one propagation", o, propagation)
			}
			propagation = o
		case !knownOption(o) && (bind || !judged(m, o)):
			v.unknownOption(at, m, bind, o)
		}
	}
}

// judged tells whether a file system would refuse an option that rt does not know. A mount
// of cgroups may be a bind mount, which has no options of its own.
func judged(m *specs.Mount, option string) bool {
	if m.Type == "cgroup" || m.Type == "cgroup2" {
		return slices.Contains(CgroupOptions, option)
	}
	known, careless := CarelessFileSystems.Find(m.Type)
	name, _, _ := strings.Cut(option, "=")
	return !careless || slices.Contains(known, name)
}

// unknownOption refuses an option that nothing would act on. Its author may mean "ro";
// without it the container could do more than it should.
func (v *validator) unknownOption(at string, m *specs.Mount, bind bool, name string) {
	if kind, _, valued := strings.Cut(name, "="); valued && bind && slices.Contains(tmpfsOptions, kind) {
		v.warn(at, "%q is ignored: it is an option of tmpfs, and a bind mount has no file system of its own", name)
		return
	}
	if e, ok := EngineOptions.Find(name); ok && !e.Refused && bind {
		if e.Reason != "" {
			v.warn(at, "%q %s", name, e.Reason)
		}
		return
	}
	if !defence.Off(defence.UnknownOptions) {
		v.add(at, "%q %s", name, unknownReason(m.Type, bind, name))
	}
}

// unknownReason says why rt refuses an option, and what to write instead.
func unknownReason(fsType string, bind bool, name string) string {
	if e, ok := EngineOptions.Find(name); ok && bind {
		return e.Reason
	}
	if kind, _, ok := strings.Cut(name, "="); ok && (kind == OptionIdmap || kind == OptionRidmap) {
		return "is malformed: write " + kind + "=uids=FROM-TO-LENGTH;gids=FROM-TO-LENGTH, with # between several ranges, and @ before one that is relative to the container's user namespace"
	}
	if meant, ok := misspelt(name); ok {
		return fmt.Sprintf("is not known; write %q", meant)
	}
	if bind {
		return "is not known, and a bind mount has no options of a file system; correct it, or remove it (rt features lists the known ones)"
	}
	return fmt.Sprintf("is not known, and %s would ignore it; correct it, or remove it (rt features lists the known ones)", fsType)
}

// misspelt finds the option that the author certainly meant.
func misspelt(name string) (string, bool) {
	name = strings.ToLower(strings.TrimSpace(name))
	switch name {
	case "readonly", "read-only":
		name = "ro"
	case "readwrite", "read-write":
		name = "rw"
	}
	return name, knownOption(name)
}

// knownOption is true for an option that rt knows.
func knownOption(name string) bool {
	_, attribute := FindMountOption(name)
	_, propagation := Propagations.Find(name)
	return attribute || propagation || IsIgnoredOption(name) ||
		slices.Contains(SuperblockFlags, name) || slices.Contains(SpecialOptions, name)
}

// mountMappings: config.md requires both mappings or none. idmap and ridmap without
// mappings use those of the container's user namespace. A new file system needs no mapping
// of its owners, so rt maps bind mounts only.
func (v *validator) mountMappings(field string, m *specs.Mount) {
	v.mappings(field+".uidMappings", m.UIDMappings)
	v.mappings(field+".gidMappings", m.GIDMappings)
	uids, gids := len(m.UIDMappings) > 0, len(m.GIDMappings) > 0
	option := slices.IndexFunc(m.Options, func(o string) bool { return o == OptionIdmap || o == OptionRidmap })
	switch {
	case uids && !gids:
		v.add(field+".gidMappings", "missing; uidMappings and gidMappings must be given together")
	case gids && !uids:
		v.add(field+".uidMappings", "missing; uidMappings and gidMappings must be given together")
	case uids && option < 0:
		v.warn(field+".options", "should contain idmap or ridmap, so that no runtime overlooks uidMappings")
	case !uids && option >= 0 && !v.mapsUsers():
		v.add(entry(field+".options", option), "%s needs uidMappings and gidMappings: add them to the mount, or to linux", m.Options[option])
	}
	if (uids || gids || option >= 0) && !IsBind(m) {
		v.add(field+".options", "only a bind mount can map ids: add bind or rbind")
	}
}

// mapsUsers is true if the container's user namespace has mappings: in the configuration,
// or in the namespace that it joins.
func (v *validator) mapsUsers() bool {
	n := FindNamespace(v.s, specs.UserNamespace)
	return n != nil && (n.Path != "" || len(v.s.Linux.UIDMappings) > 0 && len(v.s.Linux.GIDMappings) > 0)
}

// IsBind tells a bind mount by its type or its options.
func IsBind(m *specs.Mount) bool {
	return m.Type == "bind" || slices.Contains(m.Options, "bind") || slices.Contains(m.Options, "rbind")
}
