package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
	"golang.org/x/sys/unix"
)

// Files of the runtime on the host, against ordinary users of the host and against
// the container.

var stateAttacks = []attack{
	{
		name:     "state-planted",
		about:    "root works with a directory of containers in which another user has put a state with a hook that runs at deletion",
		kinds:    []string{"13.16"},
		defences: []defence.Name{defence.StateOwner},
		ours:     true,
		mount: func(t *try) string {
			b := t.script("sleep 100")
			hooked := t.host("hooked")
			b.spec.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "echo > " + hooked}}}}
			b.start()
			t.must(syscall.Kill(b.pid(), syscall.SIGKILL))
			t.give(filepath.Join(t.Dir, "state"))
			b.do("delete", "--force", b.id)
			if fileExists(hooked) {
				return "root ran the planted hook"
			}
			return ""
		},
	},
	{
		name:     "state-private",
		about:    "an ordinary user reads the kept configuration of a container, or starts a created one by its socket",
		kinds:    []string{"state directory, sockets"},
		defences: []defence.Name{defence.PrivateState},
		ours:     true,
		mount: func(t *try) string {
			b := t.script("touch /started; sleep 100")
			b.spec.Process.Env = append(b.spec.Process.Env, "TOKEN="+secret)
			b.create()
			files, _ := filepath.Glob(filepath.Join(t.Dir, "state", b.id, "*"))
			if len(files) < 2 {
				t.fail("no state")
			}
			user := []string{filepath.Join(t.Scratch, "busybox"), "cat"}
			if tell(t.asUser(append(user, files...)...), secret, secret) != "" {
				return "an ordinary user read the configuration"
			}
			for _, name := range files {
				t.asUser(filepath.Join(t.Scratch, attackerName), "connect", name)
			}
			time.Sleep(50 * time.Millisecond)
			if fileExists(b.root("started")) {
				return "an ordinary user started the container"
			}
			return ""
		},
	},
	{
		name:     "pid-file-link",
		about:    "an ordinary user has put a symlink where the pid file will be",
		kinds:    []string{"pid file"},
		defences: []defence.Name{defence.CallerFiles},
		mount: func(t *try) string {
			b := t.script("true")
			target := t.write(t.host("important"), "original")
			t.link(target, t.host("user", "pid"))
			t.give(t.host("user"))
			b.run("--pid-file", t.host("user", "pid"))
			if read(target) != "original" {
				return "a file of the host was overwritten"
			}
			return ""
		},
	},
	{
		name:     "pid-file-mode",
		about:    "an ordinary user changes a pid file",
		kinds:    []string{"pid file"},
		defences: []defence.Name{defence.CallerFiles},
		mount: func(t *try) string {
			b := t.script("sleep 100")
			old := unix.Umask(0)
			defer unix.Umask(old)
			name := t.host("pid")
			b.start("--pid-file", name)
			t.asUser(filepath.Join(t.Scratch, "busybox"), "sh", "-c", "echo 1 > "+name)
			if strings.TrimSpace(read(name)) == "1" {
				return "an ordinary user changed the pid file"
			}
			return ""
		},
	},
	{
		name:     "log-file-mode",
		about:    "an ordinary user changes the runtime's log",
		kinds:    []string{"log file"},
		defences: []defence.Name{defence.CallerFiles},
		mount: func(t *try) string {
			b := t.script("true")
			old := unix.Umask(0)
			defer unix.Umask(old)
			name := t.host("log")
			b.save()
			b.do("--log", name, "--debug", "run", "--bundle", b.dir, b.id)
			if !fileExists(name) {
				t.fail("no log")
			}
			t.asUser(filepath.Join(t.Scratch, "busybox"), "sh", "-c", "echo forged > "+name)
			if strings.HasPrefix(read(name), "forged") {
				return "an ordinary user changed the log"
			}
			return ""
		},
	},
	{
		name:     "notify-socket",
		about:    "a process of a created container puts a symlink in the place of its NOTIFY_SOCKET, and the runtime makes a file of the host accessible to all",
		kinds:    []string{"13.8"},
		defences: []defence.Name{defence.NotifySocket},
		race:     true,
		patience: 15 * minute,
		ours:     true,
		mount:    notifySocket,
	},
}

// ordinary is a user of the host without any rights.
const ordinary = 65534

// give changes the owner of a directory and its content to the ordinary user.
func (t *try) give(dir string) {
	t.must(filepath.Walk(dir, func(name string, _ os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(name, ordinary, ordinary)
	}))
}

// asUser runs a command as the ordinary user.
func (t *try) asUser(args ...string) result {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = t.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ordinary, Gid: ordinary}}
	return t.execute(cmd, commandTime)
}

// connect connects to a socket and stays a moment.
func connect(args []string) error {
	c, err := net.Dial("unixpacket", args[0])
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte{1})
	time.Sleep(50 * time.Millisecond)
	return err
}

// notifySocket makes a process replace the socket as soon as it exists.
func notifySocket(t *try) string {
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: t.host("manager")})
	t.must(err)
	defer manager.Close()
	target := t.write(t.host("important"), "original")
	for i := range t.times(40) {
		t.must(os.Chmod(target, 0o600))
		b := t.script("true")
		b.save()
		with := func(args ...string) *exec.Cmd {
			cmd := b.command(args...)
			cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+t.host("manager"))
			return cmd
		}
		if r := t.execute(with("create", "--bundle", b.dir, b.id), commandTime); r.code != 0 {
			t.fail("%s", r.stderr)
		}
		b.do("exec", "--detach", b.id, "/bin/"+attackerName, "relink", "/run/notify/notify.sock", target)
		t.execute(with("start", b.id), commandTime)
		info, err := os.Stat(target)
		t.must(err)
		b.remove()
		if info.Mode().Perm() != 0o600 {
			return fmt.Sprintf("a file of the host has the mode %v after try %d", info.Mode().Perm(), i+1)
		}
	}
	return ""
}

// relink replaces a file by a symlink as soon as it exists.
func relink(args []string) error {
	next := args[0] + ".next"
	if err := os.Symlink(args[1], next); err != nil {
		return err
	}
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		for range 1000 {
			if unix.Renameat2(unix.AT_FDCWD, next, unix.AT_FDCWD, args[0], unix.RENAME_EXCHANGE) == nil {
				return nil
			}
		}
	}
	return nil
}
