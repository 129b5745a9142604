package integration

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestUserGroupsAndUmask(t *testing.T) {
	b := newBundle(t, `id -u; id -g; id -G; umask; touch /dev/shm/f; stat -c %a:%u:%g /dev/shm/f`)
	b.spec.Process.User = specs.User{UID: 1000, GID: 1001, Umask: ptr(uint32(0o027)), AdditionalGids: []uint32{5, 6}}
	want(t, "credentials", b.run(), "1000\n1001\n1001 5 6\n0027\n640:1000:1001")
}

func TestDefaultUmask(t *testing.T) {
	want(t, "umask", newBundle(t, "umask").run(), "0022")
}

// status prints the capability sets as /proc/self/status shows them.
const capStatus = `grep -E '^(Cap|NoNewPrivs)' /proc/self/status | tr -s '\t ' ' '`

func TestCapabilitySets(t *testing.T) {
	b := newBundle(t, capStatus)
	b.spec.Process.User = specs.User{UID: 1000, GID: 1000}
	b.spec.Process.Capabilities = &specs.LinuxCapabilities{
		Bounding:    []string{"CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"},
		Effective:   []string{"CAP_CHOWN"},
		Permitted:   []string{"CAP_CHOWN", "CAP_KILL"},
		Inheritable: []string{"CAP_KILL"},
		Ambient:     []string{"CAP_KILL"},
	}
	b.spec.Process.NoNewPrivileges = true
	want(t, "status", b.run(), "CapInh: 0000000000000020\nCapPrm: 0000000000000020\nCapEff: 0000000000000020\nCapBnd: 0000000000002021\nCapAmb: 0000000000000020\nNoNewPrivs: 1")
}

func TestRootWithoutNoNewPrivileges(t *testing.T) {
	b := newBundle(t, capStatus)
	b.spec.Process.NoNewPrivileges = false
	want(t, "status", b.run(), "CapInh: 0000000000000000\nCapPrm: 0000000020000420\nCapEff: 0000000020000420\nCapBnd: 0000000020000420\nCapAmb: 0000000000000000\nNoNewPrivs: 0")
}

func TestUnknownCapabilityIsAWarning(t *testing.T) {
	b := newBundle(t, "echo runs")
	b.spec.Process.Capabilities.Bounding = append(b.spec.Process.Capabilities.Bounding, "CAP_TO_FLY")
	b.write()
	r := b.rt("run", b.id)
	want(t, "output", r.stdout, "runs")
	for _, w := range []string{"process.capabilities.bounding[3]", "CAP_TO_FLY"} {
		if !strings.Contains(r.stderr, w) {
			t.Errorf("no %q in the warning: %s", w, r.stderr)
		}
	}
}

func TestRlimits(t *testing.T) {
	b := newBundle(t, `ulimit -S -n; ulimit -H -n; ulimit -S -c`)
	b.spec.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 100, Hard: 200}, {Type: "RLIMIT_CORE", Soft: 0, Hard: 0}}
	want(t, "limits", b.run(), "100\n200\n0")
}

func TestOOMScoreAdj(t *testing.T) {
	own, err := os.ReadFile("/proc/self/oom_score_adj")
	must(t, err)
	for adj, expected := range map[*int]string{nil: strings.TrimSpace(string(own)), ptr(0): "0", ptr(123): "123"} {
		b := newBundle(t, "cat /proc/self/oom_score_adj")
		b.spec.Process.OOMScoreAdj = adj
		want(t, "oom_score_adj", b.run(), expected)
	}
}

func TestWorkingDirectoryIsCreated(t *testing.T) {
	b := newBundle(t, "pwd")
	b.spec.Process.Cwd = "/some/new/directory"
	b.spec.Root.Readonly = false
	want(t, "working directory", b.run(), "/some/new/directory")
}

func TestWorkingDirectoryOfAUser(t *testing.T) {
	b := newBundle(t, "pwd")
	must(t, os.Mkdir(b.path("private"), 0o700))
	must(t, os.Chown(b.path("private"), 1000, 1000))
	b.spec.Process.User = specs.User{UID: 1000, GID: 1000}
	b.spec.Process.Cwd = "/private"
	want(t, "working directory", b.run(), "/private")
}

func TestEnvironment(t *testing.T) {
	b := newBundle(t, "")
	b.spec.Process.Args = []string{"env"}
	b.spec.Process.Env = []string{"PATH=/bin", "A=1", "EMPTY=", "HOME=/here", "A=2"}
	want(t, "environment", b.run(), "PATH=/bin\nA=2\nEMPTY=\nHOME=/here")
}

func TestHomeOfThePasswd(t *testing.T) {
	b := newBundle(t, "echo $HOME")
	must(t, os.MkdirAll(b.path("etc"), 0o755))
	must(t, os.WriteFile(b.path("etc/passwd"), []byte("root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n"), 0o644))
	b.spec.Process.User = specs.User{UID: 1000, GID: 1000}
	want(t, "HOME", b.run(), "/home/user")
}

// rt does not open the image's /etc/passwd if it is not a regular file: opening a device
// has side effects, and a pipe blocks.
func TestHomeWithoutAFile(t *testing.T) {
	for name, mk := range map[string]func(path string) error{
		"pipe":    func(path string) error { return unix.Mkfifo(path, 0o644) },
		"device":  func(path string) error { return unix.Mknod(path, unix.S_IFCHR|0o644, int(unix.Mkdev(1, 5))) },
		"missing": func(path string) error { return os.Symlink("/etc/nothing", path) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t, "echo $HOME")
			must(t, os.MkdirAll(b.path("etc"), 0o755))
			must(t, mk(b.path("etc/passwd")))
			watch, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
			must(t, err)
			defer unix.Close(watch)
			_, err = unix.InotifyAddWatch(watch, b.path("etc/passwd"), unix.IN_OPEN|unix.IN_DONT_FOLLOW)
			must(t, err)
			want(t, "HOME", b.run(), "/")
			if n, err := unix.Read(watch, make([]byte, 4096)); err != unix.EAGAIN {
				t.Errorf("it was opened: %d, %v", n, err)
			}
		})
	}
}

func TestPathLookup(t *testing.T) {
	b := newBundle(t, "")
	b.spec.Process.Args = []string{"found", "arg"}
	b.spec.Process.Env = []string{"PATH=/none:/first:/second"}
	must(t, os.MkdirAll(b.path("first"), 0o755))
	must(t, os.MkdirAll(b.path("second"), 0o755))
	must(t, os.WriteFile(b.path("first/found"), []byte("not for execution"), 0o644))
	must(t, os.WriteFile(b.path("second/found"), []byte("#!/bin/sh\necho second $1\n"), 0o755))
	want(t, "output", b.run(), "second arg")
}

func TestExitStatus(t *testing.T) {
	for script, code := range map[string]int{"exit 0": 0, "exit 7": 7, "exit 255": 255, "kill -KILL $$; sleep 5": -1} {
		b := newBundle(t, script)
		b.write()
		if code == -1 {
			// Pid 1 cannot kill itself; a child of it can, as seen from outside.
			b.spec.Process.Args = []string{"sh", "-c", "sleep 1000"}
			b.write()
			b.ok("create", b.id)
			b.ok("start", b.id)
			b.ok("kill", b.id, "KILL")
			b.waitFor(specs.StateStopped)
			b.ok("delete", b.id)
			continue
		}
		if r := b.rt("run", b.id); r.code != code {
			t.Errorf("%s: %v", script, r)
		}
	}
}

func TestStandardStreams(t *testing.T) {
	b := newBundle(t, "cat; echo err >&2; exit 3")
	b.write()
	r := b.rtIn("from outside\n", "run", b.id)
	if r.code != 3 || r.stdout != "from outside\n" || r.stderr != "err\n" {
		t.Error(r)
	}
}

// The first instruction of the user's program sees no descriptor but its own.
func TestDescriptors(t *testing.T) {
	b := newBundle(t, "")
	b.spec.Process.Args = []string{"ls", "/proc/self/fd"}
	want(t, "descriptors", strings.Join(strings.Fields(b.run()), " "), "0 1 2 3") // 3 is ls's own
}

func TestPreservedDescriptors(t *testing.T) {
	b := newBundle(t, "cat <&3; readlink /proc/self/fd/4 || echo 4 is closed")
	b.write()
	file := b.dir + "/preserved"
	must(t, os.WriteFile(file, []byte("kept\n"), 0o644))
	f, err := os.Open(file)
	must(t, err)
	defer f.Close()
	cmd := b.command("run", "--preserve-fds", "1", b.id)
	cmd.ExtraFiles = []*os.File{f, f}
	out, err := cmd.Output()
	if err != nil || string(out) != "kept\n4 is closed\n" {
		t.Errorf("%v: %q", err, out)
	}
}

// sd_listen_fds(3) works in the container; descriptors for another process than rt are not
// passed on.
func TestSocketActivation(t *testing.T) {
	const script = "echo $LISTEN_FDS $LISTEN_PID; cat <&3 2> /dev/null || echo none"
	b := newBundle(t, "sleep 1000")
	b.create()
	b.ok("start", b.id)
	other := newBundle(t, script)
	other.write()
	file := b.dir + "/socket"
	must(t, os.WriteFile(file, []byte("passed\n"), 0o644))
	for _, args := range [][]string{{"--root", b.root, "exec", b.id, "sh", "-c", script}, {"--root", other.root, "run", "--bundle", other.dir, other.id}} {
		for pid, expected := range map[string]string{"$$": "1 1\npassed\n", "1": "\nnone\n"} {
			cmd := exec.Command("sh", append([]string{"-c", `LISTEN_FDS=1 LISTEN_PID=` + pid + ` exec "$@" 3< ` + file, "sh", rtPath}, args...)...)
			out, err := cmd.Output()
			if err != nil || string(out) != expected {
				t.Errorf("%v with LISTEN_PID=%s: %v: %q, want %q", args, pid, err, out, expected)
			}
		}
	}
}

func TestNonRootUserReopensStandardStreams(t *testing.T) {
	b := newBundle(t, "echo reopened > /dev/stdout")
	b.spec.Process.User = specs.User{UID: 1000, GID: 1000}
	b.write()
	cmd := b.command("run", b.id)
	out, err := cmd.Output() // a pipe
	if err != nil || string(out) != "reopened\n" {
		t.Errorf("%v: %q", err, out)
	}
}

// A process has the capabilities of its command line, and otherwise those of the
// container; a container without any has none.
func TestCapabilitiesThatAreNotGiven(t *testing.T) {
	const show = "grep -E '^Cap(Prm|Eff|Bnd)' /proc/self/status | cut -f2 | sort -u"
	b := newBundle(t, show)
	given := b.run()
	b.spec.Process.Args = []string{"sleep", "1000"}
	b.create()
	b.ok("start", b.id)
	process := b.dir + "/process.json"
	must(t, os.WriteFile(process, []byte(`{"cwd": "/", "args": ["sh", "-c", "`+show+`"], "env": ["PATH=/bin"]}`), 0o644))
	want(t, "exec", b.ok("exec", "--process", process, b.id), strings.TrimSpace(given))
	b.ok("delete", "--force", b.id)

	b.spec.Process.Capabilities = nil
	b.spec.Process.Args = []string{"sh", "-c", show}
	want(t, "none", b.run(), "0000000000000000")
}

// A variable has one value, the last.
func TestVariablesGivenTwice(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	b.spec.Process.Env = []string{"PATH=/bin", "FOO=old", "A=1", "A=2"}
	b.create()
	b.ok("start", b.id)
	want(t, "exec", b.ok("exec", "--env", "FOO=new", b.id, "env"), "PATH=/bin\nFOO=new\nA=2\nHOME=/")
}

// The first process may change its root directory, but not that of others.
func TestExecWhereTheFirstProcessChangedItsRoot(t *testing.T) {
	b := newBundle(t, "")
	b.spec.Root.Readonly = false
	caps := b.spec.Process.Capabilities
	caps.Bounding, caps.Permitted, caps.Effective = append(caps.Bounding, "CAP_SYS_CHROOT"), append(caps.Permitted, "CAP_SYS_CHROOT"), append(caps.Effective, "CAP_SYS_CHROOT")
	must(t, os.MkdirAll(b.path("jail/bin"), 0o755))
	copyFile(t, b.path("bin/busybox"), b.path("jail/bin/busybox"))
	b.spec.Process.Args = []string{"/bin/busybox", "chroot", "/jail", "/bin/busybox", "sleep", "1000"}
	for _, flags := range [][]string{nil, {"--no-pivot"}} {
		b.create(flags...)
		b.ok("start", b.id)
		eventually(t, "it has changed its root", func() bool { return strings.Contains(strings.Join(b.processes(), " "), "sleep\x001000") })
		want(t, "root", b.ok("exec", b.id, "sh", "-c", "ls -d /jail"), "/jail")
		b.ok("delete", "--force", b.id)
	}
}

// A directory is no program.
func TestDirectoryInPath(t *testing.T) {
	b := newBundle(t, "")
	must(t, os.MkdirAll(b.path("first/tool"), 0o755))
	must(t, os.Symlink("busybox", b.path("bin/tool")))
	must(t, os.WriteFile(b.path("bin/tool.sh"), []byte("#!/bin/sh\necho ran\n"), 0o755))
	must(t, os.Mkdir(b.path("first/tool.sh"), 0o755))
	b.spec.Process.Env = []string{"PATH=/first:/bin"}
	b.spec.Process.Args = []string{"tool.sh"}
	b.create()
	b.ok("start", b.id)
	b.waitFor(specs.StateStopped)
	b.ok("delete", b.id)
	want(t, "run", b.run(), "ran")
}
