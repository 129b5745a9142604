package spec

import specs "github.com/opencontainers/runtime-spec/specs-go"

// Hooks are the lists of hooks, in the order in which they are run: config.md,
// "POSIX-platform Hooks".
var Hooks = Table[func(*specs.Hooks) []specs.Hook]{
	{"prestart", func(h *specs.Hooks) []specs.Hook { return h.Prestart }},
	{"createRuntime", func(h *specs.Hooks) []specs.Hook { return h.CreateRuntime }},
	{"createContainer", func(h *specs.Hooks) []specs.Hook { return h.CreateContainer }},
	{"startContainer", func(h *specs.Hooks) []specs.Hook { return h.StartContainer }},
	{"poststart", func(h *specs.Hooks) []specs.Hook { return h.Poststart }},
	{"poststop", func(h *specs.Hooks) []specs.Hook { return h.Poststop }},
}

func (v *validator) hooks() {
	if v.s.Hooks == nil {
		return
	}
	for _, kind := range Hooks {
		for i, h := range kind.Value(v.s.Hooks) {
			field := entry("hooks."+kind.Name, i)
			v.absolute(field+".path", h.Path)
			v.texts(field+".args", h.Args)
			v.texts(field+".env", h.Env)
			if h.Timeout != nil && *h.Timeout <= 0 {
				v.add(field+".timeout", "%d is not a number of seconds above 0; leave it out for no timeout", *h.Timeout)
			}
		}
	}
}
