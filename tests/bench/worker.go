package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// worker is a plan that is being executed.
type worker struct {
	plan
	*launcher
	// state is a directory on a tmpfs, as /run is.
	state string
	ids   int
}

func newWorker(p plan) (*worker, error) {
	const setChildSubreaper = 36 // PR_SET_CHILD_SUBREAPER
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, setChildSubreaper, 1, 0); errno != 0 {
		return nil, fmt.Errorf("become a subreaper: %w", errno)
	}
	w := &worker{plan: p, state: filepath.Join(p.Dir, "state")}
	if err := os.Mkdir(w.state, 0o700); err != nil {
		return nil, err
	}
	// Nobody but the view sees this mount, and it goes away with the view.
	if err := syscall.Mount("tmpfs", w.state, "tmpfs", 0, "mode=700"); err != nil {
		return nil, fmt.Errorf("mount a tmpfs: %w", err)
	}
	var err error
	w.launcher, err = newLauncher(w.state)
	return w, err
}

func (w *worker) newID() string {
	w.ids++
	return fmt.Sprintf("%s-%d", w.Prefix, w.ids)
}

func (w *worker) newSubject(caseName string, who competitor) *subject {
	return &subject{
		competitor: who,
		bundle:     filepath.Join(w.Dir, caseName, who.Name),
		root:       w.rootOf(who),
		pidFile:    filepath.Join(w.state, who.Name+".pid"),
	}
}

func (w *worker) rootOf(who competitor) string {
	return filepath.Join(w.state, who.Name)
}

// ownsContainer matches names of this comparison's containers.
func (w *worker) ownsContainer(name string) bool {
	return strings.HasPrefix(name, w.Prefix+"-")
}

// owns matches all cgroups of this comparison: those of containers, and their parent.
func (w *worker) owns(name string) bool {
	return name == w.Prefix || w.ownsContainer(name)
}

// checkClean fails if a runtime left something of its containers behind: not cleaning up
// saves time.
func (w *worker) checkClean() error {
	left, err := findCgroups(w.ownsContainer)
	if err != nil {
		return err
	}
	left = slices.DeleteFunc(left, func(path string) bool { return !isCgroup(path) })
	for _, who := range w.Competitors {
		for _, id := range w.containers(who) {
			left = append(left, filepath.Join(w.rootOf(who), id))
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("left behind: %s", strings.Join(left, ", "))
	}
	return nil
}

// containers lists those that a competitor has a state of.
func (w *worker) containers(who competitor) []string {
	// The directory appears with the first container.
	entries, _ := os.ReadDir(w.rootOf(who))
	var ids []string
	for _, entry := range entries {
		if w.ownsContainer(entry.Name()) {
			ids = append(ids, entry.Name())
		}
	}
	return ids
}

// close removes the containers that are left.
func (w *worker) close() error {
	// Their processes first: deleting thousands of containers with so many alive takes long, and
	// whoever is impatient must not leave processes behind.
	if cgroups, err := findCgroups(w.owns); err == nil {
		for _, path := range cgroups {
			killAll(path)
		}
	}
	for _, who := range w.Competitors {
		s := w.newSubject("", who)
		for _, id := range w.containers(who) {
			// If this fails, the processes can still be found by their cgroups.
			w.run(s.argv("delete", "--force", id))
		}
	}
	err := removeCgroups(w.owns)
	w.launcher.close()
	return errors.Join(err, syscall.Unmount(w.state, syscall.MNT_DETACH))
}
