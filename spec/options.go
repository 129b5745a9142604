package spec

import (
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// plainOptions rewrites two forms that engines use in one mount option: several options
// with commas, as for mount(8), and id mappings in crun's form (crun(1), "idmap mount
// options").
func plainOptions(s *specs.Spec) {
	for i := range s.Mounts {
		m := &s.Mounts[i]
		m.Options = splitOptions(m.Options)
		for j, o := range m.Options {
			if name, text, ok := strings.Cut(o, "="); ok && (name == OptionIdmap || name == OptionRidmap) {
				if uids, gids, ok := parseIdmap(s, text); ok {
					m.Options[j], m.UIDMappings, m.GIDMappings = name, uids, gids
				}
			}
		}
	}
}

// splitOptions splits options at commas. Commas in quotes, after a backslash, and in the
// nodes of mpol= (tmpfs(5)) belong to a value.
func splitOptions(options []string) []string {
	split := false
	for _, o := range options {
		split = split || strings.ContainsAny(o, `,"`)
	}
	if !split {
		return options
	}
	list := make([]string, 0, 2*len(options))
	for _, o := range options {
		begin, quoted := 0, false
		for i := 0; i < len(o); i++ {
			switch c := o[i]; {
			case c == '\\':
				i++
			case c == '"':
				quoted = !quoted
			case c == ',' && !quoted && !ofPolicy(o[begin:i], o[i+1:]):
				list = append(list, unquote(o[begin:i]))
				begin = i + 1
			}
		}
		list = append(list, unquote(o[begin:]))
	}
	return list
}

// ofPolicy tells whether a comma belongs to a memory policy: a number follows.
func ofPolicy(before, after string) bool {
	return strings.HasPrefix(before, "mpol=") && after != "" && after[0] >= '0' && after[0] <= '9'
}

// unquote removes the quotes of a value, such as a security context's.
func unquote(option string) string {
	name, value, ok := strings.Cut(option, "=")
	if ok && len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		return name + "=" + value[1:len(value)-1]
	}
	return option
}

// parseIdmap reads uids=FROM-TO-LENGTH[#...];gids=...: FROM is an id of the file system.
// TO is an id of the host or, after "@", of the container.
func parseIdmap(s *specs.Spec, text string) (uids, gids []specs.LinuxIDMapping, ok bool) {
	for part := range strings.SplitSeq(text, ";") {
		kind, ranges, _ := strings.Cut(part, "=")
		switch kind {
		case "uids":
			uids, ok = parseRanges(ranges, mappingsOf(s, true))
		case "gids":
			gids, ok = parseRanges(ranges, mappingsOf(s, false))
		default:
			ok = false
		}
		if !ok {
			return nil, nil, false
		}
	}
	return uids, gids, len(uids) > 0 && len(gids) > 0
}

func mappingsOf(s *specs.Spec, users bool) []specs.LinuxIDMapping {
	switch {
	case s.Linux == nil:
		return nil
	case users:
		return s.Linux.UIDMappings
	}
	return s.Linux.GIDMappings
}

func parseRanges(text string, container []specs.LinuxIDMapping) (list []specs.LinuxIDMapping, ok bool) {
	for triple := range strings.SplitSeq(text, "#") {
		triple, relative := strings.CutPrefix(triple, "@")
		var n [3]uint32
		fields := strings.Split(triple, "-")
		if len(fields) != len(n) {
			return nil, false
		}
		for i, f := range fields {
			v, err := strconv.ParseUint(f, 10, 32)
			if err != nil {
				return nil, false
			}
			n[i] = uint32(v)
		}
		if relative {
			host, ok := HostID(container, n[1])
			if !ok {
				return nil, false
			}
			n[1] = host
		}
		list = append(list, specs.LinuxIDMapping{ContainerID: n[0], HostID: n[1], Size: n[2]})
	}
	return list, true
}
