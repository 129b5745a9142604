package main

import (
	"fmt"
	"os"
	goruntime "runtime"
	"strconv"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// A created container waits for its start as a process that others may be able to access.

var waitingAttacks = []attack{
	{
		name:     "waiting-capabilities",
		about:    "a created container with a filter has capabilities beyond its own, CAP_SYS_ADMIN to load it among them",
		kinds:    []string{"13.3"},
		defences: []defence.Name{defence.WaitingCapabilities},
		mount: func(t *try) string {
			a := t.filtered("true")
			a.create()
			pid := a.pid()
			var own uint64
			for _, c := range []uint{unix.CAP_AUDIT_WRITE, unix.CAP_KILL, unix.CAP_NET_BIND_SERVICE} {
				own |= 1 << c
			}
			for _, set := range []string{"CapEff", "CapPrm", "CapInh", "CapAmb"} {
				n, err := strconv.ParseUint(statusField(pid, set), 16, 64)
				t.must(err)
				if n&^own != 0 {
					return fmt.Sprintf("%s of the waiting process: %x", set, n)
				}
			}
			return ""
		},
	},
	{
		name:     "waiting-attach",
		about:    "a container whose only capability is CAP_SYS_PTRACE attaches to a created one in its pid namespace, and makes it create a device node",
		kinds:    []string{"13.3"},
		defences: []defence.Name{defence.WaitingCapabilities},
		mount: func(t *try) string {
			b := t.script("sleep 100")
			b.capabilities("CAP_SYS_PTRACE")
			b.start()
			a := t.filtered("true")
			a.namespace(specs.PIDNamespace, b.proc("ns/pid"))
			a.create()
			b.exec("/bin/"+attackerName, "inject-mknod", "/attacked")
			if fileExists(a.root("attacked")) {
				return "the waiting process made a device node"
			}
			return ""
		},
	},
	tracedExec("exec-traced", "a container with CAP_SYS_PTRACE attaches to the process of exec and has it use the rights of the runtime", "", func(*bundle) {}),
	tracedExec("exec-traced-filter", "the same where loading the filter needs CAP_SYS_ADMIN, because no_new_privs is not set", "", func(b *bundle) {
		b.spec.Process.NoNewPrivileges = false
		b.filter("swapon")
	}),
	tracedExec("exec-traced-label", "the same where the process gets an AppArmor profile", "/sys/kernel/security/apparmor/profiles", func(b *bundle) {
		b.spec.Process.ApparmorProfile = "unconfined"
	}),
	attachAttack("attach-exec", "the container's root opens the process of exec before that executes the container's program", func(t *try, b *bundle) {
		for range t.times(200) {
			b.exec("true")
			if fileExists(b.root("result", "attached")) {
				break
			}
		}
	}),
	attachAttack("attach-created", "a container opens a created one in its pid namespace that has no more rights", func(t *try, b *bundle) {
		v := t.script("true")
		v.namespace(specs.PIDNamespace, b.proc("ns/pid"))
		v.create()
		for range 20 { // on a busy machine, too, the attacker must have had its turn
			if time.Sleep(100 * time.Millisecond); fileExists(b.root("result", "attached")) {
				break
			}
		}
	}),
}

// attachAttack is about processes of the runtime that run in the container's pid namespace
// with its user, and with no more rights than the container has.
func attachAttack(name, about string, bring func(t *try, b *bundle)) attack {
	return attack{
		name: name, about: about, kinds: []string{"CVE-2016-9962"}, defences: []defence.Name{defence.Dumpable}, race: true,
		mount: func(t *try) string {
			b := t.attacker("attach-others")
			// With all capabilities except the one that allows it anyway.
			for n, name := range spec.Capabilities {
				if n != unix.CAP_SYS_PTRACE && n != unix.CAP_SYS_ADMIN && n != unix.CAP_SYS_RESOURCE {
					b.capabilities(name)
				}
			}
			b.mkdir(b.root("result"))
			b.start()
			bring(t, b)
			if what := read(b.root("result", "attached")); what != "" {
				return "got at a process of the runtime: " + what
			}
			return ""
		},
	}
}

// filtered makes a bundle with a seccomp filter, but without no_new_privs.
func (t *try) filtered(script string) *bundle {
	b := t.script(script)
	b.spec.Process.NoNewPrivileges = false
	b.filter("ptrace")
	return b
}

// filter forbids system calls.
func (b *bundle) filter(calls ...string) {
	b.spec.Linux.Seccomp = &specs.LinuxSeccomp{
		DefaultAction: specs.ActAllow,
		Architectures: []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32},
		Syscalls:      []specs.LinuxSyscall{{Names: calls, Action: specs.ActErrno}},
	}
}

// neighbour starts a container that runs an attacker's program, with a directory of the
// host as a volume at /volume.
func (t *try) neighbour(volume string, args ...string) *bundle {
	b := t.attacker(args...)
	b.bind(volume, "/volume")
	b.start()
	return b
}

// tracedExec is about a container with CAP_SYS_PTRACE, which may trace processes that have
// more rights.
func tracedExec(name, about, needs string, change func(b *bundle)) attack {
	return attack{
		name: name, about: about, kinds: []string{"CVE-2016-9962"}, race: true, needs: needs,
		defences: []defence.Name{defence.WaitingCapabilities},
		mount: func(t *try) string {
			b := t.attacker("trace-others", "/attacked")
			b.capabilities("CAP_SYS_PTRACE")
			change(b)
			b.start()
			for i := range t.times(100) {
				b.exec("true")
				if fileExists(b.root("attacked")) {
					return fmt.Sprintf("the process made a device node, in try %d", i+1)
				}
				if fileExists(b.root("named")) {
					return fmt.Sprintf("the process had CAP_SYS_ADMIN, in try %d", i+1)
				}
			}
			return ""
		},
	}
}

// traceOthers attaches to the first new process that has more rights than this one, and
// makes it create a device node.
func traceOthers(args []string) error {
	goruntime.LockOSThread()
	own := statusField(os.Getpid(), "CapPrm")
	for {
		for pid := 2; pid < 400; pid++ {
			if unix.PtraceSeize(pid) != nil {
				continue
			}
			if statusField(pid, "CapPrm") > own {
				if err := injectSeized(pid, args[0]); err == nil {
					return nil
				}
				if name, err := os.Hostname(); err == nil && name == injectedName {
					return os.WriteFile("/named", nil, 0o644)
				}
			}
			// Only a stopped one can be resumed.
			_ = unix.PtraceInterrupt(pid)
			var ws unix.WaitStatus
			_, _ = unix.Wait4(pid, &ws, unix.WALL, nil)
			_ = unix.PtraceDetach(pid)
		}
	}
}
