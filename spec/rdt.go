package spec

import (
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// intelRdt checks the section of that name: config-linux.md, "IntelRdt".
func (v *validator) intelRdt(r *specs.LinuxIntelRdt) {
	if r == nil {
		return
	}
	const field = "linux.intelRdt"
	// "/" is the root of resctrl; any other value names a directory in it.
	if id := r.ClosID; id != "/" && (id == "." || id == ".." || strings.ContainsAny(id, "/\x00\n")) {
		v.add(field+".closID", "%q is not the name of a directory of resctrl, or \"/\" for its root", id)
	}
	for i, line := range r.Schemata {
		if v.line(entry(field+".schemata", i), line); line == "" {
			v.add(entry(field+".schemata", i), "empty; an entry is a line such as L3:0=f")
		}
	}
	if s := r.L3CacheSchema; s != "" && (!strings.HasPrefix(s, "L3:") || strings.Contains(s, "\n")) {
		v.warn(field+".l3CacheSchema", "%q should be one line that begins with L3:", s)
	}
	v.text(field+".l3CacheSchema", r.L3CacheSchema)
	if s := r.MemBwSchema; s != "" && !strings.HasPrefix(s, "MB:") {
		v.add(field+".memBwSchema", "%q does not begin with MB:", s)
	}
	v.line(field+".memBwSchema", r.MemBwSchema)
}
