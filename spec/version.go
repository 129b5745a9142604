package spec

import (
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// VersionMin is the oldest version of the specification that rt supports.
const VersionMin = "1.0.0"

// version: config.md, "Specification version". rt supports 1.x. A later minor version may
// add fields that rt ignores; rt refuses another major version.
func (v *validator) version() {
	text := v.s.Version
	if text == "" {
		v.add("ociVersion", "missing; it is required: use %q", specs.Version)
		return
	}
	major, minor, ok := parseVersion(text)
	switch {
	case !ok:
		v.add("ociVersion", "%q is not a version of the form MAJOR.MINOR.PATCH, such as %q", text, specs.Version)
	case major != specs.VersionMajor:
		v.add("ociVersion", "%q is another major version; rt supports %s", text, specs.Version)
	case minor > specs.VersionMinor:
		v.warn("ociVersion", "%q is later than %s, which rt supports: rt ignores what it added", text, specs.Version)
	}
}

// parseVersion reads a version of semver.org.
func parseVersion(text string) (major, minor uint64, ok bool) {
	text, build, hasBuild := strings.Cut(text, "+")
	core, pre, hasPre := strings.Cut(text, "-")
	if hasBuild && !isDotted(build) || hasPre && !isDotted(pre) {
		return 0, 0, false
	}
	parts := strings.Split(core, ".")
	if len(parts) != 3 {
		return 0, 0, false
	}
	var numbers [3]uint64
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 32)
		if err != nil || len(part) > 1 && part[0] == '0' {
			return 0, 0, false
		}
		numbers[i] = n
	}
	return numbers[0], numbers[1], true
}

// isDotted is true for the words after the "-" and the "+" of a version.
func isDotted(words string) bool {
	for word := range strings.SplitSeq(words, ".") {
		if word == "" || strings.Trim(word, letters+digits+"-") != "" {
			return false
		}
	}
	return true
}
