package integration

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// notify is sd_notify(3).
func notify(message string) error {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: os.Getenv("NOTIFY_SOCKET")})
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte(strings.ReplaceAll(message, " ", "\n")))
	return err
}

// manager is a service manager's side of sd_notify(3).
type manager struct {
	t    *testing.T
	conn *net.UnixConn
	path string
}

func newManager(t *testing.T) *manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path})
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	return &manager{t, conn, path}
}

// next is the next message that is not a barrier.
func (m *manager) next() string {
	m.t.Helper()
	must(m.t, m.conn.SetReadDeadline(time.Now().Add(patience(20*time.Second))))
	for {
		message, err := m.read()
		must(m.t, err)
		if message != "BARRIER=1" {
			return message
		}
	}
}

// read takes a message and lets a barrier through.
func (m *manager) read() (string, error) {
	data, control := make([]byte, 4096), make([]byte, unix.CmsgSpace(4))
	n, size, _, _, err := m.conn.ReadMsgUnix(data, control)
	if err != nil {
		return "", err
	}
	if size == 0 {
		return string(data[:n]), nil
	}
	messages, err := unix.ParseSocketControlMessage(control[:size])
	if err != nil {
		return "", err
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	for _, fd := range fds {
		unix.Close(fd)
	}
	return string(data[:n]), err
}

// addNotify makes this test the container's program sd_notify.
func (b *bundle) addNotify() { b.addSelf("sd_notify") }

// addSelf makes this test a program of the container.
func (b *bundle) addSelf(name string) {
	b.t.Helper()
	self, err := os.Executable()
	must(b.t, err)
	copyFile(b.t, self, b.path("bin/"+name))
}

// newNotifyingBundle has this test as the program sd_notify.
func newNotifyingBundle(t *testing.T, script string) *bundle {
	t.Helper()
	b := newBundle(t, script)
	b.addNotify()
	return b
}

func TestNotifySocket(t *testing.T) {
	const script = `sd_notify 'STATUS=begins MAINPID=1'; sd_notify READY=1; exec sleep 1000`
	for name, start := range map[string]func(*bundle){
		"start": func(b *bundle) {
			b.ok("create", b.id)
			b.ok("start", b.id)
		},
		"run --detach": func(b *bundle) { b.ok("run", "--detach", b.id) },
		"in a user namespace": func(b *bundle) {
			b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
			b.spec.Linux.UIDMappings = []specs.LinuxIDMapping{{HostID: 0, Size: 1000}}
			b.spec.Linux.GIDMappings = b.spec.Linux.UIDMappings
			b.write()
			b.ok("run", "--detach", b.id)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newNotifyingBundle(t, script)
			b.write()
			m := newManager(t)
			t.Setenv("NOTIFY_SOCKET", m.path)
			done := make(chan struct{})
			go func() {
				defer close(done)
				start(b)
			}()
			want(t, "first message", m.next(), "STATUS=begins") // and not who the main process is
			second := m.next()
			go func() { _, _ = m.read() }() // the last barrier
			<-done
			want(t, "second message", second, fmt.Sprintf("READY=1\nMAINPID=%d", b.state().Pid))
		})
	}
}

func TestNotifySocketInTheForeground(t *testing.T) {
	b := newNotifyingBundle(t, `sd_notify READY=1; sleep 0.1; sd_notify STOPPING=1; exit 3`)
	b.write()
	m := newManager(t)
	cmd := b.command("run", b.id)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+m.path)
	must(t, cmd.Start())
	want(t, "first message", m.next(), "READY=1")
	want(t, "second message", m.next(), "STOPPING=1") // sent as its last act
	go func() { _, _ = m.read() }()                   // the last barrier
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 3 {
		t.Errorf("exit status %d", code)
	}
	b.noTrace()
}

// A service that was ready, however soon it ended.
func TestNotifySocketOfAShortService(t *testing.T) {
	b := newNotifyingBundle(t, "sd_notify READY=1")
	b.write()
	m := newManager(t)
	t.Setenv("NOTIFY_SOCKET", m.path)
	b.ok("create", b.id)
	go func() {
		for {
			if _, err := m.read(); err != nil {
				return
			}
		}
	}()
	b.ok("start", b.id)
}

func TestNotifySocketOfAServiceThatFails(t *testing.T) {
	b := newNotifyingBundle(t, "exit 1")
	b.write()
	m := newManager(t)
	t.Setenv("NOTIFY_SOCKET", m.path)
	b.ok("create", b.id)
	b.fails([]string{"NOTIFY_SOCKET", "ended before it was ready"}, "start", b.id)
}

// swapper is a program of the container that puts a symlink in the place of its
// sd_notify(3) socket as soon as that exists.
const swapper = "swap-socket"

func swapSocket(target string) {
	socket := os.Getenv("NOTIFY_SOCKET")
	dir := filepath.Dir(socket)
	link := filepath.Join(dir, "link")
	// With this capability the container can make the mount writable.
	err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND, "")
	if err == nil {
		err = os.Symlink(target, link)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "ready"), nil, 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, swapper+":", err)
		os.Exit(1)
	}
	for unix.Access(socket, unix.F_OK) != nil {
	}
	_ = unix.Rename(link, socket)
	os.Exit(0)
}

// The mode of the socket is set on no other file, whatever the container does to its name
// meanwhile.
func TestNotifySocketIsNotSwapped(t *testing.T) {
	for range often(6) {
		b := newBundle(t, "exit 0")
		privileged(b)
		b.addSelf(swapper)
		target := filepath.Join(t.TempDir(), "target")
		must(t, os.WriteFile(target, nil, 0o600))
		m := newManager(t)
		t.Setenv("NOTIFY_SOCKET", m.path)
		b.create()
		socket := filepath.Join(b.root, b.id, "notify", "notify.sock")
		b.ok("exec", "--detach", "--env", "NOTIFY_SOCKET=/run/notify/notify.sock", b.id, swapper, target)
		eventually(t, "the container is ready to swap", func() bool {
			_, err := os.Stat(filepath.Join(filepath.Dir(socket), "ready"))
			return err == nil
		})
		b.rt("start", b.id)
		info, err := os.Stat(target)
		must(t, err)
		if info.Mode() != 0o600 {
			t.Fatalf("a file of the host has the mode %v", info.Mode())
		}
	}
}

// The container cannot change the directory of its socket, and everybody in it may write
// to the socket.
func TestNotifySocketAndItsDirectory(t *testing.T) {
	b := newNotifyingBundle(t, "touch /run/notify/x && echo written; stat -c %a $NOTIFY_SOCKET; sd_notify READY=1")
	b.spec.Process.User.UID, b.spec.Process.User.GID = 1000, 1000
	b.write()
	m := newManager(t)
	t.Setenv("NOTIFY_SOCKET", m.path)
	go func() {
		for {
			if _, err := m.read(); err != nil {
				return
			}
		}
	}()
	r := b.rt("run", b.id)
	if r.code != 0 || r.stdout != "777\n" || !strings.Contains(r.stderr, "Read-only") {
		t.Errorf("%v", r)
	}
}
