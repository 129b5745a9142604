package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// rt must not lose what a configuration asks for, and must limit its size.

var configurationAttacks = []attack{
	{
		name:     "bind-option-misspelt",
		about:    "a bind mount with the option readonly is mounted writable",
		kinds:    []string{"13.12"},
		defences: []defence.Name{defence.UnknownOptions},
		mount:    func(t *try) string { return t.writesToBind("rbind", "readonly") },
	},
	{
		name:     "bind-option-case",
		about:    `a bind mount with the option RO is mounted writable`,
		kinds:    []string{"13.12"},
		defences: []defence.Name{defence.UnknownOptions},
		mount:    func(t *try) string { return t.writesToBind("rbind", "RO") },
	},
	{
		name:     "member-case",
		about:    `root.readOnly, with a capital letter, leaves the root file system writable`,
		kinds:    []string{"13.13"},
		defences: []defence.Name{defence.FoldedMembers},
		mount: func(t *try) string {
			b := t.script("touch /made")
			b.spec.Root.Readonly = true
			b.runText(func(s string) string { return strings.Replace(s, `"readonly": true`, `"readOnly": true`, 1) })
			return b.madeInside("made")
		},
	},
	{
		name:     "member-case-no-new-privileges",
		about:    `process.NoNewPrivileges, with a capital letter, does not stop set-user-ID programs`,
		kinds:    []string{"13.13"},
		defences: []defence.Name{defence.FoldedMembers},
		mount: func(t *try) string {
			b := t.script("grep NoNewPrivs /proc/self/status")
			r := b.runText(func(s string) string { return strings.Replace(s, `"noNewPrivileges"`, `"NoNewPrivileges"`, 1) })
			if fields := strings.Fields(r.stdout); len(fields) == 2 && fields[1] == "0" {
				return "no_new_privs is not set"
			}
			return ""
		},
	},
	{
		name:     "huge-string",
		about:    "a configuration has a string of 256 MiB",
		kinds:    []string{"13.19"},
		defences: []defence.Name{defence.Limits},
		ours:     true,
		patience: 2 * minute,
		mount: func(t *try) string {
			b := t.script("true")
			b.spec.Annotations = map[string]string{"huge": "HUGE"}
			r := b.runText(func(s string) string { return strings.Replace(s, "HUGE", strings.Repeat("x", 256<<20), 1) })
			return accepted(r)
		},
	},
	{
		name:     "many-device-rules",
		view:     "v1",
		about:    "a configuration has 100,000 device rules",
		kinds:    []string{"13.19"},
		defences: []defence.Name{defence.Limits},
		ours:     true,
		patience: 2 * minute,
		mount: func(t *try) string {
			b := t.script("true")
			for n := range int64(100000) {
				b.spec.Linux.Resources.Devices = append(b.spec.Linux.Resources.Devices, specs.LinuxDeviceCgroup{Allow: n%2 == 0, Type: "c", Major: &n, Access: "r"})
			}
			return accepted(b.run())
		},
	},
	{
		name:     "many-filter-rules",
		about:    "a configuration has 100,000 seccomp rules",
		kinds:    []string{"13.19"},
		defences: []defence.Name{defence.Limits},
		ours:     true,
		patience: 2 * minute,
		mount: func(t *try) string {
			b := t.script("true")
			b.filter("mkdir")
			for range 100000 {
				b.spec.Linux.Seccomp.Syscalls = append(b.spec.Linux.Seccomp.Syscalls, specs.LinuxSyscall{Names: []string{"ptrace"}, Action: specs.ActErrno})
			}
			return accepted(b.run())
		},
	},
	{
		name:     "netlink-overflow",
		about:    "the new name of a network device is so long that its length overflows, and the kernel reads the rest of it as further attributes",
		kinds:    []string{"CVE-2021-43784"},
		defences: []defence.Name{defence.NetlinkLengths},
		ours:     true,
		mount:    netlinkOverflow,
	},
}

// accepted is evidence if rt has accepted a configuration, or has taken long to refuse it.
func accepted(r result) string {
	switch {
	case r.late:
		return fmt.Sprintf("still at work after %v", commandTime)
	case r.code == 0:
		return "the container ran"
	case r.took > 5*time.Second:
		return fmt.Sprintf("refused after %v only", r.took)
	case r.memory > 1<<30:
		return fmt.Sprintf("refused, after %d MiB of memory were used", r.memory>>20)
	}
	return ""
}

// runText runs the container with a configuration whose text is changed.
func (b *bundle) runText(change func(string) string) result {
	b.save()
	name := filepath.Join(b.dir, spec.ConfigName)
	text := read(name)
	changed := change(text)
	if text == changed {
		b.fail("the configuration did not change")
	}
	b.write(name, changed)
	return b.do("run", "--bundle", b.dir, b.id)
}

// writesToBind lets a container write to a bind mount with options that should
// forbid it.
func (t *try) writesToBind(options ...string) string {
	b := t.script("echo attacked > /volume/file")
	file := t.write(t.host("volume", "file"), "original")
	b.bind(filepath.Dir(file), "/volume", options...)
	b.run()
	if strings.TrimSpace(read(file)) == "attacked" {
		return "a file of the volume was changed"
	}
	return ""
}

// netlinkOverflow gives a network device a name of 64 KiB.
func netlinkOverflow(t *try) string {
	// A network namespace of the attack stands for the host's.
	goruntime.LockOSThread()
	t.must(unix.Unshare(unix.CLONE_NEWNET))
	if out, err := exec.Command("ip", "link", "add", "attack0", "type", "veth", "peer", "name", "attack1").CombinedOutput(); err != nil {
		t.fail("ip: %v: %s", err, out)
	}
	b := t.script("cat /sys/class/net/*/mtu")
	const (
		attribute = 4 // struct rtattr
		mtu       = "\x08\x00\x04\x00\x01\x05\x00\x00"
		visible   = 8 // length of the attribute that the kernel sees, without its head
	)
	name := "eth9" + strings.Repeat("\x00", visible-len("eth9")) + mtu
	total := 1<<16 + visible
	name += "\x04\x00\x00\x00" // and one of kind 0, to the end
	name += strings.Repeat("\x00", total-len(name)-1)
	b.spec.Linux.NetDevices = map[string]specs.LinuxNetDevice{"attack0": {Name: name}}
	b.spec.Version = "1.3.0"
	return tell(b.run(), "1281", "the kernel took a part of the name for the device's MTU")
}
