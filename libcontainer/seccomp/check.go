package seccomp

import (
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/spec"
)

// Problem is one thing wrong with a profile.
type Problem = spec.SeccompProblem

// Invalid is a profile's list of problems.
type Invalid []Problem

func (e Invalid) Error() string {
	lines := make([]string, len(e))
	for i, p := range e {
		lines[i] = p.Field + ": " + p.Message
	}
	return strings.Join(lines, "\n")
}

// Check reports everything that is wrong with a profile, in the order of its
// fields. Compile refuses a profile with problems.
func Check(profile *specs.LinuxSeccomp) []Problem { return spec.CheckSeccomp(profile) }
