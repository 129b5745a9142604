package cgroup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/cgroups"
	"github.com/rtcontainers/rt/internal/sysfile"
	"golang.org/x/sys/unix"
)

// OutOfMemory says that the kernel killed a process of the cgroup for lack of memory;
// otherwise it is empty.
func (c *Cgroup) OutOfMemory() string {
	if c.none {
		return ""
	}
	if n, err := c.manager.OOMKillCount(); err != nil || n == 0 {
		return ""
	}
	name := filepath.Join(c.Paths["memory"], "memory.limit_in_bytes")
	if dir := c.Unified(); dir != "" {
		name = filepath.Join(dir, "memory.max")
	}
	const most = 1 << 60     // from here on v1 has no limit
	limit := c.MemoryLimit() // systemd may have removed the scope meanwhile
	if text, err := sysfile.Read(name); err == nil {
		limit, _ = strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64) // 0: v2 has none
	}
	if limit <= 0 || limit > most {
		return "the memory limit of a cgroup above the container's is too low"
	}
	return fmt.Sprintf("linux.resources.memory.limit: %d bytes are too few", limit)
}

// MemoryLimit is linux.resources.memory.limit in bytes; 0 or less: none.
func (c *Cgroup) MemoryLimit() int64 { return c.resources.Memory }

// Stats reads what the cgroup uses.
func (c *Cgroup) Stats() (*cgroups.Stats, error) { return c.manager.GetStats() }

// WatchOOM calls killed whenever the kernel kills a process of the cgroup for lack of
// memory, until stop is called or the cgroup is gone. It reports kills before the call of
// stop before stop returns.
func (c *Cgroup) WatchOOM(killed func()) (stop func(), err error) {
	if dir := c.Unified(); dir != "" {
		return watchEvents(filepath.Join(dir, "memory.events"), killed)
	}
	dir := c.Paths["memory"]
	if dir == "" {
		return nil, errors.New("no memory controller")
	}
	return watchOOMControl(dir, killed)
}

// watchEvents follows the counter oom_kill of cgroup v2: the kernel signals changes of
// memory.events.
func watchEvents(name string, killed func()) (stop func(), err error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	var last uint64
	if _, err = unix.InotifyAddWatch(fd, name, unix.IN_MODIFY); err != nil {
		err = &os.PathError{Op: "inotify_add_watch", Path: name, Err: err}
	} else {
		last, err = oomKills(name)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return follow(fd, make([]byte, 4096), func([]byte) error {
		n, err := oomKills(name)
		if err != nil {
			return err // the cgroup is gone
		}
		for ; last < n; last++ {
			killed()
		}
		return nil
	}), nil
}

func oomKills(name string) (uint64, error) {
	data, err := sysfile.Read(name)
	if err != nil {
		return 0, err
	}
	for line := range strings.SplitSeq(string(data), "\n") {
		if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
			return strconv.ParseUint(n, 10, 64)
		}
	}
	return 0, fmt.Errorf("%s: it has no counter oom_kill", name)
}

// watchOOMControl registers an eventfd(2) with cgroup v1. The kernel also signals it when
// the cgroup is removed.
func watchOOMControl(dir string, killed func()) (stop func(), err error) {
	control, err := os.Open(filepath.Join(dir, "memory.oom_control"))
	if err != nil {
		return nil, err
	}
	defer control.Close()
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	if err := sysfile.Write(filepath.Join(dir, "cgroup.event_control"), fmt.Appendf(nil, "%d %d", fd, control.Fd())); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return follow(fd, make([]byte, 8), func(count []byte) error {
		if _, err := os.Stat(dir); err != nil {
			return err
		}
		if len(count) == 0 {
			return nil
		}
		for n := binary.NativeEndian.Uint64(count); n > 0; n-- {
			killed()
		}
		return nil
	}), nil
}

// follow calls event with the data of a non-blocking descriptor, until event fails or stop
// is called. At stop it calls event once more, even without data, because the kernel
// delays notifications that follow each other within 10 ms (cgroup_file_notify in
// kernel/cgroup/cgroup.c). Only a goroutine waits meanwhile.
func follow(fd int, buf []byte, event func([]byte) error) (stop func()) {
	f := os.NewFile(uintptr(fd), "events of memory")
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer f.Close()
		for {
			n, err := f.Read(buf)
			late := errors.Is(err, os.ErrDeadlineExceeded)
			if late {
				if n, err = unix.Read(fd, buf); err == unix.EAGAIN {
					n, err = 0, nil
				}
			}
			if err == nil {
				err = event(buf[:n])
			}
			if err != nil || late {
				return
			}
		}
	}()
	return func() {
		_ = f.SetReadDeadline(time.Now())
		<-done
	}
}
