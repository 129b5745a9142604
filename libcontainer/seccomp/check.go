package seccomp

import (
	"fmt"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Problem is one thing wrong with a profile.
type Problem struct {
	// Field is the place in config.json, such as
	// "linux.seccomp.syscalls[3].args[0].op".
	Field string
	// Message says what is wrong, and what is allowed.
	Message string
}

func (p Problem) String() string { return p.Field + ": " + p.Message }

// Invalid is a profile's list of problems.
type Invalid []Problem

func (e Invalid) Error() string {
	lines := make([]string, len(e))
	for i, p := range e {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// maxArgs is the number of a system call's arguments.
const maxArgs = 6

type checker struct{ problems []Problem }

func (c *checker) add(field, format string, args ...any) {
	c.problems = append(c.problems, Problem{"linux.seccomp" + field, fmt.Sprintf(format, args...)})
}

// Check reports everything that is wrong with a profile, in the order of its
// fields. Compile refuses a profile with problems.
func Check(profile *specs.LinuxSeccomp) []Problem {
	c := &checker{}
	c.defaultAction(profile)
	for i, arch := range profile.Architectures {
		if !slices.Contains(knownArchs[:], arch) {
			c.add(fmt.Sprintf(".architectures[%d]", i), "%q is not an architecture; known are %s",
				arch, list(knownArchs[:]))
		}
	}
	for i, name := range profile.Flags {
		if findFlag(name) == nil {
			c.add(fmt.Sprintf(".flags[%d]", i), "%q is not a flag; known are %s",
				name, strings.Join(Flags(), ", "))
		}
	}
	c.listener(profile)
	for i := range profile.Syscalls {
		c.rule(i, &profile.Syscalls[i])
	}
	return c.problems
}

// defaultAction: a process whose every call waits for an agent could not even
// hand the agent its descriptor; runc refuses the action, too.
func (c *checker) defaultAction(profile *specs.LinuxSeccomp) {
	if profile.DefaultAction == "" {
		c.add(".defaultAction", "missing; it is required: use one of %s", strings.Join(Actions(), ", "))
		return
	}
	c.action(profile.DefaultAction, profile.DefaultErrnoRet, ".defaultAction", ".defaultErrnoRet")
	if profile.DefaultAction == specs.ActNotify {
		c.add(".defaultAction", "%s cannot be the default: nobody could hand over the listener", specs.ActNotify)
	}
}

func (c *checker) action(name specs.LinuxSeccompAction, errnoRet *uint, field, errnoField string) {
	a := findAction(name)
	switch {
	case a == nil:
		c.add(field, "%q is not an action; known are %s", name, strings.Join(Actions(), ", "))
	case errnoRet == nil:
	case a.maxData == 0:
		c.add(errnoField, "%s takes no error number; only %s and %s do", name, specs.ActErrno, specs.ActTrace)
	case *errnoRet > a.maxData:
		c.add(errnoField, "%d is too large for %s; the largest is %d", *errnoRet, name, a.maxData)
	}
}

func (c *checker) listener(profile *specs.LinuxSeccomp) {
	if profile.ListenerPath != "" {
		return
	}
	if profile.ListenerMetadata != "" {
		c.add(".listenerMetadata", "must not be set without listenerPath")
	}
	if notifies(profile) {
		c.add(".listenerPath", "missing; a rule with %s needs it", specs.ActNotify)
	}
}

func notifies(profile *specs.LinuxSeccomp) bool {
	return slices.ContainsFunc(profile.Syscalls, func(s specs.LinuxSyscall) bool {
		return s.Action == specs.ActNotify
	})
}

func (c *checker) rule(i int, rule *specs.LinuxSyscall) {
	if findAction(rule.Action) == nil || rule.ErrnoRet != nil {
		field := fmt.Sprintf(".syscalls[%d]", i)
		c.action(rule.Action, rule.ErrnoRet, field+".action", field+".errnoRet")
	}
	if len(rule.Names) == 0 {
		c.add(fmt.Sprintf(".syscalls[%d].names", i), "empty; a rule needs at least one name")
	}
	for j, name := range rule.Names {
		switch {
		case name == "":
			c.add(fmt.Sprintf(".syscalls[%d].names[%d]", i, j), "empty; it must be the name of a system call")
		case name == "write" && rule.Action == specs.ActNotify:
			// What announces the listener must not wait for it. runc has
			// the same limit.
			c.add(fmt.Sprintf(".syscalls[%d].names[%d]", i, j), "%s cannot be used for write: "+
				"the process needs it before the listener has been handed over", specs.ActNotify)
		}
	}
	for j, arg := range rule.Args {
		c.arg(i, j, arg)
	}
}

func (c *checker) arg(i, j int, arg specs.LinuxSeccompArg) {
	if arg.Index >= maxArgs {
		c.add(fmt.Sprintf(".syscalls[%d].args[%d].index", i, j),
			"%d is too large; system calls have the arguments 0 to %d", arg.Index, maxArgs-1)
	}
	if !slices.Contains(operators[:], arg.Op) {
		c.add(fmt.Sprintf(".syscalls[%d].args[%d].op", i, j),
			"%q is not an operator; known are %s", arg.Op, list(operators[:]))
	}
}

func findFlag(name specs.LinuxSeccompFlag) *flag {
	for i := range flags {
		if flags[i].name == name {
			return &flags[i]
		}
	}
	return nil
}

func list[N ~string](table []N) string {
	return strings.Join(names(table, func(n N) N { return n }), ", ")
}
