package integration

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// What users of runc and crun rely on, beyond the specification.

// A terminal belongs to the process's session, whichever namespaces are new, joined or the
// host's.
func TestTerminalInEveryNamespace(t *testing.T) {
	_, path := holder(t, specs.PIDNamespace)
	mounts := mountHolder(t)
	users, usersPath := userHolder(t)
	for _, pid := range []string{"new", "joined", "host"} {
		for _, user := range []string{"new", "joined", "host"} {
			for _, mnt := range []string{"new", "joined"} {
				if user != "host" && mnt == "joined" {
					continue // a user namespace may not change that mount namespace, which is the host's
				}
				t.Run(fmt.Sprintf("pid=%s,user=%s,mnt=%s", pid, user, mnt), func(t *testing.T) {
					b := newBundle(t, "tty && test -t 0 && sh -c 'echo for the session > /dev/tty'; sleep 1000")
					b.spec.Process.Terminal = true
					b.spec.Linux.MaskedPaths, b.spec.Linux.ReadonlyPaths = nil, nil
					place := func(typ specs.LinuxNamespaceType, how, joined string) {
						b.spec.Linux.Namespaces = slices.DeleteFunc(b.spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == typ })
						switch how {
						case "new":
							b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: typ})
						case "joined":
							b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: typ, Path: joined})
						}
					}
					place(specs.PIDNamespace, pid, path(specs.PIDNamespace))
					place(specs.MountNamespace, mnt, mounts)
					place(specs.UserNamespace, user, usersPath)
					if user != "host" {
						mapped(b)
						// Only the owner of a pid namespace may mount its procfs.
						b.spec.Mounts = slices.DeleteFunc(b.spec.Mounts, func(m specs.Mount) bool { return pid != "new" && m.Type == "proc" })
					}
					if user == "joined" {
						b.spec.Linux.UIDMappings, b.spec.Linux.GIDMappings = users.spec.Linux.UIDMappings, users.spec.Linux.GIDMappings
					}
					b.write()
					term := newTerminal(t)
					wait := term.start(t, b.command("run", b.id))
					term.expect(t, "/dev/")
					term.expect(t, "for the session")
					other := newTerminal(t)
					otherWait := other.start(t, b.command("exec", "--tty", b.id, "sh", "-c", "echo in exec > /dev/tty; exit 5"))
					other.expect(t, "in exec")
					want(t, "exit status of exec", fmt.Sprint(otherWait()), "5")
					b.ok("kill", b.id, "KILL")
					wait()
				})
			}
		}
	}
}

// mountHolder is a mount namespace like the host's.
func mountHolder(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("unshare", "-m", "--propagation", "private", "sleep", "1000")
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	own, err := os.Readlink("/proc/self/ns/mnt")
	must(t, err)
	path := fmt.Sprintf("/proc/%d/ns/mnt", cmd.Process.Pid)
	eventually(t, "the namespace", func() bool {
		link, err := os.Readlink(path)
		return err == nil && link != own
	})
	return path
}

// userHolder is a container with a user namespace of its own, and that namespace.
func userHolder(t *testing.T) (*bundle, string) {
	b := newBundle(t, "sleep 1000")
	b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	mapped(b)
	b.create()
	return b, fmt.Sprintf("/proc/%d/ns/user", b.state().Pid)
}

// The output of a terminal is a stream with plain line ends.
func TestLineEndsOfATerminal(t *testing.T) {
	b := newBundle(t, "echo one; echo two")
	b.spec.Process.Terminal = true
	b.write()
	want(t, "output", b.ok("run", b.id), "one\ntwo")
}

// If a peer goes away, the error names it, and nothing hangs.
func TestPeersThatClose(t *testing.T) {
	for _, c := range []struct {
		flag   string
		change func(b *bundle, socket string)
	}{
		{"--console-socket", func(b *bundle, _ string) { b.spec.Process.Terminal = true }},
		{"--pidfd-socket", func(*bundle, string) {}},
		{"linux.seccomp.listenerPath", func(b *bundle, socket string) {
			b.spec.Linux.Seccomp = &specs.LinuxSeccomp{
				DefaultAction: specs.ActAllow, ListenerPath: socket,
				Syscalls: []specs.LinuxSyscall{{Names: []string{"mkdir"}, Action: specs.ActNotify}},
			}
		}},
	} {
		for _, command := range [][]string{{"create"}, {"run", "--detach"}} {
			t.Run(c.flag+" "+command[0], func(t *testing.T) {
				b := newBundle(t, "sleep 1000")
				path := filepath.Join(b.dir, "socket")
				listener, err := net.Listen("unix", path)
				must(t, err)
				defer listener.Close()
				go func() {
					for {
						conn, err := listener.Accept()
						if err != nil {
							return
						}
						// Unread data makes it a reset, otherwise a plain end.
						conn.Close()
					}
				}()
				c.change(b, path)
				b.write()
				args := slices.Clone(command)
				if strings.HasPrefix(c.flag, "--") {
					args = append(args, c.flag, path)
				}
				r := b.rt(append(args, b.id)...)
				if r.code == 0 { // the kernel had taken the message before the peer went away
					b.ok("delete", "--force", b.id)
				} else if !strings.Contains(r.stderr, c.flag) {
					t.Errorf("%s is not named: %s", c.flag, r.stderr)
				}
				b.noTrace()
			})
		}
	}
}

// Preserved descriptors that are not open stay closed.
func TestPreservedDescriptorsWithGaps(t *testing.T) {
	const script = "for n in 3 4 5 6; do readlink /proc/self/fd/$n > /dev/null && echo $n; done; cat <&5"
	b := newBundle(t, script)
	b.write()
	file := filepath.Join(b.dir, "five")
	must(t, os.WriteFile(file, []byte("five\n"), 0o644))
	in := running(t)
	for _, args := range [][]string{
		{"--root", b.root, "run", "--preserve-fds", "4", "--bundle", b.dir, b.id},
		{"--root", in.root, "exec", "--preserve-fds", "4", in.id, "sh", "-c", script},
	} {
		cmd := exec.Command("sh", append([]string{"-c", `exec "$@" 5< ` + file, "sh", rtPath}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil || string(out) != "5\nfive\n" {
			t.Errorf("%v: %v: %q", args, err, out)
		}
	}
}

// Signals that end a process also end a created container.
func TestSignalsToACreatedContainer(t *testing.T) {
	for _, name := range []string{"TERM", "INT", "HUP", "QUIT", "USR1", "KILL"} {
		b := newBundle(t, "sleep 1000")
		b.create()
		b.ok("kill", b.id, "WINCH")
		want(t, "status", string(b.state().Status), "created")
		b.ok("kill", b.id, name)
		b.waitFor(specs.StateStopped)
		b.ok("delete", b.id)
		b.noTrace()
	}
}

// The processes of a container without a pid namespace are killed when the first one has
// gone, too.
func TestKillWhatTheFirstProcessLeft(t *testing.T) {
	b := newBundle(t, "sleep 1000 & sleep 1001 & exit 0")
	shareHostPids(b)
	b.write()
	b.ok("run", "--detach", b.id)
	b.waitFor(specs.StateStopped)
	if len(b.processes()) == 0 {
		t.Fatal("nothing is left to be ended")
	}
	b.ok("kill", b.id, "KILL")
	eventually(t, "the end of the others", func() bool { return len(b.processes()) == 0 })
	// The kernel removes a process's arguments before it removes the process from its
	// cgroup.
	eventually(t, "an empty cgroup", func() bool { return b.rt("kill", b.id, "KILL").code != 0 })
	b.fails([]string{"container not running"}, "kill", b.id, "KILL")
	b.ok("delete", b.id)
	b.noTrace()
}

// If there is no cgroup either, rt finds no process, and kill says so.
func TestKillWithoutACgroup(t *testing.T) {
	b := newBundle(t, "true")
	shareHostPids(b)
	b.write()
	b.ok("--cgroup-manager", "disabled", "run", "--detach", b.id)
	b.waitFor(specs.StateStopped)
	b.fails([]string{b.id, "container not running"}, "kill", b.id, "KILL")
	b.ok("delete", b.id)
}

// shareHostPids leaves the container in the pid namespace of the tests.
func shareHostPids(b *bundle) {
	b.spec.Linux.Namespaces = slices.DeleteFunc(b.spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.PIDNamespace })
	if unprivileged {
		// Only the owner of a pid namespace may mount its procfs.
		b.spec.Mounts = slices.DeleteFunc(b.spec.Mounts, func(m specs.Mount) bool { return m.Type == "proc" })
	}
}

// Whatever CPUs and signals the caller keeps to itself, the container has all.
func TestCallersMasks(t *testing.T) {
	taskset, err := exec.LookPath("taskset")
	must(t, err)
	const script = "grep -E 'Cpus_allowed:|SigBlk|SigIgn' /proc/self/status"
	b := newBundle(t, script)
	b.write()
	before := strings.TrimSpace(b.ok("run", b.id))
	in := running(t)
	narrow := func(b *bundle, args ...string) string {
		cmd := exec.Command(taskset, append([]string{"0x1", rtPath, "--root", b.root}, args...)...)
		cmd.Dir = b.dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	want(t, "masks in run", narrow(b, "run", "--bundle", b.dir, b.id), before)
	want(t, "masks in exec", narrow(in, "exec", in.id, "sh", "-c", script), before)
	if !strings.Contains(before, "SigBlk:\t0000000000000000") {
		t.Error(before)
	}
}

func TestEmptyHomeIsNone(t *testing.T) {
	b := newBundle(t, "echo $HOME")
	must(t, os.MkdirAll(b.path("etc"), 0o755))
	must(t, os.WriteFile(b.path("etc/passwd"), []byte("root:x:0:0::/there:/bin/sh\n"), 0o644))
	b.spec.Process.Env = append(b.spec.Process.Env, "HOME=")
	want(t, "HOME", b.run(), "/there")
}

// Hooks without env inherit rt's environment or, in the container, the process's. An empty
// one is empty.
func TestEnvironmentOfHooks(t *testing.T) {
	t.Setenv("RT_TEST_HOOK", "inherited")
	b := newBundle(t, "true")
	out := filepath.Join(b.dir, "out")
	must(t, os.WriteFile(out, nil, 0o666))
	must(t, os.Chmod(out, 0o666))
	b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/out", Type: "bind", Source: out, Options: []string{"bind"}})
	hook := func(name, file string, env []string) specs.Hook {
		return specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", "echo " + name + " $RT_TEST_HOOK $INSIDE >> " + file}, Env: env}
	}
	b.spec.Process.Env = append(b.spec.Process.Env, "INSIDE=process")
	b.spec.Hooks = &specs.Hooks{
		CreateRuntime:  []specs.Hook{hook("createRuntime", out, nil), hook("empty", out, []string{})},
		StartContainer: []specs.Hook{hook("startContainer", "/out", nil), hook("empty", "/out", []string{})},
		Poststart:      []specs.Hook{hook("poststart", out, nil), hook("empty", out, []string{})},
		Poststop:       []specs.Hook{hook("poststop", out, nil), hook("empty", out, []string{})},
	}
	b.write()
	config := filepath.Join(b.dir, "config.json")
	text, err := os.ReadFile(config)
	must(t, err)
	// Go leaves an empty list out.
	text = []byte(strings.ReplaceAll(string(text), `"echo empty`, `"true"], "env": [], "args": ["sh", "-c", "echo empty`))
	must(t, os.WriteFile(config, text, 0o644))
	b.ok("create", "--bundle", b.dir, b.id)
	b.ok("start", b.id)
	b.waitFor(specs.StateStopped)
	b.ok("delete", b.id)
	got, err := os.ReadFile(out)
	must(t, err)
	want(t, "environments", string(got), "createRuntime inherited\nempty\nstartContainer process\nempty\npoststart inherited\nempty\npoststop inherited\nempty")
}

// A limit of the process does not limit rt's own work.
func TestSmallestLimits(t *testing.T)        { smallestLimits(t, 0) }
func TestSmallestLimitsOfAUser(t *testing.T) { smallestLimits(t, 1000) }

func smallestLimits(t *testing.T, user uint32) {
	for _, typ := range []string{"NOFILE", "FSIZE", "NPROC", "CORE", "LOCKS", "MEMLOCK", "MSGQUEUE", "NICE", "RTPRIO", "SIGPENDING", "RSS"} {
		for _, value := range []uint64{0, 1, 3} {
			if typ == "NOFILE" && value == 0 {
				continue // not even execve(2) works then
			}
			b := newBundle(t, "exec sleep 1000")
			b.spec.Process.Args = []string{"/bin/sleep", "1000"}
			b.spec.Process.User = specs.User{UID: user, GID: user}
			b.spec.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_" + typ, Soft: value, Hard: value}}
			b.write()
			if r := b.rt("create", b.id); r.code != 0 { // not everybody may raise it
				if !strings.Contains(r.stderr, typ) {
					t.Errorf("%s %d: %s", typ, value, r.stderr)
				}
				b.noTrace()
				continue
			}
			if r := b.rt("start", b.id); r.code != 0 {
				if !strings.Contains(r.stderr, typ) {
					t.Errorf("%s %d: %s", typ, value, r.stderr)
				}
				b.ok("delete", "--force", b.id)
				continue
			}
			time.Sleep(20 * time.Millisecond)
			want(t, fmt.Sprintf("status with %s %d", typ, value), string(b.state().Status), "running")
			if r := b.rt("exec", b.id, "/bin/true"); r.code != 0 {
				t.Errorf("exec with %s %d: %s", typ, value, r.stderr)
			}
			b.ok("delete", "--force", b.id)
			b.noTrace()
		}
	}
}

// If a caller's limit is too low for rt, the error names it, and nothing is left behind.
func TestLimitsOfTheCaller(t *testing.T) {
	prlimit, err := exec.LookPath("prlimit")
	must(t, err)
	b := newBundle(t, "true")
	b.write()
	nproc := "" // no limit for root
	if unprivileged {
		nproc = "RLIMIT_NPROC"
	}
	for _, c := range []struct{ limit, name string }{
		{"--fsize=0", "RLIMIT_FSIZE"}, {"--fsize=1000", "RLIMIT_FSIZE"}, {"--nofile=4:4", "RLIMIT_NOFILE"}, {"--nofile=11:11", "RLIMIT_NOFILE"},
		{"--core=0", ""}, {"--memlock=0", ""}, {"--msgqueue=0", ""}, {"--nice=0", ""}, {"--rtprio=0", ""}, {"--sigpending=0", ""}, {"--locks=0", ""},
		{"--nproc=0", nproc}, {"--nproc=1", nproc}, {"--nproc=5", nproc},
	} {
		cmd := b.command("run", b.id)
		cmd.Args = append([]string{prlimit, c.limit}, cmd.Args...)
		cmd.Path = prlimit
		out, err := cmd.CombinedOutput()
		switch {
		case c.name == "" && err != nil:
			t.Errorf("%s: %v: %s", c.limit, err, out)
		case c.name != "" && (err == nil || !strings.Contains(string(out), c.name) || strings.Count(string(out), "\n") != 1):
			t.Errorf("%s: %v: %s", c.limit, err, out)
		}
		b.noTrace()
	}
}

// In a user namespace a bind mount keeps the flags of the host's mount, whatever its
// options say: the kernel locks them (mount_namespaces(7)).
func TestLockedFlagsOfABindMount(t *testing.T) {
	src := "/sys/devices" // most machines mount a sysfs with these flags
	if !unprivileged {
		src = source(t, unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC)
	}
	var fs unix.Statfs_t
	must(t, unix.Statfs(src, &fs))
	locked := ""
	for _, f := range []struct {
		flag int64
		name string
	}{{unix.ST_NOSUID, ",nosuid"}, {unix.ST_NODEV, ",nodev"}, {unix.ST_NOEXEC, ",noexec"}} {
		if fs.Flags&f.flag != 0 {
			locked += f.name
		}
	}
	for _, c := range []struct{ options, want string }{
		{"", "rw"}, {"rw", "rw"}, {"ro", "ro"}, {"exec", "rw"}, {"suid,dev", "rw"}, {"rprivate", "rw"}, {"noatime", "rw"},
	} {
		b := newBundle(t, `awk '$5 == "/data" { print $6 }' /proc/self/mountinfo`)
		inUserNamespace(b)
		m := specs.Mount{Destination: "/data", Type: "bind", Source: src, Options: []string{"bind"}}
		if c.options != "" {
			m.Options = append(m.Options, c.options)
		}
		b.spec.Mounts = append(b.spec.Mounts, m)
		want(t, "flags with "+c.options, strings.TrimSuffix(strings.TrimSpace(b.run()), ",relatime"), c.want+locked)
	}
}

// source is a directory of the host with a mount of these flags on it.
func source(t *testing.T, flags uintptr) string {
	t.Helper()
	dir := t.TempDir()
	must(t, unix.Mount("tmpfs", dir, "tmpfs", flags, "size=1m"))
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// If no option sets or clears a flag, a bind mount has the flags of its source; otherwise
// it has exactly those of its options.
func TestFlagsOfABindMount(t *testing.T) {
	src := source(t, unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC)
	for _, c := range []struct{ options, want string }{
		{"", "rw,nosuid,nodev,noexec"}, {"rw", "rw"}, {"ro", "ro"}, {"nosuid", "rw,nosuid"}, {"exec", "rw"}, {"ro,noexec", "ro,noexec"},
		{"rprivate", "rw,nosuid,nodev,noexec"}, {"nodev,suid", "rw,nodev"}, {"noatime", "rw,noatime"},
	} {
		b := newBundle(t, `awk '$5 == "/data" { print $6 }' /proc/self/mountinfo`)
		options := []string{"bind"}
		if c.options != "" {
			options = append(options, c.options) // several in one string are several
		}
		b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/data", Type: "bind", Source: src, Options: options})
		got := strings.TrimSuffix(strings.TrimSpace(b.run()), ",relatime")
		want(t, "flags with "+c.options, got, c.want)
	}
}

// A read-only file system that has to be filled is filled.
func TestReadOnlyFileSystemsThatAreFilled(t *testing.T) {
	for name, c := range map[string]struct {
		change func(b *bundle)
		at     string
	}{
		"dev":     {func(b *bundle) { b.spec.Mounts[1].Options = append(b.spec.Mounts[1].Options, "ro") }, "/dev"},
		"dev rro": {func(b *bundle) { b.spec.Mounts[1].Options = append(b.spec.Mounts[1].Options, "rro") }, "/dev"},
		"console": {func(b *bundle) {
			b.spec.Mounts[1].Options = append(b.spec.Mounts[1].Options, "ro")
			b.spec.Process.Terminal = true
		}, "/dev"},
		"mount": {func(b *bundle) { b.spec.Mounts = append(b.spec.Mounts, tmpfsMount("/t", "ro"), tmpfsMount("/t/a/b")) }, "/t"},
		"cwd": {func(b *bundle) {
			b.spec.Mounts = append(b.spec.Mounts, tmpfsMount("/t", "ro"))
			b.spec.Process.Cwd = "/t/there"
		}, "/t"},
		"mode":      {func(b *bundle) { b.spec.Mounts = append(b.spec.Mounts, tmpfsMount("/t", "ro", "mode=711")) }, "/t"},
		"tmpcopyup": {func(b *bundle) { b.spec.Mounts = append(b.spec.Mounts, tmpfsMount("/bin", "ro", "tmpcopyup")) }, "/bin"},
		"cgroup":    {func(b *bundle) { b.spec.Mounts[6].Options = []string{"rro"} }, "/sys/fs/cgroup"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t, "")
			c.change(b)
			b.isReadOnly(c.at)
		})
	}
}

func TestReadOnlyFileSystemWithADevice(t *testing.T) {
	b := newBundle(t, "")
	b.spec.Mounts = append(b.spec.Mounts, tmpfsMount("/t", "ro"))
	b.spec.Linux.Devices = []specs.LinuxDevice{{Path: "/t/null", Type: "c", Major: 1, Minor: 3}}
	b.isReadOnly("/t")
}

// isReadOnly runs the container and fails the test if it can write to the directory.
func (b *bundle) isReadOnly(dir string) {
	b.t.Helper()
	b.spec.Process.Args[2] = "touch " + dir + "/x 2> /dev/null && echo writable; ls -d " + dir
	want(b.t, "output", b.run(), dir)
}

// A source in the root file system that an earlier mount provides.
func TestSourceThatAMountBrings(t *testing.T) {
	b := newBundle(t, "echo yes > /a/file; cat /b/file")
	b.spec.Mounts = append(b.spec.Mounts,
		specs.Mount{Destination: "/a", Type: "tmpfs", Source: "tmpfs"},
		specs.Mount{Destination: "/b", Type: "bind", Source: b.path("a"), Options: []string{"rbind"}})
	want(t, "output", b.run(), "yes")
}

// Without a cgroup namespace the path of /proc/self/cgroup exists.
func TestCgroupsOfTheHost(t *testing.T) {
	b := newBundle(t, `while IFS=: read n c p; do case "$n:$c" in 0:) test -d /sys/fs/cgroup$p && echo unified; esac; done < /proc/self/cgroup; grep -c cgroup2 /proc/self/mountinfo`)
	b.spec.Linux.Namespaces = slices.DeleteFunc(b.spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.CgroupNamespace })
	b.spec.Mounts[6].Type = "cgroup2" // also where /sys/fs/cgroup is a hybrid
	before := cgroupOptions(t)
	defer func() { want(t, "options of the host's cgroups", cgroupOptions(t), before) }()
	// containerd repeats the host's options for privileged pods.
	for _, more := range [][]string{nil, {"nsdelegate", "memory_recursiveprot"}} {
		b.spec.Mounts[6].Options = append(b.spec.Mounts[6].Options, more...)
		if out := lines(b.run()); len(out) != 2 || out[0] != "unified" || out[1] != "1" {
			t.Errorf("%q: %q", more, out)
		}
	}
}

// cgroupOptions are the options that the host's cgroup v2 is mounted with.
func cgroupOptions(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	for line := range strings.Lines(string(data)) {
		if _, options, ok := strings.Cut(line, " - cgroup2 "); ok {
			return strings.TrimSpace(options)
		}
	}
	return ""
}

// Symlinks as sources and destinations, with crun's options; the run can be repeated.
func TestMountsOfSymlinks(t *testing.T) {
	b := newBundle(t, "readlink /copied; readlink /itself; cat /covered /plain")
	link, file := filepath.Join(b.dir, "link"), filepath.Join(b.dir, "file")
	must(t, os.WriteFile(file, []byte("content\n"), 0o644))
	must(t, os.Symlink("/bin/there", link))
	must(t, os.Symlink("/no/where", b.path("covered")))
	bind := func(destination, source string, options ...string) specs.Mount {
		return specs.Mount{Destination: destination, Type: "bind", Source: source, Options: append([]string{"bind"}, options...)}
	}
	b.spec.Mounts = append(b.spec.Mounts, bind("/copied", link, "copy-symlink"), bind("/plain", file, "copy-symlink"),
		bind("/itself", link, "src-nofollow"), bind("/covered", file, "dest-nofollow"))
	for range 2 {
		want(t, "output", b.run(), "/bin/there\n/bin/there\ncontent\ncontent")
	}
}

// A device that the host does not have at that path, for a container that may make none.
func TestMissingDeviceInAUserNamespace(t *testing.T) {
	mode, owner := os.FileMode(0o666), uint32(7)
	b := newBundle(t, "stat -c '%a %u %t:%T' /dev/nosuch; echo x > /dev/nosuch && echo written; grep -c ' /dev/nosuch .*nosuid.*noexec' /proc/self/mountinfo")
	b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	mapped(b)
	b.spec.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/nosuch", Type: "c", Major: 1, Minor: 3, FileMode: &mode, UID: &owner}}
	want(t, "output", b.run(), "666 7 1:3\nwritten\n1")
	b.noTrace()
}

// A user namespace without its own network namespace may not mount sysfs.
func TestSysfsOfTheHost(t *testing.T) {
	b := newBundle(t, "ls -d /sys/class; touch /sys/x 2> /dev/null || echo read-only")
	b.spec.Linux.Namespaces = slices.DeleteFunc(b.spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.NetworkNamespace })
	inUserNamespace(b)
	want(t, "output", b.run(), "/sys/class\nread-only")
}

// Id mappings as Podman passes them on.
func TestIdmapRanges(t *testing.T) {
	b := newBundle(t, "stat -c '%u %g' /data/file")
	dir := filepath.Join(b.dir, "data")
	must(t, os.Mkdir(dir, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
	b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/data", Type: "bind", Source: dir, Options: []string{"bind", "idmap=uids=0-1000-10#10-2000-10;gids=0-3000-10"}})
	want(t, "owner", b.run(), "1000 3000")
	users, path := userHolder(t)
	b.spec.Mounts[len(b.spec.Mounts)-1].Options = []string{"bind", "idmap"}
	b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace, Path: path})
	mapped(b)
	b.spec.Linux.UIDMappings, b.spec.Linux.GIDMappings = users.spec.Linux.UIDMappings, users.spec.Linux.GIDMappings
	want(t, "owner in a joined user namespace", b.run(), "0 0")
}

// The command lines of runc and of crun, as engines and people write them.
func TestCommandLinesOfOthers(t *testing.T) {
	b := running(t)
	want(t, "exec --", b.ok("exec", b.id, "--", "echo", "--", "here"), "-- here")
	if out := b.ok("ps", b.id, "--", "-o", "pid"); !strings.Contains(out, "PID") {
		t.Error(out)
	}
	if r := b.rt("--debug", "exec", b.id, "true"); !strings.Contains(r.stderr, "joined the container") {
		t.Errorf("no steps: %s", r.stderr)
	}
	if r := b.rt("--log-level", "error", "--log", "file:"+b.dir+"/log", "exec", b.id, "/nosuch"); r.code != 255 {
		t.Error(r)
	}
	if log, err := os.ReadFile(b.dir + "/log"); err != nil || !strings.Contains(string(log), "/nosuch") {
		t.Errorf("%s, %v", log, err)
	}
	if r := b.rt("nosuch"); r.code != 3 || !strings.Contains(r.stderr, "nosuch") {
		t.Error(r)
	}
	want(t, "list of a root that is not there", strings.Fields(b.ok("--root", b.dir+"/nowhere", "list"))[0], "ID")

	b.ok("kill", "--regex", "^"+b.id[:len(b.id)-2], "KILL")
	b.waitFor(specs.StateStopped)
	b.ok("delete", "--regex", "^"+b.id+"$")
	b.noTrace()
	b.fails([]string{"--regex"}, "delete", "--regex", "(")

	other := newBundle(t, "echo from here")
	other.write()
	config := filepath.Join(t.TempDir(), "other.json")
	must(t, os.Rename(filepath.Join(other.dir, "config.json"), config))
	want(t, "--config", other.ok("run", "--config", config, other.id), "from here")
}

// A container without its own cgroup is in rt's, and has no limits.
func TestCgroupManagerDisabled(t *testing.T) {
	b := newBundle(t, "cat /proc/self/cgroup; ls -d /sys/fs/cgroup")
	b.write()
	own, err := os.ReadFile("/proc/self/cgroup")
	must(t, err)
	b.spec.Linux.Namespaces = slices.DeleteFunc(b.spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.CgroupNamespace })
	b.write()
	want(t, "cgroups", b.ok("--cgroup-manager", "disabled", "run", b.id), strings.TrimSpace(string(own))+"\n/sys/fs/cgroup")
	b.noTrace()
	for range often(10) { // the process has ended, or not, when it is looked at
		b.ok("--cgroup-manager", "disabled", "create", b.id)
		b.ok("start", b.id)
		b.waitFor(specs.StateStopped)
		b.ok("delete", b.id)
	}
	b.noTrace()
	b.spec.Process.Args = []string{"sleep", "1000"}
	b.write()
	b.ok("--cgroup-manager", "disabled", "run", "--detach", b.id)
	want(t, "exec", b.ok("exec", b.id, "cat", "/proc/self/cgroup"), strings.TrimSpace(string(own)))
	b.fails([]string{"has no cgroup"}, "pause", b.id)
	b.ok("ps", b.id)
	b.ok("kill", b.id, "KILL")
	b.waitFor(specs.StateStopped)
	b.ok("delete", b.id)
	b.noTrace()
	limit := int64(1 << 30)
	b.spec.Linux.Resources.Memory = &specs.LinuxMemory{Limit: &limit}
	b.write()
	b.fails([]string{"linux.resources", "disabled"}, "--cgroup-manager=disabled", "run", b.id)
	b.fails([]string{"--cgroup-manager", "nosuch"}, "--cgroup-manager=nosuch", "run", b.id)
}

// rt implements annotations by which Podman and CRI-O ask crun for something, or refuses
// them by name.
func TestAnnotationsOfCrun(t *testing.T) {
	b := newBundle(t, "true")
	out := filepath.Join(b.dir, "hooks.out")
	b.spec.Annotations = map[string]string{
		"run.oci.hooks.stdout": out, "run.oci.hooks.stderr": out, "run.oci.systemd.subgroup": "", "run.oci.something_new": "1",
	}
	hook := func(text string) []specs.Hook {
		return []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "echo " + text + "; echo to stderr >&2"}}}
	}
	b.spec.Hooks = &specs.Hooks{CreateRuntime: hook("createRuntime"), StartContainer: hook("startContainer"), Poststop: hook("poststop")}
	b.write()
	if r := b.rt("run", b.id); r.code != 0 || !strings.Contains(r.stderr, "run.oci.something_new") {
		t.Errorf("no word about an annotation that is not known: %v", r)
	}
	text, err := os.ReadFile(out)
	must(t, err)
	want(t, "output of hooks", string(text), "createRuntime\nto stderr\nstartContainer\nto stderr\npoststop\nto stderr")
	for _, name := range []string{"run.oci.handler", "run.oci.delegate-cgroup", "run.oci.systemd.subgroup", "run.oci.seccomp_bpf_data"} {
		b.spec.Annotations = map[string]string{name: "x"}
		b.write()
		b.fails([]string{"annotations", name}, "run", b.id)
	}
	b.spec.Annotations = map[string]string{"run.oci.mount_context_type": "nosuch"}
	b.write()
	b.fails([]string{"annotations", "run.oci.mount_context_type", "rootcontext"}, "run", b.id)
}

func TestKeepOriginalGroups(t *testing.T) {
	b := newBundle(t, "id -G; exit 0")
	b.spec.Annotations = map[string]string{"run.oci.keep_original_groups": "1"}
	b.write()
	cmd := b.command("run", b.id)
	cmd.SysProcAttr = &unix.SysProcAttr{Credential: &syscall.Credential{Groups: []uint32{4242}}}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	got, err := cmd.Output()
	if err != nil || strings.TrimSpace(string(got)) != "0 4242" {
		t.Errorf("groups: %v: %s %s", err, got, &stderr)
	}
}

// update also takes device rules from a file.
func TestUpdateOfDeviceRules(t *testing.T) {
	b := newBundle(t, "mknod /dev/node c 10 229; exec sleep 1000")
	for _, set := range []*[]string{&b.spec.Process.Capabilities.Bounding, &b.spec.Process.Capabilities.Effective, &b.spec.Process.Capabilities.Permitted} {
		*set = append(*set, "CAP_MKNOD")
	}
	b.create()
	b.ok("start", b.id)
	eventually(t, "the node", func() bool { return b.rt("exec", b.id, "test", "-c", "/dev/node").code == 0 })
	open := func() bool { return b.rt("exec", b.id, "dd", "if=/dev/node", "of=/dev/null", "count=0").code == 0 }
	if open() {
		t.Fatal("the device could be opened before")
	}
	file := filepath.Join(b.dir, "resources.json")
	must(t, os.WriteFile(file, []byte(`{"devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rwm"}]}`), 0o644))
	b.ok("update", "--resources", file, b.id)
	if !open() {
		t.Error("the device cannot be opened after the update")
	}
	must(t, os.WriteFile(file, []byte(`{"hugepageLimits": []}`), 0o644))
	b.ok("update", "--resources", file, b.id) // which leaves them
	if !open() {
		t.Error("the next update took the rule back")
	}
}

// The container sees mounts below the source of a bind mount, and the host sees the
// container's mounts there, as the mount's option says or, without one,
// linux.rootfsPropagation: for sources on the host's root mount and for mounts of their
// own.
func TestPropagationAtWork(t *testing.T) {
	options := []string{"", "rprivate", "rslave", "rshared"}
	for root, want := range map[string][2][4]string{ // by source and option
		"":         {{"in", "none", "in", "in"}, {"in", "none", "in", "in"}},
		"rslave":   {{"in", "none", "in", "in"}, {"in", "none", "in", "in"}},
		"slave":    {{"in", "none", "in", "both"}, {"in", "none", "in", "both"}},
		"private":  {{"none", "none", "none", "both"}, {"in", "none", "in", "both"}},
		"rprivate": {{"none", "none", "none", "none"}, {"none", "none", "none", "none"}},
		"shared":   {{"both", "none", "in", "both"}, {"both", "none", "in", "both"}},
		"rshared":  {{"both", "none", "in", "both"}, {"both", "none", "in", "both"}},
	} {
		b := newBundle(t, `cd /volumes; for v in *; do mkdir -p $v/inner && mount -t tmpfs tmpfs $v/inner && touch $v/inner/made; done
			touch /ready; until [ -e /go ]; do sleep 0.02; done
			for v in *; do [ -e $v/outer/made ] && echo $v; done; for v in *; do umount $v/inner; done`)
		for _, set := range []*[]string{&b.spec.Process.Capabilities.Bounding, &b.spec.Process.Capabilities.Effective, &b.spec.Process.Capabilities.Permitted} {
			*set = append(*set, "CAP_SYS_ADMIN")
		}
		b.spec.Root.Readonly = false
		b.spec.Linux.RootfsPropagation = root
		if !sameDevice(t, b.dir, "/") {
			want[0] = want[1]
		}
		for _, source := range []string{"part", "mount"} {
			for _, option := range options {
				name := source + "-" + option
				must(t, os.MkdirAll(filepath.Join(b.dir, "host", name), 0o755))
				m := specs.Mount{Destination: "/volumes/" + name, Type: "bind", Source: filepath.Join(b.dir, "host", name), Options: []string{"rbind"}}
				if option != "" {
					m.Options = append(m.Options, option)
				}
				b.spec.Mounts = append(b.spec.Mounts, m)
			}
		}
		b.write()
		run := b.command("run", b.id)
		cmd := exec.Command("unshare", "-m", "--propagation", "private", "sh", "-ec", `
			mount --make-rshared /
			root=$1; shift; cd host
			for v in mount-*; do mount -t tmpfs tmpfs $v; mount --make-shared $v; done
			for v in *; do mkdir $v/outer; done
			(cd .. && exec "$@" > inside) &
			until [ -e $root/ready ]; do kill -0 $! || exit 1; sleep 0.02; done
			for v in *; do mount -t tmpfs tmpfs $v/outer; touch $v/outer/made; [ ! -e $v/inner/made ] || echo $v; done
			touch $root/go; wait $!`, "sh", b.path(""))
		cmd.Args, cmd.Dir = append(cmd.Args, run.Args...), b.dir
		var stderr strings.Builder
		cmd.Stderr = &stderr
		outside, err := cmd.Output()
		if err != nil {
			t.Fatalf("rootfsPropagation %q: %v: %s", root, err, &stderr)
		}
		inside, err := os.ReadFile(filepath.Join(b.dir, "inside"))
		must(t, err)
		for i, source := range []string{"part", "mount"} {
			for j, option := range options {
				name, got := source+"-"+option, "none"
				in, out := slices.Contains(lines(string(inside)), name), slices.Contains(lines(string(outside)), name)
				switch {
				case in && out:
					got = "both"
				case in:
					got = "in"
				case out:
					got = "out"
				}
				if got != want[i][j] {
					t.Errorf("rootfsPropagation %q, %s with option %q: %s, not %s", root, source, option, got, want[i][j])
				}
			}
		}
		b.noTrace()
	}
}

func sameDevice(t *testing.T, one, other string) bool {
	t.Helper()
	var a, b unix.Stat_t
	must(t, unix.Stat(one, &a))
	must(t, unix.Stat(other, &b))
	return a.Dev == b.Dev
}
