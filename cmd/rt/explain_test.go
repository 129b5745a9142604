package main

import (
	"strings"
	"testing"

	"github.com/rtcontainers/rt/libcontainer"
)

// The page has every step once, below its phase, and no text of the bundle is markup.
func TestPlanAsAPage(t *testing.T) {
	plan := &libcontainer.Plan{
		Clone: "CLONE_NEWNS", Warnings: []string{"<b>ignored</b>"},
		Files: []libcontainer.PlanFile{{Number: 3, What: "the conversation"}},
		Steps: []libcontainer.PlanStep{
			{Step: 0, Call: "umask(0)", Syscall: "umask", Source: "process", Purpose: "create files"},
			{Step: 1, Call: `openat2(r1, "<i>")`, Syscall: "openat2", Source: "mounts[0]", Purpose: `mount on "<i>"`},
			{Step: 2, Call: "r1 = -1", Source: "mounts[0]", Purpose: "mount"},
			{Step: 3, Call: "execve()", Syscall: "execve", Source: "process.args[0]", Purpose: "exec"},
			{Step: 4, Call: "mkdirat()", Syscall: "mkdirat", Source: "mounts[0]", Purpose: "create", Rare: true},
		},
	}
	var b strings.Builder
	writePlan(&b, "/srv/<bundle>", plan)
	page := b.String()
	for _, not := range []string{"<b>ignored", "<i>", "<bundle>", "%!"} {
		if strings.Contains(page, not) {
			t.Errorf("%q is in the page", not)
		}
	}
	for _, once := range []string{"3 system calls", "<h2>Getting ready", "<h2>The root file system", "<h2>The container&#39;s program", "<h2>Only where", "&lt;b&gt;ignored"} {
		if n := strings.Count(page, once); n != 1 {
			t.Errorf("%q: %d times", once, n)
		}
	}
	if n := strings.Count(page, "<tr "); n != len(plan.Steps) {
		t.Errorf("%d steps", n)
	}
}
