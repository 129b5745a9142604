package compile

import (
	"slices"

	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"golang.org/x/sys/unix"
)

// Keeper describes the program that replaces `rt run` while its container runs: it
// forwards signals, reaps orphans, and cleans up.
type Keeper struct {
	// Pid is the container's process, a child of the keeper; PidFD refers to it.
	Pid, PidFD int
	// Dir is the container's state directory, DirFD is open on it, and Inode is its
	// number: if the number has changed, the keeper leaves the directory alone.
	Dir   string
	DirFD int
	Inode uint64
	// Files are the names in Dir, in the order of their removal.
	Files []string
	// Cgroups are the directories to remove.
	Cgroups []string
	// NoRemoval leaves the container's state and cgroup.
	NoRemoval bool
	// Leave lets Delete do all of the removal.
	Leave bool
	// Delete is a command that removes what the keeper cannot.
	Delete []string
	// Ignored are the signals that are not forwarded.
	Ignored []unix.Signal
}

// CompileKeeper makes the keeper's program. It replaces rt, so that the container's parent
// stays the same process.
func CompileKeeper(k *Keeper) (*program.Program, error) {
	c := &keeper{Builder: program.NewBuilder(), Keeper: k}
	c.wait()
	if !k.NoRemoval {
		c.cleanUp()
	}
	c.exit()
	c.giveUp()
	return c.Build()
}

type keeper struct {
	*program.Builder
	*Keeper
	// status is the container's process's, deleted that of rt delete.
	status, deleted program.Ref
}

// wait forwards signals until the container's process has ended.
func (k *keeper) wait() {
	const maskSize = 8 // bytes of the kernel's signal set
	k.status, k.deleted = k.Buffer("status", 8), k.Buffer("status of rt delete", 8)
	info := k.Buffer("signalfd_siginfo", 128)
	signals, r := k.Reg(), k.Reg()
	reap, next, ended := k.NewLabel("reap"), k.NewLabel("next signal"), k.NewLabel("ended")

	if !defence.Off(defence.InheritedFiles) {
		k.closeOthers()
	}
	k.Source("", "receive signals through a signalfd")
	mask := program.At(k.Struct("all signals", program.U64(^uint64(0))))
	k.Do(program.RtSigprocmask, program.Imm(unix.SIG_SETMASK), mask, program.Imm(0), program.Imm(maskSize))
	k.Do(program.Signalfd4, program.Imm(-1), mask, program.Imm(maskSize), program.Imm(unix.SFD_CLOEXEC)).To(signals)

	k.Bind(reap)
	k.Source("", "reap what has ended: the container, or an orphan")
	k.Do(program.Wait4, program.Imm(-1), program.At(k.status), program.Imm(unix.WNOHANG), program.Imm(0)).To(r)
	k.Branch(r, program.Eq, int64(k.Pid), ended)
	k.Branch(r, program.Ge, 1, reap)

	k.Bind(next)
	k.Source("", "wait for a signal")
	k.Do(program.Read, program.R(signals), program.At(info), program.Imm(128)).OnError(reap, unix.EINTR)
	k.Load(r, 4, info)
	k.Branch(r, program.Eq, int64(unix.SIGCHLD), reap)
	for _, s := range k.Ignored {
		k.Branch(r, program.Eq, int64(s), next)
	}
	k.Source("", "forward the signal to the container")
	k.Do(program.PidfdSendSignal, program.Imm(k.PidFD), program.R(r), program.Imm(0), program.Imm(0)).Ignore()
	k.Jump(next)
	k.Bind(ended)
	k.Free(r)
}

// closeOthers closes the descriptors that the keeper does not need; otherwise the caller's
// descriptors would stay open as long as the container runs.
func (k *keeper) closeOthers() {
	k.Source("", "close the descriptors that the caller of rt left open")
	first := 3
	needed := []int{k.PidFD}
	if !k.NoRemoval {
		needed = append(needed, k.DirFD)
	}
	slices.Sort(needed)
	for _, fd := range needed {
		if fd > first {
			k.Do(program.CloseRange, program.Imm(first), program.Imm(fd-1), program.Imm(0))
		}
		first = fd + 1
	}
	k.Do(program.CloseRange, program.Imm(first), program.Imm(uint32(1<<32-1)), program.Imm(0))
}

// cleanUp deletes the container, unless somebody else has. The directory's lock and its
// inode number tell.
func (k *keeper) cleanUp() {
	const offInode = 32 // of struct statx: stx_ino
	stat := k.Buffer("statx", 256)
	r := k.Reg()
	gone, messy := k.NewLabel("exit"), k.NewLabel("left to rt")
	k.Source("", "check whether the container still exists")
	k.Do(program.Flock, program.Imm(k.DirFD), program.Imm(unix.LOCK_EX)).OnError(messy)
	k.Do(program.Statx, program.AtFdcwd, k.Str(k.Dir), program.Imm(unix.AT_SYMLINK_NOFOLLOW), program.Imm(unix.STATX_INO), program.At(stat)).To(r).Ignore()
	k.Branch(r, program.Eq, -int64(unix.ENOENT), gone)
	k.Branch(r, program.Ne, 0, messy)
	k.Load(r, 8, stat.Plus(offInode))
	k.Branch(r, program.Ne, int64(k.Inode), gone)

	if k.Leave {
		k.Bind(messy)
		k.leave(r)
		k.Bind(gone)
		k.Free(r)
		return
	}
	for _, dir := range k.Cgroups {
		k.Source("linux.cgroupsPath", "remove the cgroup "+dir)
		k.remove(program.AtFdcwd, dir, unix.AT_REMOVEDIR, messy)
	}
	k.Source("", "remove the state directory")
	for _, name := range k.Files {
		k.remove(program.Imm(k.DirFD), name, 0, messy)
	}
	k.remove(program.AtFdcwd, k.Dir, unix.AT_REMOVEDIR, messy)
	k.Jump(gone)
	k.Bind(messy)
	k.leave(r)
	k.Bind(gone)
	k.Free(r)
}

func (k *keeper) remove(dir program.Arg, name string, flags int, messy program.Label) {
	r, removed := k.Reg(), k.NewLabel("removed")
	k.Do(program.Unlinkat, dir, k.Str(name), program.Imm(flags)).To(r).Ignore()
	k.Branch(r, program.Eq, 0, removed)
	k.Branch(r, program.Ne, -int64(unix.ENOENT), messy)
	k.Bind(removed)
	k.Free(r)
}

// leave lets the Delete command do the rest, and waits for it.
func (k *keeper) leave(r program.Reg) {
	k.Source("", "let rt delete the container")
	parent, failed, ended := k.NewLabel("wait for rt"), k.NewLabel("no rt"), k.NewLabel("rt has ended")
	unlocked := program.At(k.Struct("no signals", program.U64(0)))
	k.Do(program.Flock, program.Imm(k.DirFD), program.Imm(unix.LOCK_UN)).Ignore()
	k.Do(program.Clone, program.Imm(int(unix.SIGCHLD)), program.Imm(0), program.Imm(0), program.Imm(0), program.Imm(0)).To(r).OnError(failed)
	k.Branch(r, program.Ne, 0, parent)
	k.Do(program.RtSigprocmask, program.Imm(unix.SIG_SETMASK), unlocked, program.Imm(0), program.Imm(8)).Ignore()
	k.Do(program.Execve, k.Str(k.Delete[0]), program.At(k.Strings("argv", k.Delete)), program.At(k.Strings("envp", nil))).Ignore()
	k.say("cannot execute rt delete: delete the container with rt delete --force")
	k.Do(program.ExitGroup, program.Imm(1))
	k.Bind(failed)
	k.say("cannot start rt delete: delete the container with rt delete --force")
	k.Jump(ended)
	k.Bind(parent)
	k.Do(program.Wait4, program.R(r), program.At(k.deleted), program.Imm(0), program.Imm(0)).Ignore()
	k.Load(r, 4, k.deleted)
	k.Branch(r, program.Eq, 0, ended)
	k.say("did not see rt delete succeed: delete the container with rt delete --force")
	k.Bind(ended)
}

// say writes a message to standard error.
func (k *keeper) say(text string) {
	text = "rt: the keeper " + text + "\n"
	k.Do(program.Write, program.Imm(2), k.Str(text), program.Imm(len(text))).Ignore()
}

// giveUp is where the keeper goes if it cannot wait: a container that nobody waits for, and
// nobody deletes, must not stay.
func (k *keeper) giveUp() {
	k.FailAt(k.Here("failure"))
	k.Source("", "end the process, since the keeper cannot wait for it")
	k.say("cannot wait for the process any longer, and has killed it")
	k.Do(program.PidfdSendSignal, program.Imm(k.PidFD), program.Imm(int(unix.SIGKILL)), program.Imm(0), program.Imm(0)).Ignore()
	if !k.NoRemoval {
		r := k.Reg()
		k.leave(r)
		k.Free(r)
	}
	k.Source("", "exit with the status of the container's process")
	k.Do(program.ExitGroup, program.Imm(1))
}

// exit returns the status: as in shells, 128 plus the signal's number if a signal ended
// the process.
func (k *keeper) exit() {
	const (
		lastSignal = 64
		core       = 0x80 // the flag that a core was dumped, wait(2)
	)
	signal, code := k.Reg(), k.Reg()
	k.Source("", "exit with the status of the container's process")
	k.Load(signal, 1, k.status)
	k.Load(code, 1, k.status.Plus(1))
	killed := k.NewLabel("killed")
	k.Branch(signal, program.Ne, 0, killed)
	k.Do(program.ExitGroup, program.R(code))
	k.Bind(killed)
	for s := 1; s <= lastSignal; s++ {
		this, other := k.NewLabel("this signal"), k.NewLabel("another signal")
		k.Branch(signal, program.Eq, int64(s), this)
		k.Branch(signal, program.Ne, int64(s|core), other)
		k.Bind(this)
		k.Do(program.ExitGroup, program.Imm(128+s))
		k.Bind(other)
	}
}
