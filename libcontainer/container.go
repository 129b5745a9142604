// Package libcontainer makes and keeps containers as the OCI runtime
// specification describes them. Any Go program can import it: it needs no
// second entry point in main, no helper binary and no cgo.
//
// A container is made by a small program that rt compiles from the
// configuration; see packages compile and program.
package libcontainer

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/libcontainer/internal/birth"
	"github.com/rtcontainers/rt/libcontainer/internal/cgroup"
	"github.com/rtcontainers/rt/libcontainer/internal/launch"
	"github.com/rtcontainers/rt/libcontainer/internal/state"
	"golang.org/x/sys/unix"
)

// The errors that callers tell apart with errors.Is.
var (
	// ErrNotExist: there is no container with this id.
	ErrNotExist = state.ErrNotExist
	// ErrExist: the id is taken.
	ErrExist = state.ErrExist
	// ErrInvalidID: the id has characters that it must not have.
	ErrInvalidID = state.ErrID
	// ErrWrongState: the operation is not allowed in the container's state.
	ErrWrongState = state.ErrWrongState
)

// The statuses of a container: runtime.md, "State".
const (
	Creating = specs.StateCreating
	Created  = specs.StateCreated
	Running  = specs.StateRunning
	Stopped  = specs.StateStopped
	// Paused is not the specification's, but what engines expect of a
	// container whose processes are frozen.
	Paused specs.ContainerState = "paused"
)

// Container is a container with its state on disk. It must be closed.
type Container struct {
	dir   *state.Dir
	state *state.State
}

// birth is the container for who makes its processes, and removes it.
func (c *Container) birth() birth.Container { return birth.Container{Dir: c.dir, State: c.state} }

func (c *Container) cgroup() (*cgroup.Cgroup, error) { return c.birth().Cgroup() }

// lives tells whether the container's first process has not ended, as far as can
// be known.
func (c *Container) lives() bool { return c.birth().Lives() }

// Load opens the container id below root. The error is ErrNotExist when there
// is none.
func Load(root, id string) (*Container, error) {
	dir, err := state.Open(root, id)
	if err != nil {
		return nil, err
	}
	return load(dir)
}

// load takes over the container's directory.
func load(dir *state.Dir) (*Container, error) {
	s, err := dir.Load()
	if err != nil {
		dir.Close()
		return nil, err
	}
	return &Container{dir: dir, state: s}, nil
}

// List opens all containers below root. What disappears meanwhile is left out;
// what cannot be read is, too, and named in the error.
func List(root string) ([]*Container, error) {
	var mutex sync.Mutex
	var list []*Container
	err := each(root, func(c *Container) {
		mutex.Lock()
		defer mutex.Unlock()
		list = append(list, c)
	})
	slices.SortFunc(list, func(a, b *Container) int { return strings.Compare(a.ID(), b.ID()) })
	return list, err
}

// Each calls f with each container below root and closes it. Unlike List, it does not hold the
// descriptors of all of them. If there are many, several goroutines call f at once. The error is
// that of List.
func Each(root string, f func(*Container)) error {
	return each(root, func(c *Container) {
		defer c.Close()
		f(c)
	})
}

func each(root string, f func(*Container)) error {
	var mutex sync.Mutex
	unreadable := map[string]error{}
	err := state.Each(root, func(id string, dir *state.Dir, err error) {
		var c *Container
		if err == nil {
			c, err = load(dir)
		}
		switch {
		case errors.Is(err, ErrNotExist):
		case err != nil:
			mutex.Lock()
			defer mutex.Unlock()
			unreadable[id] = fmt.Errorf("container %q: %w", id, err)
		default:
			f(c)
		}
	})
	if err != nil {
		return err
	}
	var inOrder []error
	for _, id := range slices.Sorted(maps.Keys(unreadable)) {
		inOrder = append(inOrder, unreadable[id])
	}
	return errors.Join(inOrder...)
}

// Close gives the container's descriptor back. The container lives on.
func (c *Container) Close() error { return c.dir.Close() }

// ID is the container's name.
func (c *Container) ID() string { return c.state.ID }

// Pid is the number that the container's first process has, or had: State knows
// whether it still runs. It is 0 as long as there is none.
func (c *Container) Pid() int { return c.state.Pid }

// Created is the time at which the container was created.
func (c *Container) Created() time.Time { return c.state.Created }

// OwnerUID is the user id of who created the container.
func (c *Container) OwnerUID() int { return c.state.UID }

// Rootfs is the root directory of the container on the host.
func (c *Container) Rootfs() string { return c.state.Rootfs }

// SystemdScope is the unit of systemd that is the container's cgroup, or "".
func (c *Container) SystemdScope() string {
	config := cgroup.Config(c.state.Cgroup)
	return config.Scope()
}

// SharesPids tells whether the container has no pid namespace of its own: then
// the kernel does not end its other processes with the first one.
func (c *Container) SharesPids() bool { return c.state.SharedPids }

// State is the document of runtime.md, "State", as of now.
func (c *Container) State() specs.State {
	s := c.birth().Document(c.Status(), c.state.Pid)
	if s.Status == Stopped {
		s.Pid = 0
	}
	return s
}

// Status is the container's state by the processes that there are.
func (c *Container) Status() specs.ContainerState {
	if c.state.Pid == 0 {
		if c.dir.Locked() {
			return Creating
		}
		return Stopped // its creator died
	}
	// A process that runs the program of this container is this container's, and lives.
	waits := c.waits()
	if (!waits || defence.Off(defence.QuietQueries)) && !c.lives() {
		return Stopped
	}
	if !cgroup.Config(c.state.Cgroup).Thawed() {
		if cg, err := c.cgroup(); err == nil && cg.Frozen() {
			return Paused // before or after its start
		}
	}
	if waits {
		return Created
	}
	return Running
}

// waits tells whether the container waits for its start: its process still runs rt's
// program. It is not asked, since it may be stopped, and never answer.
func (c *Container) waits() bool {
	if defence.Off(defence.QuietQueries) {
		return launch.Waits(c.dir.File)
	}
	if c.state.Image == nil {
		return false
	}
	runs, err := launch.Image(*c.state.Image).Runs(c.state.Pid)
	if err == unix.EACCES { // a user may not look into every user namespace
		return launch.HasGate(c.dir.File) && c.lives()
	}
	return runs
}

// Signal sends a signal to the container's first process. The error is
// ErrWrongState when there is no process any more. SIGKILL ends the whole
// container, paused or not, as the kernel sees to it where that process is the
// init of a pid namespace.
//
// A created container has no process of the user's that could take a signal: those
// that end a process by default end it.
func (c *Container) Signal(sig unix.Signal) error {
	if endsByDefault(sig) && c.waitsForStart() {
		sig = unix.SIGKILL
	}
	if sig == unix.SIGKILL && c.state.SharedPids {
		return c.killShared()
	}
	err := c.signalFirst(sig)
	if cg, none := c.cgroup(); sig == unix.SIGKILL && err == nil && none == nil {
		return cg.Thaw()
	}
	return err
}

// killShared ends a container whose processes do not end with the first one, which
// may have ended.
func (c *Container) killShared() error {
	if !c.lives() && c.isEmpty() {
		return c.signalFirst(unix.SIGKILL) // which says that there is nothing
	}
	return c.SignalAll(unix.SIGKILL)
}

// isEmpty tells whether the container's cgroup has no process, or is not there: without
// one, what a first process left cannot be found.
func (c *Container) isEmpty() bool {
	pids, err := c.cgroupPids()
	return err == nil && len(pids) == 0 || errors.Is(err, cgroup.ErrNone)
}

func (c *Container) cgroupPids() ([]int, error) {
	cg, err := c.cgroup()
	if err != nil {
		return nil, err
	}
	return cg.Pids()
}

// endsByDefault tells whether a signal ends a process that has no handler: signal(7).
func endsByDefault(sig unix.Signal) bool {
	switch sig {
	case 0, unix.SIGCHLD, unix.SIGCONT, unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGURG, unix.SIGWINCH:
		return false
	}
	return true
}

// waitsForStart tells whether the container is created, and nobody starts it just now.
func (c *Container) waitsForStart() bool {
	return c.Status() == Created && !c.dir.Locked()
}

func (c *Container) signalFirst(sig unix.Signal) error {
	p, err := c.birth().Running()
	if err != nil {
		return err
	}
	defer p.Close()
	if err = unix.PidfdSendSignal(int(p.Fd()), sig, nil, 0); err == unix.ESRCH {
		return c.birth().NotRunning()
	}
	return err
}

// SignalAll sends a signal to every process in the container's cgroup, or to its
// first process where a user can have no cgroup. A container that has ended may
// have no cgroup any more, and nobody to signal.
func (c *Container) SignalAll(sig unix.Signal) error {
	cg, err := c.cgroup()
	if err == nil {
		err = cg.Signal(sig)
	}
	if !errors.Is(err, cgroup.ErrNone) {
		return err
	}
	if c.lives() {
		return c.signalFirst(sig)
	}
	return nil
}
