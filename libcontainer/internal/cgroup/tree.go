package cgroup

import (
	"cmp"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/internal/sysfile"
	"golang.org/x/sys/unix"
)

// A container that may write to its cgroups can nest others below, so deep that their
// paths are longer than PATH_MAX. Code that looks for them by path finds no processes
// there, kills none, and can remove nothing. So a walk goes from one open directory to the
// next, and never has more than two of them open.

// level is a cgroup on the way down, with the cgroups below it that remain to be visited.
type level struct {
	name string
	rest []string
}

// walkDown calls visit for every cgroup from top on, and leave, if it is not nil, for
// every one below top after all cgroups below that. It skips cgroups that disappear
// meanwhile. At the end it returns why it could not look at others.
func walkDown(top string, visit func(dir int), leave func(parent int, name string) error) (missed error) {
	dir, err := openDirectory(unix.AT_FDCWD, top)
	if err != nil {
		return &os.PathError{Op: "open", Path: top, Err: err}
	}
	defer func() { unix.Close(dir) }()
	miss := func(err error) {
		if err != nil && !vanished(err) {
			missed = cmp.Or(missed, os.NewSyscallError("read a directory of cgroups", err))
		}
	}
	way := []level{enterLevel(dir, top, visit, miss)}
	for {
		here := &way[len(way)-1]
		if n := len(here.rest); n > 0 {
			name := here.rest[n-1]
			here.rest = here.rest[:n-1]
			next, err := openDirectory(dir, name)
			if err != nil {
				miss(err)
				continue
			}
			unix.Close(dir)
			dir = next
			way = append(way, enterLevel(dir, name, visit, miss))
			continue
		}
		if len(way) == 1 {
			return missed
		}
		// A cgroup cannot be moved into another one.
		parent, err := openDirectory(dir, "..")
		if err != nil {
			return os.NewSyscallError("openat", err)
		}
		unix.Close(dir)
		dir = parent
		way = way[:len(way)-1]
		if leave != nil {
			if err := leave(dir, here.name); err != nil {
				return err
			}
		}
	}
}

func openDirectory(parent int, name string) (int, error) {
	return unix.Openat(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

func enterLevel(dir int, name string, visit func(dir int), miss func(error)) level {
	if visit != nil {
		visit(dir)
	}
	names, err := directories(dir)
	miss(err)
	return level{name: name, rest: names}
}

// vanished tells whether an error means that a cgroup was removed: ENODEV is that of its
// open files.
func vanished(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV)
}

// directories are the cgroups in a cgroup.
func directories(dir int) (names []string, err error) {
	fd, err := openDirectory(dir, ".")
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "cgroup")
	defer f.Close()
	entries, err := f.ReadDir(-1)
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// idsBelow are the numbers in a file of a cgroup, and of all below it.
func idsBelow(top, file string) (ids []int, err error) {
	var unread error
	err = walkDown(top, func(dir int) {
		text, err := sysfile.ReadAt(dir, file)
		if errors.Is(err, unix.EOPNOTSUPP) && file == "cgroup.procs" { // a threaded cgroup
			text, err = sysfile.ReadAt(dir, "cgroup.threads")
		}
		if err != nil {
			if !vanished(err) {
				unread = cmp.Or(unread, err)
			}
			return
		}
		for id := range strings.FieldsSeq(string(text)) {
			if n, err := strconv.Atoi(id); err == nil {
				ids = append(ids, n)
			}
		}
	}, nil)
	return ids, cmp.Or(err, unread)
}

// removeBelow removes a cgroup and all below it.
func removeBelow(top string) error {
	err := walkDown(top, nil, removeOne)
	if err == nil {
		err = removeOne(unix.AT_FDCWD, top)
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// removeOne removes a cgroup in which a process may just be ending.
func removeOne(parent int, name string) error {
	const tries = 5
	wait := 10 * time.Millisecond
	for try := 1; ; try++ {
		err := unix.Unlinkat(parent, name, unix.AT_REMOVEDIR)
		switch {
		case err == unix.ENOENT:
			return nil
		case err == unix.EINTR:
			try--
		case err == unix.EBUSY && try < tries:
			time.Sleep(wait)
			wait *= 2
		default:
			return err
		}
	}
}

// allPids lists the processes in the cgroup and below.
func (c *Cgroup) allPids() ([]int, error) {
	pids, err := c.manager.GetAllPids()
	if !errors.Is(err, unix.ENAMETOOLONG) {
		return pids, err
	}
	if defence.Off(defence.CgroupTree) {
		return nil, nil
	}
	top := c.Unified()
	if top == "" {
		top = c.Paths["devices"]
	}
	pids, err = idsBelow(top, "cgroup.procs")
	slices.Sort(pids)
	return slices.Compact(pids), err
}

// Destroy removes the directories, including those that the container made.
func (c *Cgroup) Destroy() error {
	err := c.manager.Destroy()
	if err == nil || defence.Off(defence.CgroupTree) {
		return err
	}
	// The library finds them by their paths.
	var failed error
	for _, path := range c.Paths {
		failed = errors.Join(failed, removeBelow(path))
	}
	return failed
}
