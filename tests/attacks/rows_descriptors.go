package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
	"golang.org/x/sys/unix"
)

// Open descriptors of the runtime or its caller must not reach the container:
// CVE-2024-21626.

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
		about:    "hooks of all kinds find descriptors besides their standard streams",
		kinds:    []string{"13.1"},
		defences: []defence.Name{defence.InheritedFiles},
		mount:    leakedToHooks,
	},
	{
		name:     "leaked-descriptor-args",
		about:    "process.args[0] is a program of the host below a directory that the caller has open",
		kinds:    []string{"CVE-2024-21626"},
		defences: []defence.Name{defence.InheritedFiles},
		mount: func(t *try) string {
			b := t.bundle(fmt.Sprintf("/proc/self/fd/%d/../host/%s", leakedNumber, attackerName), "say")
			t.leak()
			return tell(b.run(), secret, "the host's program ran in the container")
		},
	},
	{
		name:     "descriptors-everywhere",
		about:    "a process has more descriptors than it needs: a created container, its process, a process of exec, or the keeper of run",
		kinds:    []string{"13.1", "13.3"},
		defences: []defence.Name{defence.InheritedFiles},
		ours:     true,
		mount:    descriptorsEverywhere,
	},
	{
		name:     "descriptors-created",
		about:    "a created container still has descriptors of the setup while it waits",
		kinds:    []string{"13.3"},
		defences: []defence.Name{defence.OwnFiles},
		ours:     true,
		mount: func(t *try) string {
			b := t.script("true")
			b.create()
			return surplus(b.pid(), waitingNeeds)
		},
	},
	{
		name:     "own-descriptor-run",
		about:    "the entry point is a script for an interpreter below a directory that the runtime itself has open",
		kinds:    []string{"CVE-2024-21626"},
		defences: []defence.Name{defence.OwnFiles},
		mount: func(t *try) string {
			b := t.bundle("/entry")
			b.bind(t.mkdir(t.host("given")), "/given")
			return b.ownDescriptors(func() result { return b.run() })
		},
	},
	{
		name:     "own-descriptor-exec",
		about:    "the same by exec",
		kinds:    []string{"CVE-2024-21626"},
		defences: []defence.Name{defence.OwnFiles},
		mount: func(t *try) string {
			b := t.script("sleep 100")
			b.start()
			return b.ownDescriptors(func() result { return b.exec("/entry") })
		},
	},
	{
		name:     "own-descriptor-cwd",
		about:    "process.cwd is a directory that the runtime itself has open",
		kinds:    []string{"CVE-2024-21626"},
		defences: []defence.Name{defence.OwnFiles, defence.WorkingDirectory},
		mount: func(t *try) string {
			b := t.script("pwd -P; ls; ls ..; ls ../..; ls ../../.." + strings.Repeat("/..", 8))
			b.write(b.root("inside"), "")
			t.write(t.host("marker-of-the-host"), "")
			b.userNamespace(hostID)
			b.bind(t.mkdir(t.host("given")), "/given")
			for fd := 3; fd < 16; fd++ {
				b.spec.Process.Cwd = fmt.Sprintf("/proc/self/fd/%d", fd)
				if r := b.run(); r.code == 0 && r.stdout != "" {
					return "the working directory is the runtime's descriptor " + b.spec.Process.Cwd
				}
			}
			return ""
		},
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
const leakedNumber = 99 // after those that a runtime opens itself

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

// leakedDescriptor makes a bundle with a script /entry whose interpreter is the host's
// program.
func (t *try) leakedDescriptor(args ...string) *bundle {
	b := t.bundle(args...)
	t.leak()
	t.must(os.Remove(b.root("bin", attackerName)))
	t.write(b.root("entry"), fmt.Sprintf("#!/proc/self/fd/%d/%s say\n", leakedNumber, attackerName))
	return b
}

// allHooks are all kinds of hooks.
var allHooks = map[string]func(*specs.Hooks) *[]specs.Hook{
	"prestart":        func(h *specs.Hooks) *[]specs.Hook { return &h.Prestart },
	"createRuntime":   func(h *specs.Hooks) *[]specs.Hook { return &h.CreateRuntime },
	"createContainer": func(h *specs.Hooks) *[]specs.Hook { return &h.CreateContainer },
	"startContainer":  func(h *specs.Hooks) *[]specs.Hook { return &h.StartContainer },
	"poststart":       func(h *specs.Hooks) *[]specs.Hook { return &h.Poststart },
	"poststop":        func(h *specs.Hooks) *[]specs.Hook { return &h.Poststop },
}

// leakedToHooks gives the container hooks of all kinds that look for the leaked
// descriptor.
func leakedToHooks(t *try) string {
	b := t.script("true")
	t.leak()
	found := t.mkdir(filepath.Join(b.dir, "found"))
	b.bind(found, "/found")
	hook := func(kind, directory string) []specs.Hook {
		// The shell may hold one for itself while it looks.
		script := fmt.Sprintf("exec > %s/%s; for f in 3 4 5 6 7 8 9 %d; do if [ -e /proc/self/fd/$f ]; then echo $f; fi; done", directory, kind, leakedNumber)
		return []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", script}}}
	}
	h := new(specs.Hooks)
	b.spec.Hooks = h
	for kind, list := range allHooks {
		directory := found
		if kind == "startContainer" {
			directory = "/found"
		}
		*list(h) = hook(kind, directory)
	}
	b.run()
	entries, err := os.ReadDir(found)
	t.must(err)
	if t.ours() && len(entries) < len(allHooks) {
		t.fail("%d hooks ran", len(entries))
	}
	var kinds []string
	for _, e := range entries {
		if found := strings.Fields(read(filepath.Join(found, e.Name()))); len(found) > 0 {
			kinds = append(kinds, e.Name()+" has "+strings.Join(found, " "))
		}
	}
	return strings.Join(kinds, ", ")
}

// ownDescriptors runs scripts whose interpreters are below one descriptor after the other.
func (b *bundle) ownDescriptors(run func() result) string {
	for fd := 3; fd < 16; fd++ {
		b.must(os.RemoveAll(b.root("entry")))
		b.write(b.root("entry"), fmt.Sprintf("#!/proc/self/fd/%d/bin/%s say\n", fd, attackerName))
		if strings.Contains(run().stdout, secret) {
			return fmt.Sprintf("the image used the runtime's descriptor %d", fd)
		}
	}
	return ""
}

// waitingNeeds are the descriptors, besides the standard streams, that the wait for the
// start needs: a socket.
var waitingNeeds = []string{"socket:"}

// surplus are descriptors that a process keeps beyond the standard streams and one of each
// kind that it needs. A created container still closes the one by which it has reported
// that it is created.
func surplus(pid int, needs []string) (list string) {
	for range 20 {
		if list = surplusNow(pid, needs); list == "" {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return list
}

func surplusNow(pid int, needs []string) string {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		panic(broken{err})
	}
	needs = slices.Clone(needs)
	var more []string
	for _, e := range entries {
		if n := e.Name(); n == "0" || n == "1" || n == "2" {
			continue
		}
		target, _ := os.Readlink(filepath.Join(dir, e.Name()))
		i := slices.IndexFunc(needs, func(kind string) bool { return strings.HasPrefix(target, kind) })
		if i < 0 {
			more = append(more, e.Name()+" "+target)
			continue
		}
		needs = slices.Delete(needs, i, i+1)
	}
	return strings.Join(more, ", ")
}

// descriptorsEverywhere lists the descriptors of a process of every phase.
func descriptorsEverywhere(t *try) string {
	b := t.script("sleep 100")
	t.leak()
	b.create()
	pid := b.pid()
	if s := surplus(pid, waitingNeeds); s != "" {
		return "a created container has " + s
	}
	b.do("start", b.id)
	if s := surplus(pid, nil); s != "" {
		return "the container's process has " + s
	}
	pidFile := t.host("pid")
	b.do("exec", "--detach", "--pid-file", pidFile, b.id, "sleep", "100")
	if pid, err := strconv.Atoi(read(pidFile)); err != nil {
		return "exec failed"
	} else if s := surplus(pid, nil); s != "" {
		return "the process of exec has " + s
	}
	b.remove()
	b.save()
	cmd := b.command("run", "--bundle", b.dir, b.id)
	t.must(cmd.Start())
	stays := fmt.Sprintf("/proc/%d/exe", cmd.Process.Pid)
	t.await("a small program takes the place of run", func() bool {
		exe, _ := os.Readlink(stays)
		return exe != t.Path
	})
	state := filepath.Join(t.Dir, "state")
	if s := surplus(cmd.Process.Pid, []string{"anon_inode:[pidfd]", "pidfd:", state, "anon_inode:[signalfd]"}); s != "" {
		return "what stays of run has " + s
	}
	return ""
}
