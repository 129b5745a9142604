package integration

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func profile(action specs.LinuxSeccompAction, errno *uint, names ...string) *specs.LinuxSeccomp {
	return &specs.LinuxSeccomp{
		DefaultAction: specs.ActAllow, Architectures: []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32},
		Syscalls: []specs.LinuxSyscall{{Names: names, Action: action, ErrnoRet: errno}},
	}
}

func TestSeccompActions(t *testing.T) {
	for name, c := range map[string]struct {
		seccomp *specs.LinuxSeccomp
		script  string
		out     string
		code    int
	}{
		"denied":          {profile(specs.ActErrno, ptr(uint(unix.EXDEV)), "mkdirat", "mkdir"), `mkdir /dev/shm/x 2>&1 | grep -o 'Invalid cross-device link'`, "Invalid cross-device link", 0},
		"denied, default": {profile(specs.ActErrno, nil, "mkdirat", "mkdir"), `mkdir /dev/shm/x 2>&1 | grep -o 'Operation not permitted'`, "Operation not permitted", 0},
		"killed":          {profile(specs.ActKillProcess, nil, "mkdirat", "mkdir"), `mkdir /dev/shm/x 2>/dev/null; echo $?`, "159", 0},
		"logged":          {profile(specs.ActLog, nil, "mkdirat", "mkdir"), `mkdir /dev/shm/x && echo made`, "made", 0},
		"of init":         {profile(specs.ActKillProcess, nil, "mkdirat", "mkdir"), `exec mkdir /dev/shm/x`, "", 159},
		"argument": {&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{
			Names: []string{"kill"}, Action: specs.ActErrno, Args: []specs.LinuxSeccompArg{{Index: 1, Value: uint64(unix.SIGUSR1), Op: specs.OpEqualTo}},
		}}}, `kill -USR2 77 2>&1 | grep -o 'No such process'; kill -USR1 77 2>&1 | grep -o 'Operation not permitted'`, "No such process\nOperation not permitted", 0},
	} {
		for _, noNew := range []bool{true, false} {
			b := newBundle(t, c.script)
			b.spec.Linux.Seccomp = c.seccomp
			b.spec.Process.NoNewPrivileges = noNew
			b.write()
			r := b.rt("run", b.id)
			if got := strings.TrimSpace(r.stdout + r.stderr); r.code != c.code || got != c.out {
				t.Errorf("%s, no new privileges %v: %v", name, noNew, r)
			}
		}
	}
}

// rt refuses a filter that forbids execve. A filter that also forbids everything that rt
// could do about it does not make rt run for ever.
func TestSeccompForbidsExecve(t *testing.T) {
	b := newBundle(t, "true")
	for _, action := range []specs.LinuxSeccompAction{specs.ActErrno, specs.ActKillProcess} {
		b.spec.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: action, Syscalls: []specs.LinuxSyscall{{Names: []string{"read", "exit_group"}, Action: specs.ActAllow}}}
		b.write()
		b.fails([]string{"linux.seccomp", "execve", "SCMP_ACT_ALLOW"}, "run", b.id)
		b.noTrace()
	}
	for _, errno := range []uint{0, uint(unix.EPERM)} {
		b.spec.Linux.Seccomp = &specs.LinuxSeccomp{
			DefaultAction: specs.ActErrno, DefaultErrnoRet: &errno,
			Syscalls: []specs.LinuxSyscall{{
				Names: []string{"execve"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Index: 0, Value: 1, Op: specs.OpEqualTo}},
			}},
		}
		b.write()
		if r := b.rt("run", b.id); r.code != 128+int(unix.SIGILL) {
			t.Error(r)
		}
		b.noTrace()
	}
}

// A filter that forbids rt's late calls does not break the start.
func TestSeccompIsLoadedLast(t *testing.T) {
	for _, user := range []uint32{0, 1000} {
		b := newBundle(t, "")
		b.spec.Process.User = specs.User{UID: user, GID: user}
		b.spec.Process.Args = []string{"true"}
		b.spec.Linux.Seccomp = profile(specs.ActErrno, nil, "getcwd", "chdir", "setresuid", "setresgid", "setgroups", "prctl", "mount", "openat2",
			"accept4", "socket", "sendmsg", "recvmsg", "write", "read", "umask", "close_range", "setns", "clone", "prlimit64")
		b.run()
		b.create()
		b.ok("start", b.id)
		b.waitFor(specs.StateStopped)
		b.ok("delete", b.id)
	}
}

func TestSeccompWithAMissingProgram(t *testing.T) {
	b := newBundle(t, "")
	b.spec.Linux.Seccomp = profile(specs.ActKillProcess, nil, "write")
	for program, words := range map[string][]string{
		"/no/such": {"process.args[0]", "no such file"}, "nothing": {"process.args[0]", "not found in $PATH"},
	} {
		b.spec.Process.Args = []string{program}
		b.write()
		b.fails(words, "run", b.id)
		b.noTrace()
	}
}

// Docker's profile, as Docker has it: without no_new_privs.
func TestDockersProfile(t *testing.T) {
	data, err := os.ReadFile("../testdata/docker/seccomp.json")
	must(t, err)
	var s specs.LinuxSeccomp
	must(t, json.Unmarshal(data, &s))
	b := newBundle(t, `echo runs; unshare -m true 2>&1 | grep -o 'Operation not permitted'; grep Seccomp: /proc/self/status | tr -d '\t'`)
	must(t, os.Symlink("busybox", b.path("bin/unshare")))
	b.spec.Linux.Seccomp = &s
	b.spec.Process.NoNewPrivileges = false
	want(t, "output", b.run(), "runs\nOperation not permitted\nSeccomp:2")
}

func TestSeccompErrorsNameTheField(t *testing.T) {
	b := newBundle(t, "true")
	b.spec.Linux.Seccomp = profile("SCMP_ACT_DANCE", nil, "mkdir")
	b.spec.Linux.Seccomp.Flags = []specs.LinuxSeccompFlag{"SECCOMP_FILTER_FLAG_NONE"}
	b.write()
	b.fails([]string{"linux.seccomp.syscalls[0].action", "SCMP_ACT_DANCE", "linux.seccomp.flags[0]"}, "create", b.id)
	b.noTrace()
}

// agent listens for a seccomp listener and answers every notification with an
// error number.
func agent(t *testing.T, path string, errno int32) chan specs.ContainerProcessState {
	t.Helper()
	l, err := net.Listen("unix", path)
	must(t, err)
	t.Cleanup(func() { l.Close() })
	states := make(chan specs.ContainerProcessState, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		buf, oob := make([]byte, 1<<16), make([]byte, 64)
		n, oobn, _, _, err := conn.(*net.UnixConn).ReadMsgUnix(buf, oob)
		if err != nil {
			return
		}
		var s specs.ContainerProcessState
		if json.Unmarshal(buf[:n], &s) != nil {
			return
		}
		states <- s
		messages, _ := unix.ParseSocketControlMessage(oob[:oobn])
		fds, err := unix.ParseUnixRights(&messages[0])
		if err != nil {
			return
		}
		answer(fds[0], errno)
	}()
	return states
}

// answer serves notifications: seccomp_unotify(2).
func answer(fd int, errno int32) {
	defer unix.Close(fd)
	const receive, send = 0xc0502100, 0xc0182101
	for {
		var notification [80]byte
		if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), receive, addressOf(notification[:])); e != 0 {
			return
		}
		var response [24]byte
		copy(response[:8], notification[:8]) // the id
		put32(response[16:], uint32(-errno))
		if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), send, addressOf(response[:])); e != 0 && e != unix.ENOENT {
			return
		}
	}
}

func TestSeccompAgent(t *testing.T) {
	for _, oneStep := range []bool{true, false} {
		b := newBundle(t, `mkdir /dev/shm/x 2>&1 | grep -o 'Disk quota exceeded' > /dev/shm/out; cat /dev/shm/out`)
		path := filepath.Join(b.dir, "agent.sock")
		states := agent(t, path, int32(unix.EDQUOT))
		b.spec.Linux.Seccomp = profile(specs.ActNotify, nil, "mkdirat", "mkdir")
		b.spec.Linux.Seccomp.ListenerPath, b.spec.Linux.Seccomp.ListenerMetadata = path, "opaque"
		var pid int
		if oneStep {
			want(t, "output", b.run(), "Disk quota exceeded")
		} else {
			b.create()
			pid = b.state().Pid
			b.ok("start", b.id)
			b.waitFor(specs.StateStopped)
		}
		s := <-states
		if s.Metadata != "opaque" || len(s.Fds) != 1 || s.Fds[0] != specs.SeccompFdName || s.State.ID != b.id || (pid != 0 && s.Pid != pid) {
			t.Errorf("%+v", s)
		}
	}
}

func TestSeccompAgentIsMissing(t *testing.T) {
	b := newBundle(t, "true")
	b.spec.Linux.Seccomp = profile(specs.ActNotify, nil, "mkdir")
	b.spec.Linux.Seccomp.ListenerPath = "/no/agent"
	b.write()
	b.fails([]string{"linux.seccomp.listenerPath", "/no/agent", "no such file"}, "run", b.id)
	b.noTrace()
}
