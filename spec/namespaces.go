package spec

import (
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// namespaces checks linux.namespaces: config-linux.md, "Namespaces".
func (v *validator) namespaces(list []specs.LinuxNamespace) {
	for i, n := range list {
		field := entry("linux.namespaces", i)
		if NamespaceFlag(n.Type) == 0 {
			v.add(field+".type", "%q is not a namespace type; use one of %s", n.Type, namespaceNames())
		}
		for _, other := range list[:i] {
			if other.Type == n.Type {
				v.add(field+".type", "%q is listed twice", n.Type)
				break
			}
		}
		if n.Path != "" {
			v.absolute(field+".path", n.Path)
		}
	}
}

// need requires a namespace, new or joined, for a field that works on it.
func (v *validator) need(field string, t specs.LinuxNamespaceType) {
	if FindNamespace(v.s, t) == nil {
		v.add(field, "needs a %s namespace of its own: add {\"type\": %q} to linux.namespaces", t, t)
	}
}

// userMappings checks the mappings of the container's user namespace.
func (v *validator) userMappings(field string, list []specs.LinuxIDMapping) {
	n := FindNamespace(v.s, specs.UserNamespace)
	switch {
	case len(list) > 0 && n == nil:
		v.warn(field, "has no effect without a user namespace: add {\"type\": \"user\"} to linux.namespaces")
	case len(list) == 0 && n != nil && n.Path == "":
		v.add(field, "missing; a new user namespace needs a mapping")
	}
	v.mappings(field, list)
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

// ofHost is true for a path that names rt's own namespace or that of the machine's first
// process. Only the kernel can judge other paths.
func ofHost(n *specs.LinuxNamespace) bool {
	for _, dir := range []string{"/proc/self/ns/", "/proc/thread-self/ns/", "/proc/1/ns/"} {
		if strings.HasPrefix(n.Path, dir) {
			return true
		}
	}
	return false
}

func namespaceNames() string {
	names := make([]string, len(Namespaces))
	for i, n := range Namespaces {
		names[i] = string(n.Type)
	}
	return strings.Join(names, ", ")
}
