package integration

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// terminal is a pseudo terminal: the test holds the master, as a terminal emulator does.
type terminal struct {
	master, slave *os.File
	unread        string // arrived with an expected text, after it
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	must(t, err)
	must(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	must(t, err)
	master := os.NewFile(uintptr(fd), "master")
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	t.Cleanup(func() { master.Close(); slave.Close() })
	return &terminal{master: master, slave: slave}
}

func (term *terminal) resize(t *testing.T, rows, cols uint16) {
	t.Helper()
	conn, err := term.master.SyscallConn()
	must(t, err)
	must(t, conn.Control(func(fd uintptr) {
		err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols})
	}))
	must(t, err)
}

func (term *terminal) modes(t *testing.T) unix.Termios {
	t.Helper()
	modes, err := unix.IoctlGetTermios(int(term.slave.Fd()), unix.TCGETS)
	must(t, err)
	return *modes
}

// expect reads until the text has arrived; what follows it is for the next call.
func (term *terminal) expect(t *testing.T, text string) string {
	t.Helper()
	must(t, term.master.SetReadDeadline(time.Now().Add(patience(20*time.Second))))
	buffer := make([]byte, 4096)
	for {
		if before, after, found := strings.Cut(term.unread, text); found {
			term.unread = after
			return before + text
		}
		n, err := term.master.Read(buffer)
		if err != nil {
			t.Fatalf("no %q on the terminal but %q: %v", text, term.unread, err)
		}
		term.unread += string(buffer[:n])
	}
}

// start starts a command on the terminal. It returns a function that waits for the end and
// returns the exit status; a command that does not end is killed.
func (term *terminal) start(t *testing.T, cmd *exec.Cmd) (wait func() int) {
	t.Helper()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = term.slave, term.slave, term.slave
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	must(t, cmd.Start())
	kill := func() { _ = cmd.Process.Kill() }
	t.Cleanup(kill)
	return func() int {
		defer time.AfterFunc(patience(20*time.Second), kill).Stop()
		_ = cmd.Wait()
		return cmd.ProcessState.ExitCode()
	}
}

func (term *terminal) send(t *testing.T, text string) {
	t.Helper()
	_, err := io.WriteString(term.master, text)
	must(t, err)
}

// A person at a terminal: size, changes of the size, control characters. The terminal is
// restored when the container has ended.
func TestForegroundTerminal(t *testing.T) {
	for _, command := range []string{"run", "exec"} {
		t.Run(command, func(t *testing.T) {
			script := `tty; test -c /dev/console && echo console; stty size
trap 'echo interrupted' INT
trap 'stty size' WINCH
echo ready
while :; do
	read line || continue # a signal ends it, too
	echo "got $line"; test "$line" = end && exit 7
done`
			b := newBundle(t, script)
			args := []string{"run", b.id}
			b.spec.Process.Terminal = true
			if command == "exec" {
				b.spec.Process.Terminal = false
				b.spec.Process.Args = []string{"sleep", "1000"}
				b.create()
				b.ok("start", b.id)
				args = []string{"exec", "--tty", b.id, "sh", "-c", script}
			}
			b.write()
			term := newTerminal(t)
			term.resize(t, 33, 111)
			before := term.modes(t)
			wait := term.start(t, b.command(args...))
			out := term.expect(t, "ready")
			for _, w := range []string{"/dev/pts/", "33 111"} {
				if !strings.Contains(out, w) {
					t.Errorf("no %q in %q", w, out)
				}
			}
			if strings.Contains(out, "\r\r") {
				t.Errorf("the output was processed twice: %q", out)
			}
			if command == "run" && !strings.Contains(out, "\nconsole") {
				t.Errorf("no /dev/console: %q", out)
			}
			term.send(t, "hello\n")
			term.expect(t, "got hello")
			term.send(t, "\x03") // ctrl-C reaches the container's program, not rt
			term.send(t, "\n")   // it may have come right before the shell began to read
			term.expect(t, "interrupted")
			term.resize(t, 44, 99)
			term.send(t, "\n") // the shell runs its trap when read returns
			term.expect(t, "44 99")
			term.send(t, "end\n")
			term.expect(t, "got end")
			if code := wait(); code != 7 {
				t.Errorf("exit status %d", code)
			}
			if after := term.modes(t); after != before {
				t.Errorf("the terminal's modes were %+v and are %+v", before, after)
			}
		})
	}
}

// receive receives the file that a runtime sends, with its name.
func receive(t *testing.T, listener *net.UnixListener, name string) *os.File {
	t.Helper()
	must(t, listener.SetDeadline(time.Now().Add(patience(20*time.Second))))
	conn, err := listener.AcceptUnix()
	must(t, err)
	defer conn.Close()
	data, control := make([]byte, 256), make([]byte, unix.CmsgSpace(4))
	size, n, _, _, err := conn.ReadMsgUnix(data, control)
	must(t, err)
	want(t, "name", string(data[:size]), name)
	messages, err := unix.ParseSocketControlMessage(control[:n])
	must(t, err)
	if len(messages) != 1 {
		t.Fatalf("%d control messages", len(messages))
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	must(t, err)
	must(t, unix.SetNonblock(fds[0], true))
	master := os.NewFile(uintptr(fds[0]), "master")
	t.Cleanup(func() { master.Close() })
	return master
}

// An engine gets the terminal over a socket.
func TestConsoleSocket(t *testing.T) {
	b := newBundle(t, `stty size; tty; stat -c %u:%g $(tty); read line; echo "got $line"; sleep 1000`)
	b.spec.Process.Terminal = true
	b.spec.Process.ConsoleSize = &specs.Box{Height: 55, Width: 77}
	b.spec.Process.User = specs.User{UID: 1000, GID: 1000}
	path := filepath.Join(t.TempDir(), "console")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	must(t, err)
	defer listener.Close()
	b.write()
	b.ok("create", "--console-socket", path, b.id)
	master := receive(t, listener, "/dev/ptmx")
	term := &terminal{master: master}
	b.ok("start", b.id)
	term.expect(t, "55 77")
	term.expect(t, "1000:")
	term.send(t, "hello\n")
	term.expect(t, "got hello")

	b.ok("exec", "--detach", "--tty", "--console-socket", path, b.id, "sh", "-c", "tty; read line; echo again $line; sleep 100")
	second := &terminal{master: receive(t, listener, "/dev/ptmx")}
	second.send(t, "hello\n")
	second.expect(t, "again hello")
}

func TestPidfdSocket(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	path := filepath.Join(t.TempDir(), "pidfd")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	must(t, err)
	defer listener.Close()
	pidOf := func(f *os.File) string {
		info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", f.Fd()))
		must(t, err)
		_, pid, _ := strings.Cut(string(info), "Pid:")
		return strings.Fields(pid)[0]
	}
	b.write()
	b.ok("create", "--pidfd-socket", path, b.id)
	want(t, "pid", pidOf(receive(t, listener, "standard")), fmt.Sprint(b.state().Pid))
	b.ok("start", b.id)
	b.ok("exec", "--detach", "--pidfd-socket", path, "--pid-file", b.dir+"/pid", b.id, "sleep", "1000")
	pid, err := os.ReadFile(b.dir + "/pid")
	must(t, err)
	want(t, "pid", pidOf(receive(t, listener, "setns")), string(pid))
}

// All output of a container arrives, however much it is, and rt keeps none of it in
// memory.
func TestFlood(t *testing.T) {
	mib := often(1024)
	bytes := int64(mib) << 20
	b := newBundle(t, fmt.Sprintf("dd if=/dev/zero bs=1M count=%d 2>/dev/null", mib))
	b.write()
	cmd := b.command("run", b.id)
	out, err := cmd.StdoutPipe()
	must(t, err)
	// A child's peak begins with this process's: getrusage(2), proc(5) on clear_refs.
	debug.FreeOSMemory()
	must(t, os.WriteFile("/proc/self/clear_refs", []byte("5"), 0))
	must(t, cmd.Start())
	n, err := io.Copy(io.Discard, bufio.NewReaderSize(out, 1<<20))
	must(t, err)
	must(t, cmd.Wait())
	if n != bytes {
		t.Errorf("%d bytes of %d", n, bytes)
	}
	// Its peak, in KiB, without any output.
	if peak := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss; peak > 64<<10 {
		t.Errorf("rt held up to %d KiB", peak)
	}
}

func TestTerminalIsRestoredAfterAnError(t *testing.T) {
	b := newBundle(t, "")
	b.spec.Process.Terminal = true
	b.spec.Process.Args = []string{"/no/such"}
	b.write()
	term := newTerminal(t)
	before := term.modes(t)
	if code := term.start(t, b.command("run", b.id))(); code != 1 {
		t.Errorf("exit status %d", code)
	}
	// The message begins at the left again.
	if out := term.expect(t, "no such file"); !strings.Contains(out, "/no/such") {
		t.Errorf("%q", out)
	}
	if after := term.modes(t); after != before {
		t.Errorf("the terminal's modes were %+v and are %+v", before, after)
	}
	b.noTrace()
}

// Control-Z stops the program in the container's terminal, not rt.
func TestJobControl(t *testing.T) {
	b := newBundle(t, "")
	b.spec.Process.Terminal = true
	b.spec.Process.Args = []string{"sh"}
	b.write()
	term := newTerminal(t)
	wait := term.start(t, b.command("run", b.id))
	term.expect(t, "# ") // the shell's prompt
	term.send(t, "echo before; sleep 1000\n")
	term.expect(t, "\nbefore")
	eventually(t, "the program runs", func() bool { return strings.Contains(strings.Join(b.processes(), " "), "sleep\x001000") })
	term.send(t, "\x1a")
	term.expect(t, "Stopped")
	term.send(t, "kill -9 %1; echo after\n")
	term.expect(t, "\nafter")
	b.ok("kill", b.id, "KILL")
	if code := wait(); code != 128+9 {
		t.Errorf("exit status %d", code)
	}
	b.noTrace()
}

// A terminal that people use.
func TestTmux(t *testing.T) {
	b := newBundle(t, `trap 'stty size' WINCH
stty size; echo ready
while :; do
	read line || continue
	echo "got $line"; test "$line" = end && exit 7
done`)
	b.spec.Process.Terminal = true
	b.write()
	tmux := func(args ...string) string {
		t.Helper()
		// The name of its socket is in the environment of what it runs.
		cmd := exec.Command("tmux", append([]string{"-L", "rt-test", "-f", "/dev/null"}, args...)...)
		cmd.Dir, cmd.Env = "/", append(os.Environ(), "LC_ALL=C.UTF-8", "SHELL=/bin/sh")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("tmux %q: %v: %s", args, err, out)
		}
		return string(out)
	}
	shows := func(text string) {
		t.Helper()
		eventually(t, text+" on the screen", func() bool { return strings.Contains(tmux("capture-pane", "-p", "-S", "-"), text) })
	}
	line := "'" + strings.Join(b.command("run", "--bundle", b.dir, b.id).Args, "' '") + `'; echo "status $?"; stty -a; exec sleep 1000`
	tmux("new-session", "-d", "-c", "/", "-x", "100", "-y", "31", line)
	t.Cleanup(func() { _ = exec.Command("tmux", "-L", "rt-test", "kill-server").Run() })
	shows("31 100\nready")
	tmux("send-keys", "hello", "Enter")
	shows("got hello")
	tmux("resize-window", "-x", "90", "-y", "20")
	tmux("send-keys", "Enter") // the shell runs its trap when read returns
	shows("20 90")
	tmux("send-keys", "-l", "end") // else it is the key of that name
	tmux("send-keys", "Enter")
	shows("status 7")
	shows(" echo ") // the modes are as they were
	tmux("kill-server")
	eventually(t, "tmux ends", func() bool { return len(b.processes()) == 0 })
	b.noTrace()
}

// A background process that keeps the terminal open does not keep rt waiting.
func TestExecEndsBeforeItsTerminal(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	b.create()
	b.ok("start", b.id)
	out := b.ok("exec", "-t", b.id, "sh", "-c", `trap "" HUP; (trap "" HUP; exec sleep 1000) & echo hi`)
	want(t, "output", strings.TrimSpace(out), "hi")
	eventually(t, "it runs on", func() bool { return strings.Count(strings.Join(b.processes(), " "), "sleep\x001000") == 2 })

	r := b.rtIn("hello\n", "exec", "-t", b.id, "cat") // the terminal echoes it
	if r.code != 0 || strings.ReplaceAll(r.stdout, "\r", "") != "hello\nhello\n" {
		t.Error(r)
	}
	b.ok("delete", "--force", b.id)
	b.noTrace()
}
