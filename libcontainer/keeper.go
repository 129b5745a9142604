package libcontainer

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"unsafe"

	"github.com/rtcontainers/rt/libcontainer/internal/compile"
	"golang.org/x/sys/unix"
)

// KeeperOptions say what the keeper does: the small program that takes the place of its
// caller, by Container.Handover.
type KeeperOptions struct {
	// NoRemoval leaves what is left of the container when it has ended.
	NoRemoval bool
	// Delete is a command, with an absolute path, that deletes the container:
	// for when it left more than the usual behind.
	Delete []string
	// Ignored are signals that are not forwarded to the container.
	Ignored []unix.Signal
}

// keeper has the wishes for the program. It may be nil.
func (o *KeeperOptions) keeper() *compile.Keeper {
	if o == nil {
		return nil
	}
	return &compile.Keeper{NoRemoval: o.NoRemoval, Delete: o.Delete, Ignored: o.Ignored}
}

// Handover replaces the calling program by a small one that waits for the
// container, forwards signals, deletes the container and ends with its exit
// status. It is for programs that would do nothing else any more, and holds
// some dozens of KiB of memory. It needs Options.Keeper. last is called right
// before, on a thread that takes no signals any more: the signals that came
// until then are the caller's to forward, and those that still come to its other
// threads. If Handover returns, the caller has to wait itself.
func (c *Container) Handover(p *Process, last func()) error {
	return p.handover(last, p.p.PidFD, int(c.dir.Fd()))
}

// Handover is Container.Handover for a process that Exec started: nothing is deleted.
func (p *Process) Handover(last func()) error { return p.handover(last, p.p.PidFD) }

// handover executes the keeper, for which some descriptors stay open.
func (p *Process) handover(last func(), fds ...int) error {
	if p.keeper == nil {
		return errors.New("the container's end takes more than the removal of its cgroup and its state")
	}
	for _, fd := range fds {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return err
		}
	}
	// What comes to this thread from here on waits for the new program.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	old, err := setMask(^uint64(0))
	if err != nil {
		return err
	}
	last()
	err = unix.Exec("/proc/self/fd/"+strconv.Itoa(int(p.keeper.Fd())), []string{"rt-keeper"}, nil)
	_, restored := setMask(old)
	return errors.Join(os.NewSyscallError("execve", err), restored)
}

// setMask sets the signals that the calling OS thread blocks, and returns those
// that it blocked before: sigprocmask(2).
func setMask(mask uint64) (old uint64, err error) {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK,
		uintptr(unsafe.Pointer(&mask)), uintptr(unsafe.Pointer(&old)), unsafe.Sizeof(mask), 0, 0)
	if errno != 0 {
		return 0, os.NewSyscallError("rt_sigprocmask", errno)
	}
	return old, nil
}
