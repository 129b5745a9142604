package main

import (
	"os"
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
}
