package compile

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// If the filter needs CAP_SYS_ADMIN and allows all calls that follow, the program drops
// that capability before others can trace it.
func TestFilterIsLoadedBeforeOthersSee(t *testing.T) {
	const load, lower = "seccomp(", "capset("
	for _, c := range []struct {
		name   string
		change func(s *specs.Spec)
		first  string // which comes first in exec: load, or the fork into the pid namespace
		waits  string // and in create: load, or the wait for start
	}{
		{"allows all that follows", func(*specs.Spec) {}, load, load},
		{"Docker's", func(s *specs.Spec) { s.Linux.Seccomp = dockersProfile(t) }, load, load},
		{"forbids what only create does", forbid("accept4"), load, "accept4("},
		{"forbids to fork", forbid("clone"), "clone(", load},
		{"forbids other arguments", forbid("clone", specs.LinuxSeccompArg{Value: 1 << 17, ValueTwo: 1 << 17, Op: specs.OpMaskedEqual}), load, load},
		{"compares an address", forbid("write", specs.LinuxSeccompArg{Index: 1, Value: 5, Op: specs.OpEqualTo}), "clone(", "accept4("},
		{"traps", trap("write"), "clone(", "accept4("},
		{"asks an agent", func(s *specs.Spec) {
			s.Linux.Seccomp.Syscalls[0].Action = specs.ActNotify
			s.Linux.Seccomp.ListenerPath = "/agent"
		}, "clone(", "accept4("},
		{"no new privileges", func(s *specs.Spec) { s.Process.NoNewPrivileges = true }, "clone(", "accept4("},
		{"the container has CAP_SYS_ADMIN", func(s *specs.Spec) {
			s.Process.Capabilities.Effective = append(s.Process.Capabilities.Effective, "CAP_SYS_ADMIN")
			s.Process.Capabilities.Permitted = append(s.Process.Capabilities.Permitted, "CAP_SYS_ADMIN")
		}, "clone(", "accept4("},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := plain()
			s.Process.NoNewPrivileges = false
			s.Process.Capabilities = &specs.LinuxCapabilities{Effective: []string{"CAP_KILL"}, Permitted: []string{"CAP_KILL"}}
			s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"swapon"}, Action: specs.ActErrno}}}
			c.change(s)
			further, err := CompileExec(s, v2, ExecOptions{Options: Options{ID: "box"}, Namespaces: spaces})
			if err != nil {
				t.Fatal(err)
			}
			first(t, "exec", text(further), c.first, load, "clone(")
			if c.first == load {
				first(t, "exec", text(further), lower, lower, "clone(")
			}
			plan, err := Compile(s, v2, options)
			if err != nil {
				t.Fatal(err)
			}
			first(t, "create", text(plan), c.waits, load, "accept4(")
			if n := strings.Count(text(plan), load); n != 1 {
				t.Errorf("create: the filter is loaded %d times", n)
			}
		})
	}
}

func dockersProfile(t *testing.T) *specs.LinuxSeccomp {
	t.Helper()
	data, err := os.ReadFile("../../../tests/testdata/docker/seccomp.json")
	if err != nil {
		t.Fatal(err)
	}
	profile := &specs.LinuxSeccomp{}
	if err := json.Unmarshal(data, profile); err != nil {
		t.Fatal(err)
	}
	return profile
}

// A filter that forbids calls that the process needs is refused before anything is made.
func TestFilterThatForbidsTheLastSteps(t *testing.T) {
	for want, change := range map[string]func(*specs.Spec){
		"forbids capset": forbid("capset"),
		"forbids execve": func(s *specs.Spec) { s.Linux.Seccomp.DefaultAction = specs.ActTrace },
	} {
		s := plain()
		s.Process.NoNewPrivileges = false
		s.Process.Capabilities = &specs.LinuxCapabilities{Effective: []string{"CAP_KILL"}, Permitted: []string{"CAP_KILL"}}
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow}
		change(s)
		for name, err := range map[string]error{
			"create": errorOf(Compile(s, v2, options)), "exec": errorOf(CompileExec(s, v2, ExecOptions{Options: Options{ID: "box"}, Namespaces: spaces})),
		} {
			if err == nil || !strings.Contains(err.Error(), "linux.seccomp: the filter "+want) {
				t.Errorf("%s, %s: %v", name, want, err)
			}
		}
	}
}

func errorOf(_ *Plan, err error) error { return err }

const spaces = 1<<29 | 1<<17 // CLONE_NEWPID, CLONE_NEWNS

func forbid(call string, args ...specs.LinuxSeccompArg) func(*specs.Spec) {
	return rule(call, specs.ActErrno, args...)
}

func trap(call string) func(*specs.Spec) { return rule(call, specs.ActTrap) }

func rule(call string, action specs.LinuxSeccompAction, args ...specs.LinuxSeccompArg) func(*specs.Spec) {
	return func(s *specs.Spec) {
		s.Linux.Seccomp.Syscalls = append(s.Linux.Seccomp.Syscalls, specs.LinuxSyscall{Names: []string{call}, Action: action, Args: args})
	}
}

// first checks which of the calls comes first in a plan.
func first(t *testing.T, plan, text, want string, calls ...string) {
	t.Helper()
	got, at := "", len(text)
	for _, call := range calls {
		if i := strings.Index(text, call); i >= 0 && i < at {
			got, at = call, i
		}
	}
	if got != want {
		t.Errorf("%s: %s comes first, not %s", plan, got, want)
	}
}
