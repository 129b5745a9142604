package state

import (
	"fmt"
	"os"

	"github.com/rtcontainers/rt/internal/defence"
	"golang.org/x/sys/unix"
)

// A state names programs that rt runs as its own user, the hooks, and what rt kills and
// deletes. So rt trusts only files that nobody else can have written:
//
//   - A container's directory and the files in it belong to rt's effective user, and
//     neither group nor others may write to them. rt checks them through the descriptors
//     that it then reads.
//   - The directory of all containers belongs to that user or to root. Others may write
//     to it only if it has the sticky bit, as /tmp: they can make their own directories
//     there, but not replace those of rt.
//
// Whoever may write to a directory above can replace all of it. The caller of rt chooses
// those directories.

const (
	writableByOthers = 0o022
	sticky           = unix.S_ISVTX
)

// checkOwn checks a container's directory or a file in it.
func checkOwn(fd int, path string) error {
	return check(fd, path, func(st *unix.Stat_t, uid uint32) bool {
		return st.Uid == uid && st.Mode&writableByOthers == 0
	})
}

// checkRoot checks the directory of all containers.
func checkRoot(fd int, path string) error {
	return check(fd, path, func(st *unix.Stat_t, uid uint32) bool {
		return (st.Uid == uid || st.Uid == 0) && (st.Mode&writableByOthers == 0 || st.Mode&sticky != 0)
	})
}

func check(fd int, path string, own func(st *unix.Stat_t, uid uint32) bool) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return &os.PathError{Op: "fstat", Path: path, Err: err}
	}
	uid := uint32(os.Geteuid())
	if own(&st, uid) || defence.Off(defence.StateOwner) {
		return nil
	}
	if st.Uid != uid && (st.Uid != 0 || st.Mode&writableByOthers == 0) {
		return fmt.Errorf("%s belongs to user %d (mode %04o), not to user %d: %w; run rt as user %[2]d, or delete it, or give another --root",
			path, st.Uid, st.Mode&0o7777, uid, ErrForeign)
	}
	return fmt.Errorf("%s has mode %04o: %w; if you made it, run chmod go-w on it; otherwise delete it, or give another --root",
		path, st.Mode&0o7777, ErrForeign)
}
