package spec

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// An option that rt would leave out must be corrected, and the message says how.
func TestUnknownMountOptions(t *testing.T) {
	for option, want := range map[string]string{
		"nosuchoption": "is not known, and a bind mount has no options of a file system; correct it, or remove it",
		"readonly":     `is not known; write "ro"`,
		"RO":           `is not known; write "ro"`,
		" nosuid":      `is not known; write "nosuid"`,
		"O":            "asks an engine for an overlay",
		"idmap=uids=0": "is malformed: write idmap=uids=FROM-TO-LENGTH",
		"subpath=/a":   "is not known",
	} {
		s := changed(t, bound(`, "`+option+`"`, ""))
		problems := check(s).problems
		if len(problems) != 1 || problems[0].Field != "mounts[0].options[1]" || !strings.HasPrefix(problems[0].Message, `"`+option+`" `+want) {
			t.Errorf("%s: %v, want %q", option, problems, want)
		}
	}
}

// mount(8): user and users imply noexec, group and owner do not; later options win.
func TestUserOptionsRestrict(t *testing.T) {
	const restricted = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
	for name, want := range map[string]uint64{
		"user": restricted | unix.MOUNT_ATTR_NOEXEC, "users": restricted | unix.MOUNT_ATTR_NOEXEC, "group": restricted, "owner": restricted,
	} {
		if o, ok := FindMountOption(name); !ok || o.Set != want || o.Clear != 0 || o.Recursive {
			t.Errorf("%s: %+v, %v", name, o, ok)
		}
		if _, ok := FindMountOption("r" + name); ok {
			t.Errorf("r%s is known", name)
		}
	}
}
