package spec

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Problem is one thing wrong with a configuration.
type Problem struct {
	// Field is the place in config.json, such as "mounts[2].destination".
	Field string
	// Message says what is wrong, and what is allowed.
	Message string
}

func (p Problem) String() string { return p.Field + ": " + p.Message }

// Invalid is a configuration's list of problems.
type Invalid []Problem

func (e Invalid) Error() string {
	if len(e) == 1 {
		return e[0].String()
	}
	lines := make([]string, len(e))
	for i, p := range e {
		lines[i] = "\n  " + p.String()
	}
	return fmt.Sprintf("%d problems:%s", len(e), strings.Join(lines, ""))
}

type validator struct {
	s        *specs.Spec
	problems Invalid
}

func (v *validator) add(field, format string, args ...any) {
	v.problems = append(v.problems, Problem{field, fmt.Sprintf(format, args...)})
}

// Validate checks a configuration without looking at the machine and reports
// all of its problems at once, as an Invalid.
func Validate(s *specs.Spec) error {
	v := &validator{s: s}
	v.version()
	v.root()
	v.process()
	v.mounts()
	v.namespaces()
	v.linux()
	v.resources()
	v.unsupported()
	if len(v.problems) > 0 {
		return v.problems
	}
	return nil
}

// version: config.md, "Specification version": the version is one of semver.
// rt follows 1.x; a later minor version is allowed to bring fields that are
// ignored, another major version is not.
func (v *validator) version() {
	field := v.s.Version
	if field == "" {
		v.add("ociVersion", "missing; it is required: use %q", specs.Version)
		return
	}
	core, _, _ := strings.Cut(field, "+")
	core, _, _ = strings.Cut(core, "-")
	parts := strings.Split(core, ".")
	for _, part := range parts {
		if _, err := strconv.ParseUint(part, 10, 32); err != nil || len(parts) != 3 {
			v.add("ociVersion", "%q is not a version of the form MAJOR.MINOR.PATCH, such as %q", field, specs.Version)
			return
		}
	}
	if parts[0] != "1" {
		v.add("ociVersion", "%q is another major version; rt follows %s", field, specs.Version)
	}
}

func (v *validator) root() {
	if v.s.Root == nil || v.s.Root.Path == "" {
		v.add("root.path", "missing; it names the directory of the container's root file system")
	}
}

func (v *validator) process() {
	p := v.s.Process
	if p == nil {
		return // config.md: only required when start is called
	}
	if len(p.Args) == 0 || p.Args[0] == "" {
		v.add("process.args", "empty; its first entry is the program to run")
	}
	if !path.IsAbs(p.Cwd) {
		v.add("process.cwd", "%q is not an absolute path", p.Cwd)
	}
	for i, e := range p.Env {
		if strings.IndexByte(e, 0) >= 0 {
			v.add(fmt.Sprintf("process.env[%d]", i), "contains a NUL byte")
		}
	}
	for i, a := range p.Args {
		if strings.IndexByte(a, 0) >= 0 {
			v.add(fmt.Sprintf("process.args[%d]", i), "contains a NUL byte")
		}
	}
	if p.CommandLine != "" {
		v.add("process.commandLine", "is for Windows only; use process.args")
	}
	seen := map[string]bool{}
	for i, r := range p.Rlimits {
		field := fmt.Sprintf("process.rlimits[%d]", i)
		if _, ok := Rlimits.Find(r.Type); !ok {
			v.add(field+".type", "%q is not a resource of getrlimit(2), such as RLIMIT_NOFILE", r.Type)
		}
		if seen[r.Type] {
			v.add(field+".type", "%s is listed twice", r.Type)
		}
		seen[r.Type] = true
		if r.Soft > r.Hard {
			v.add(field+".soft", "%d is above the hard limit %d", r.Soft, r.Hard)
		}
	}
	if a := p.OOMScoreAdj; a != nil && (*a < -1000 || *a > 1000) {
		v.add("process.oomScoreAdj", "%d is outside -1000 to 1000", *a)
	}
	if m := p.User.Umask; m != nil && *m > 0o777 {
		v.add("process.user.umask", "%#o has more than permission bits", *m)
	}
}

func (v *validator) mounts() {
	for i, m := range v.s.Mounts {
		field := mountField(i)
		if m.Destination == "" {
			v.add(field+".destination", "missing")
		}
		if m.Type == "" && !IsBind(&m) && !slices.Contains(m.Options, "remount") {
			v.add(field+".type", "missing; only bind mounts need none")
		}
		if IsBind(&m) && m.Source == "" {
			v.add(field+".source", "missing; a bind mount needs what to bind")
		}
	}
}

func mountField(i int) string { return fmt.Sprintf("mounts[%d]", i) }

// IsBind tells a bind mount by its type or its options.
func IsBind(m *specs.Mount) bool {
	return m.Type == "bind" || slices.Contains(m.Options, "bind") || slices.Contains(m.Options, "rbind")
}

func (v *validator) namespaces() {
	if v.s.Linux == nil {
		return
	}
	seen := map[specs.LinuxNamespaceType]bool{}
	for i, n := range v.s.Linux.Namespaces {
		field := fmt.Sprintf("linux.namespaces[%d]", i)
		if NamespaceFlag(n.Type) == 0 {
			v.add(field+".type", "%q is not a namespace; there are %s", n.Type, namespaceNames())
		}
		if seen[n.Type] {
			v.add(field+".type", "%q is listed twice", n.Type)
		}
		seen[n.Type] = true
		if n.Path != "" && !path.IsAbs(n.Path) {
			v.add(field+".path", "%q is not an absolute path", n.Path)
		}
	}
	need := func(field string, set bool, t specs.LinuxNamespaceType) {
		if set && !seen[t] {
			v.add(field, "needs a %s namespace of its own: add {\"type\": %q} to linux.namespaces", t, t)
		}
	}
	need("hostname", v.s.Hostname != "", specs.UTSNamespace)
	need("domainname", v.s.Domainname != "", specs.UTSNamespace)
	l := v.s.Linux
	need("linux.uidMappings", len(l.UIDMappings) > 0, specs.UserNamespace)
	need("linux.gidMappings", len(l.GIDMappings) > 0, specs.UserNamespace)
	need("linux.timeOffsets", len(l.TimeOffsets) > 0, specs.TimeNamespace)
	if n := FindNamespace(v.s, specs.UserNamespace); n != nil && n.Path == "" {
		if len(l.UIDMappings) == 0 {
			v.add("linux.uidMappings", "missing; a new user namespace needs a mapping")
		}
		if len(l.GIDMappings) == 0 {
			v.add("linux.gidMappings", "missing; a new user namespace needs a mapping")
		}
	}
}

// FindNamespace returns the entry of linux.namespaces for a type, or nil.
func FindNamespace(s *specs.Spec, t specs.LinuxNamespaceType) *specs.LinuxNamespace {
	if s.Linux == nil {
		return nil
	}
	for i := range s.Linux.Namespaces {
		if s.Linux.Namespaces[i].Type == t {
			return &s.Linux.Namespaces[i]
		}
	}
	return nil
}

func namespaceNames() string {
	names := make([]string, len(Namespaces))
	for i, n := range Namespaces {
		names[i] = string(n.Type)
	}
	return strings.Join(names, ", ")
}

func (v *validator) linux() {
	l := v.s.Linux
	if l == nil {
		return
	}
	v.absolute("linux.maskedPaths", l.MaskedPaths)
	v.absolute("linux.readonlyPaths", l.ReadonlyPaths)
	if p := l.RootfsPropagation; p != "" {
		if _, ok := Propagations.Find(p); !ok {
			v.add("linux.rootfsPropagation", "%q is not one of shared, slave, private, unbindable", p)
		}
	}
	for i, d := range l.Devices {
		field := fmt.Sprintf("linux.devices[%d]", i)
		if !path.IsAbs(d.Path) {
			v.add(field+".path", "%q is not an absolute path", d.Path)
		}
		if _, ok := DeviceTypes.Find(d.Type); !ok {
			v.add(field+".type", "%q is not one of c, b, u, p", d.Type)
		}
	}
	for name, o := range l.TimeOffsets {
		if name != "monotonic" && name != "boottime" {
			v.add("linux.timeOffsets", "%q is not a clock; there are monotonic and boottime", name)
		}
		if o.Nanosecs >= 1e9 {
			v.add("linux.timeOffsets."+name+".nanosecs", "%d is a second or more", o.Nanosecs)
		}
	}
}

func (v *validator) absolute(list string, paths []string) {
	for i, p := range paths {
		if !path.IsAbs(p) {
			v.add(fmt.Sprintf("%s[%d]", list, i), "%q is not an absolute path", p)
		}
	}
}
