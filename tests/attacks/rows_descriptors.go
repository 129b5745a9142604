package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
	"golang.org/x/sys/unix"
)

// What the caller of a runtime, or the runtime itself, has open must not reach the
// container: CVE-2024-21626.

var descriptorAttacks = []attack{
	{
		name:     "leaked-descriptor-run",
		about:    "the image's entry point is a script for an interpreter below a directory of the host that the caller of run has open",
		kinds:    []string{"13.1", "CVE-2024-21626"},
		defences: []defence.Name{defence.InheritedFiles},
		mount: func(t *try) string {
			b := t.leakedDescriptor("/entry")
			return tell(b.run(), secret, "the host's program ran in the container")
		},
	},
	{
		name:     "leaked-descriptor-exec",
		about:    "the same by exec",
		kinds:    []string{"13.1", "CVE-2024-21626"},
		defences: []defence.Name{defence.InheritedFiles},
		mount: func(t *try) string {
			b := t.leakedDescriptor("sleep", "100")
			b.start()
			return tell(b.exec("/entry"), secret, "the host's program ran in the container")
		},
	},
	{
		name:     "leaked-descriptor-cwd",
		about:    "process.cwd is a directory of the host that the caller has open",
		kinds:    []string{"13.1", "CVE-2024-21626"},
		defences: []defence.Name{defence.InheritedFiles, defence.WorkingDirectory},
		mount: func(t *try) string {
			b := t.script("cat secret ../host/secret")
			t.leak()
			b.spec.Process.Cwd = fmt.Sprintf("/proc/self/fd/%d", leakedNumber)
			return tell(b.run(), secret, "a file of the host was read")
		},
	},
	{
		name:     "leaked-descriptor-hooks",
		about:    "hooks of all kinds find what the caller has open",
		kinds:    []string{"13.1"},
		defences: []defence.Name{defence.InheritedFiles},
		mount:    leakedToHooks,
	},
	{
		name:     "preserved-descriptor-cwd",
		about:    "process.cwd is a directory of the host that was passed with --preserve-fds",
		kinds:    []string{"CVE-2024-21626"},
		defences: []defence.Name{defence.WorkingDirectory},
		mount: func(t *try) string {
			b := t.script("cat secret")
			t.write(t.host("secret"), secret)
			dir, err := os.Open(t.host())
			t.must(err)
			defer dir.Close()
			b.spec.Process.Cwd = "/proc/self/fd/3"
			b.save()
			cmd := b.command("run", "--bundle", b.dir, "--preserve-fds", "1", b.id)
			cmd.ExtraFiles = []*os.File{dir}
			return tell(b.execute(cmd, commandTime), secret, "a file of the host was read")
		},
	},
}

// leakedNumber is the descriptor that the caller of the runtime leaves open.
const leakedNumber = 20

// leak leaves a directory of the host open, with a program and a secret.
func (t *try) leak() {
	t.write(t.host("secret"), secret)
	if !fileExists(t.host(attackerName)) {
		t.must(copyFile(filepath.Join(t.Scratch, attackerName), t.host(attackerName)))
	}
	fd, err := unix.Open(t.host(), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	t.must(err)
	t.must(unix.Dup2(fd, leakedNumber)) // not close-on-exec
	unix.Close(fd)
}

// leakedDescriptor makes a bundle with a script /entry that the host's program is
// to interpret.
func (t *try) leakedDescriptor(args ...string) *bundle {
	b := t.bundle(args...)
	t.leak()
	t.must(os.Remove(b.root("bin", attackerName)))
	t.write(b.root("entry"), fmt.Sprintf("#!/proc/self/fd/%d/%s say\n", leakedNumber, attackerName))
	return b
}

// leakedToHooks gives the container hooks of all kinds that look for the leaked
// descriptor.
func leakedToHooks(t *try) string {
	b := t.script("true")
	t.leak()
	found := t.mkdir(filepath.Join(b.dir, "found"))
	b.bind(found, "/found")
	hook := func(kind, shell, directory string) []specs.Hook {
		script := fmt.Sprintf("if [ -e /proc/self/fd/%d/secret ]; then echo > %s/%s; fi", leakedNumber, directory, kind)
		return []specs.Hook{{Path: shell, Args: []string{"sh", "-c", script}}}
	}
	b.spec.Hooks = &specs.Hooks{
		Prestart:        hook("prestart", "/bin/sh", found),
		CreateRuntime:   hook("createRuntime", "/bin/sh", found),
		CreateContainer: hook("createContainer", "/bin/sh", found),
		StartContainer:  hook("startContainer", "/bin/sh", "/found"),
		Poststart:       hook("poststart", "/bin/sh", found),
		Poststop:        hook("poststop", "/bin/sh", found),
	}
	if r := b.run(); r.code != 0 {
		t.fail("%s", r.stderr)
	}
	entries, err := os.ReadDir(found)
	t.must(err)
	var kinds []string
	for _, e := range entries {
		kinds = append(kinds, e.Name())
	}
	if len(kinds) == 0 {
		return ""
	}
	return "found by " + strings.Join(kinds, ", ")
}
