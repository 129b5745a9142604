package cgroup

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/opencontainers/cgroups"
	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/internal/sysfile"
	"golang.org/x/sys/unix"
)

// Pids lists the processes in the cgroup and below, as far as rt's pid namespace shows
// them. The error is ErrNone if the cgroup is gone.
func (c *Cgroup) Pids() ([]int, error) {
	pids, err := c.allPids()
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, err
	}
	inside := func(int) bool { return true }
	if c.Unified() == "" {
		if inside, err = leaders(c.Paths["devices"]); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(pids, func(pid int) bool { return pid <= 0 || !inside(pid) }), nil
}

// leaders tells which processes have their first thread in a cgroup of v1 or below. An rt
// that is about to enter (Placement.Prepare) has another thread there, but it is not one
// of the container's processes.
func leaders(dir string) (func(pid int) bool, error) {
	ids, err := idsBelow(dir, "tasks")
	if errors.Is(err, os.ErrNotExist) {
		err = nil // it has ended meanwhile
	}
	threads := make(map[int]bool, len(ids))
	for _, id := range ids {
		threads[id] = true
	}
	return func(pid int) bool {
		if threads[pid] {
			return true
		}
		p, err := sysfile.ReadProcess(pid)
		return err == nil && p.State == 'Z' // its first thread has ended, and is in no cgroup
	}, err
}

// Signal sends a signal to all processes in the cgroup and below, even if they fork
// meanwhile. SIGKILL also kills frozen processes. The error is ErrNone if the cgroup is
// gone.
func (c *Cgroup) Signal(sig unix.Signal) (err error) {
	pids, err := c.Pids()
	if err != nil {
		return err
	}
	if sig == unix.SIGKILL && !slices.Contains(pids, os.Getpid()) {
		// A cgroup that rt itself is in cannot be killed as a whole.
		if dir := c.Unified(); dir == "" || sysfile.Write(filepath.Join(dir, "cgroup.kill"), []byte("1")) != nil { // since Linux 5.14
			_ = c.manager.Freeze(cgroups.Frozen) // nobody forks while the list is worked through
			defer func() { err = errors.Join(err, c.Thaw()) }()
		}
	}
	sent := map[int]bool{os.Getpid(): true}
	const rounds = 10 // for processes that are made meanwhile
	for n := 0; n < rounds; n++ {
		fresh := slices.DeleteFunc(pids, func(pid int) bool { return sent[pid] })
		if len(fresh) == 0 {
			break
		}
		for batch := range slices.Chunk(fresh, 256) { // descriptors
			err = errors.Join(err, c.signal(batch, sig))
		}
		for _, pid := range fresh {
			sent[pid] = true
		}
		next, e := c.Pids()
		if e != nil {
			err = errors.Join(err, unlessGone(e))
			break
		}
		pids = next
	}
	return err
}

// unlessGone is an error of listing processes, or nil if the cgroup has gone, and all of them
// with it.
func unlessGone(err error) error {
	if errors.Is(err, ErrNone) || vanished(err) {
		return nil
	}
	return err
}

// signal sends a signal to those processes that are still in the cgroup. The pid of a
// process that has ended may belong to any other process. So signal first opens a pidfd,
// and then checks again that the pid is in the cgroup.
func (c *Cgroup) signal(pids []int, sig unix.Signal) (err error) {
	held := map[int]int{}
	defer func() {
		for _, fd := range held {
			unix.Close(fd)
		}
	}()
	for _, pid := range pids {
		fd, e := unix.PidfdOpen(pid, 0)
		if e == nil {
			held[pid] = fd
		} else if e != unix.ESRCH && e != unix.EINVAL { // older kernels return this for a process that is just being reaped
			err = errors.Join(err, fmt.Errorf("signal process %d: pidfd_open: %w", pid, e))
		}
	}
	still, e := c.Pids()
	if e != nil {
		return errors.Join(err, unlessGone(e))
	}
	for _, pid := range still {
		if fd, ok := held[pid]; ok {
			if e := unix.PidfdSendSignal(fd, sig, nil, 0); e != nil && e != unix.ESRCH {
				err = errors.Join(err, fmt.Errorf("kill %d: %w", pid, e))
			}
		}
	}
	return err
}

// Thaw thaws all processes in the cgroup and below. On v1, frozen processes do not end,
// nor does the init of their pid namespace.
//
// Only an error after which the container is frozen is one. Then whoever killed it must
// know: it does not end.
func (c *Cgroup) Thaw() error {
	if c.Unified() != "" || defence.Off(defence.CgroupTree) {
		_ = c.manager.Freeze(cgroups.Thawed)
		return nil // there, frozen processes end
	}
	err := c.thawTree()
	if err != nil && c.Frozen() {
		if err = c.thawTree(); err != nil && c.Frozen() {
			return fmt.Errorf("thaw the cgroup %s: %w", c.Paths["freezer"], err)
		}
	}
	return nil
}

// thawTree thaws a cgroup of v1 and all below it. One that is gone needs no thawing.
func (c *Cgroup) thawTree() (failed error) {
	note := func(err error) {
		if err != nil && !vanished(err) {
			failed = cmp.Or(failed, err)
		}
	}
	note(walkDown(c.Paths["freezer"], func(dir int) {
		fd, err := unix.Openat(dir, "freezer.state", unix.O_WRONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			_, err = unix.Write(fd, []byte("THAWED"))
			unix.Close(fd)
		}
		note(err)
	}, nil))
	return failed
}

// killPatience is how long Kill waits for processes to end.
const killPatience = 10 * time.Second

// Kill kills every process in the cgroup and waits until they have ended.
func (c *Cgroup) Kill() error {
	deadline := time.Now().Add(killPatience)
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		pids, err := c.allPids()
		if len(pids) == 0 && (err == nil || errors.Is(err, os.ErrNotExist)) {
			return nil // no directory, nobody in it
		}
		if err != nil {
			return err
		}
		_ = c.Signal(unix.SIGKILL)
		if time.Now().After(deadline) {
			return fmt.Errorf("cgroup %s: processes %v do not end", c.anyPath(), pids)
		}
		time.Sleep(wait)
	}
}

// Thawed tells whether one look is enough to know that a container is not paused. Otherwise Frozen
// knows.
func (cfg Config) Thawed() bool {
	dir, name, thawed := cfg.Paths[""], "cgroup.freeze", "0\n"
	if v1, ok := cfg.Paths["freezer"]; ok {
		dir, name, thawed = v1, "freezer.state", "THAWED\n"
	}
	if dir == "" {
		return false
	}
	text, err := sysfile.ReadLine(dir + "/" + name)
	return err == nil && string(text) == thawed
}

// Frozen tells whether the container is paused.
func (c *Cgroup) Frozen() bool {
	state, err := c.manager.GetFreezerState()
	return err == nil && state == cgroups.Frozen
}

// Freeze pauses all processes of the container, or resumes them.
func (c *Cgroup) Freeze(on bool) error {
	state := cgroups.Thawed
	if on {
		state = cgroups.Frozen
	}
	// On v1 the library gives up after half a second, which may be too short on a busy
	// machine.
	const tries = 10
	err := c.manager.Freeze(state)
	for n := 1; err != nil && on && c.Unified() == "" && n < tries; n++ {
		err = c.manager.Freeze(state)
	}
	if err != nil && on {
		_ = c.Thaw() // not half of them
	}
	return err
}
