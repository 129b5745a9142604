package cgroup

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/rtcontainers/rt/internal/sysfile"
	"golang.org/x/sys/unix"
)

// Placement is how a process gets into the cgroup.
type Placement struct {
	// Dir is the cgroup v2 directory in which the process is born, or nil.
	Dir *os.File
	// Prepare moves the calling OS thread into the cgroup v1 directories, so that its next
	// child is born there. It is nil if there are none.
	Prepare func() error
	// Leave moves the calling OS thread, after Prepare, out of the hierarchies that can stop
	// it. It is nil if it is in none.
	Leave func()
	// Move moves a process there, in systemd's way, or is nil.
	Move func(pid int) error
	// Halting are the files by which a process enters the cgroup v1 hierarchies that can
	// stop it: freezer and cpu. For a further process Prepare leaves them out, because a
	// thread of rt would be stopped, too.
	Halting []string
	// tasks are the files that Prepare writes to.
	tasks []string
	// Paths are Config.Paths without those that could not be made.
	Paths map[string]string
}

// Placement opens what a launch needs. The caller closes Dir.
func (c *Cgroup) Placement() (*Placement, error) {
	if c.none {
		return new(Placement), nil
	}
	if c.Systemd {
		return &Placement{Move: c.move, Paths: c.Paths}, nil
	}
	paths := maps.Clone(c.manager.GetPaths())
	p, err := c.placement(paths, func(_, path string) string { return path })
	if err == nil {
		p.Paths = paths
		if len(p.Halting) > 0 {
			p.Leave = c.leaveHalting
		}
	}
	return p, err
}

// halting are the controllers of cgroup v1 that can stop a process.
var halting = []string{"freezer", "cpu"}

// leaveHalting moves the calling thread to where rt itself is. A thread that is about to end needs
// a moment for it, which a low cpu.shares gives it late on a busy machine; meanwhile it would be
// in a cgroup that somebody else may freeze.
func (c *Cgroup) leaveHalting() {
	own, err := c.v1.paths("")
	if err != nil {
		return
	}
	for _, controller := range halting {
		if dir := own[controller]; dir != "" {
			_ = sysfile.Write(filepath.Join(dir, "tasks"), []byte("0"))
		}
	}
}

// move lets systemd make the scope around a process. On v1 some limits come with it.
func (c *Cgroup) move(pid int) error {
	err := c.manager.Apply(pid)
	if err == nil {
		return nil
	}
	if f := fieldOfFile(err, c.resources); f != allResources {
		return fmt.Errorf("%s: %w", f, err)
	}
	return fmt.Errorf("linux.cgroupsPath: move to the cgroup: %w", err)
}

// placement opens the directories, or what at derives from them.
func (c *Cgroup) placement(paths map[string]string, at func(controller, path string) string) (*Placement, error) {
	var p Placement
	seen := map[string]bool{}
	for controller, own := range paths {
		path := own
		if own != "" {
			path = at(controller, own)
		}
		switch {
		case path == "" || seen[path]:
			continue
		case controller == "":
			fd, err := unix.Open(path, unix.O_DIRECTORY|unix.O_PATH|unix.O_CLOEXEC, 0)
			if err == unix.ENOENT {
				continue // a hybrid machine whose v2 part is not for us
			}
			if err != nil {
				return nil, &os.PathError{Op: "open", Path: path, Err: err}
			}
			p.Dir = os.NewFile(uintptr(fd), path)
		default:
			file := filepath.Join(path, "tasks")
			if c.Rootless && unix.Access(file, unix.W_OK) != nil {
				continue // not made, or not for us
			}
			p.tasks = append(p.tasks, file)
			if slices.ContainsFunc(halting, func(controller string) bool { return own == paths[controller] }) {
				p.Halting = append(p.Halting, file)
			}
		}
		seen[path] = true
	}
	if len(p.tasks) > 0 {
		// The calling thread itself: unlike a move of another process, this does not wait.
		p.Prepare = func() error { return enter(p.tasks, 0) }
	}
	return &p, nil
}

// withoutHalting leaves the hierarchies that can stop it to the process itself.
func (p *Placement) withoutHalting() {
	if p == nil || len(p.Halting) == 0 {
		return
	}
	rest := slices.DeleteFunc(slices.Clone(p.tasks), func(file string) bool { return slices.Contains(p.Halting, file) })
	p.Prepare = func() error { return enter(rest, 0) }
}

// Attach moves a process with one thread to where others are born. That waits for the
// whole system, but no pids limit forbids it: cgroups(7).
func (p *Placement) Attach(pid int) error {
	files := p.tasks
	if p.Dir != nil {
		files = append(slices.Clip(files), filepath.Join(p.Dir.Name(), "cgroup.procs"))
	}
	return enter(files, pid)
}

// enter writes a pid to each of the files that move it to a cgroup, 0 for the caller.
func enter(files []string, pid int) error {
	for _, name := range files {
		if err := sysfile.Write(name, []byte(strconv.Itoa(pid))); err != nil {
			return err
		}
	}
	return nil
}
