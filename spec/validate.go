package spec

import (
	"fmt"
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
	var b strings.Builder
	fmt.Fprintf(&b, "%d problems:", len(e))
	for i, p := range e {
		if i == maxShown {
			fmt.Fprintf(&b, "\n  and %d more", len(e)-i)
			break
		}
		b.WriteString("\n  " + p.String())
	}
	return b.String()
}

// validator collects problems and warnings about a configuration.
type validator struct {
	s        *specs.Spec
	problems Invalid
	warnings []string
}

// add notes a problem: the configuration cannot be used.
func (v *validator) add(field, format string, args ...any) {
	v.problems = append(v.problems, Problem{field, shorten(fmt.Sprintf(format, args...))})
}

// warn notes a value that is allowed, but ignored or deprecated.
func (v *validator) warn(field, format string, args ...any) {
	switch n := len(v.warnings); {
	case n < maxShown:
		v.warnings = append(v.warnings, field+": "+shorten(fmt.Sprintf(format, args...)))
	case n == maxShown:
		v.warnings = append(v.warnings, field+": further warnings are not shown")
	}
}

// maxShown is the maximum number of problems, and of warnings, that a person sees.
const maxShown = 100

// shorten removes a long value from a message; the advice may follow the value.
func shorten(message string) string {
	const side = 400
	if len(message) <= 3*side {
		return message
	}
	return strings.ToValidUTF8(message[:side], "") + " ... " + strings.ToValidUTF8(message[len(message)-side:], "")
}

// Validate checks a configuration without looking at the machine and reports
// all of its problems at once, as an Invalid.
func Validate(s *specs.Spec) error {
	if v := check(s); len(v.problems) > 0 {
		return v.problems
	}
	return nil
}

// ValidateProcess checks the process of a configuration: one that is executed in an
// existing container.
func ValidateProcess(s *specs.Spec) error {
	v := &validator{s: s}
	if v.processSizes(s.Process); len(v.problems) == 0 {
		v.process()
	}
	if len(v.problems) > 0 {
		return v.problems
	}
	return nil
}

// Warnings lists what is not an error but worth a line in the log: values that rt ignores,
// as the specification allows, and deprecated forms. Each begins with its field.
func Warnings(s *specs.Spec) []string { return check(s).warnings }

// check looks at the sections in the order of the specification's types, which is the
// order of most documents.
func check(s *specs.Spec) *validator {
	v := &validator{s: s}
	if v.sizes(); len(v.problems) > 0 {
		return v
	}
	v.version()
	v.process()
	v.root()
	v.names()
	v.mounts()
	v.hooks()
	v.annotations()
	v.linux()
	return v
}

func (v *validator) root() {
	if v.s.Root == nil || v.s.Root.Path == "" {
		v.add("root.path", "missing; it names the directory of the container's root file system")
		return
	}
	v.text("root.path", v.s.Root.Path)
}

// maxName is __NEW_UTS_LEN, the longest name of uts_namespaces(7).
const maxName = 64

// names checks hostname and domainname: config.md, "Hostname".
func (v *validator) names() {
	for _, n := range []struct{ field, value string }{{"hostname", v.s.Hostname}, {"domainname", v.s.Domainname}} {
		if n.value == "" {
			continue
		}
		v.text(n.field, n.value)
		if len(n.value) > maxName {
			v.add(n.field, "%d bytes long; at most %d are allowed", len(n.value), maxName)
		}
		v.need(n.field, specs.UTSNamespace)
	}
}
