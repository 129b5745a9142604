package libcontainer

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/sysfile"
	"github.com/rtcontainers/rt/libcontainer/internal/cgroup"
	"github.com/rtcontainers/rt/libcontainer/internal/resctrl"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// Pids lists the processes of the container, by their pids on the host. Without a
// cgroup only the first is known, if it lives.
func (c *Container) Pids() ([]int, error) {
	pids, err := c.cgroupPids()
	if !errors.Is(err, cgroup.ErrNone) {
		return pids, err
	}
	if c.lives() {
		return []int{c.state.Pid}, nil
	}
	return nil, nil
}

// Pause freezes all processes of a container that has been created.
func (c *Container) Pause() error {
	return c.freeze(true, "pause", Running, Created)
}

// Resume lets the processes of a paused container go on.
func (c *Container) Resume() error {
	return c.freeze(false, "resume", Paused)
}

// lockCreated locks a container that has been created, and reads its state as it
// is then. It does not wait for one that is being created: who asks may be one of
// its hooks.
func (c *Container) lockCreated(what string) error {
	if c.Status() == Creating {
		return fmt.Errorf("container %q: %w: cannot %s a container that is %s", c.ID(), ErrWrongState, what, Creating)
	}
	return c.lock()
}

func (c *Container) freeze(on bool, what string, allowed ...specs.ContainerState) error {
	if err := c.lockCreated(what); err != nil {
		return err
	}
	defer c.dir.Unlock()
	status := c.Status()
	for _, s := range allowed {
		if s == status {
			cg, err := c.cgroup()
			if err != nil {
				return err
			}
			if err := cg.Freeze(on); err != nil || !on || !c.killed() {
				return err
			}
			// Cgroup v1 keeps a process frozen that SIGKILL waits for. Who sent it has
			// thawed the cgroup right after that, which was too early.
			err = cg.Thaw()
			return errors.Join(fmt.Errorf("container %q: %w: it was killed as it was paused", c.ID(), ErrWrongState), err)
		}
	}
	return fmt.Errorf("container %q: %w: cannot %s a container that is %s", c.ID(), ErrWrongState, what, status)
}

// killed tells whether SIGKILL waits for the container's first process.
func (c *Container) killed() bool {
	status, err := sysfile.Read(fmt.Sprintf("/proc/%d/status", c.state.Pid))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(status)) {
		name, mask, _ := strings.Cut(line, ":")
		if name == "SigPnd" || name == "ShdPnd" {
			bits, _ := strconv.ParseUint(strings.TrimSpace(mask), 16, 64)
			if bits>>(unix.SIGKILL-1)&1 == 1 {
				return true
			}
		}
	}
	return false
}

// Update changes the limits of a container: change gets the linux object of
// its configuration as it is, to alter resources and intelRdt. If the new limits cannot be set, the old ones are.
func (c *Container) Update(change func(*specs.Linux) error) error {
	if err := c.lockCreated("update"); err != nil {
		return err
	}
	defer c.dir.Unlock()
	if status := c.Status(); status == Stopped {
		return fmt.Errorf("container %q: %w: cannot update a container that is %s", c.ID(), ErrWrongState, status)
	}
	s, err := c.spec()
	if err != nil {
		return err
	}
	if s.Linux == nil {
		s.Linux = new(specs.Linux)
	}
	if s.Linux.Resources == nil {
		s.Linux.Resources = new(specs.LinuxResources)
	}
	was, err := c.spec() // on its own: change may alter what it refers to
	if err != nil {
		return err
	}
	before := cgroup.Resources(was)
	var schemata []string
	if s.Linux.IntelRdt != nil {
		schemata = resctrl.Schemata(s.Linux.IntelRdt)
	}
	hadRdt := s.Linux.IntelRdt != nil
	if err := change(s.Linux); err != nil {
		return err
	}
	adapt(s.Linux.Resources, was.Linux)
	if s.Linux.IntelRdt != nil && !hadRdt {
		return errors.New("linux.intelRdt: the container was created without it: it has no class of service to change")
	}
	if err := spec.Validate(s); err != nil {
		return err
	}
	if err := cgroup.CheckSupported(s); err != nil {
		return err
	}
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	cg, err := c.cgroup()
	if err != nil {
		return err
	}
	after := cgroup.Resources(s)
	cgroup.Complete(before, after)
	devices := !reflect.DeepEqual(before.Devices, after.Devices)
	if err := cg.Update(after, devices); err != nil {
		return undone(err, cg.Update(before, devices))
	}
	if hadRdt && !slices.Equal(schemata, resctrl.Schemata(s.Linux.IntelRdt)) {
		root, err := resctrl.Mountpoint()
		if err == nil {
			err = resctrl.Update(root, c.ID(), s.Linux.IntelRdt, schemata)
		}
		if err != nil {
			return undone(err, cg.Update(before, devices))
		}
	}
	return c.dir.ReplaceConfig(data)
}

// undone is the error of a change, with that of going back, if it says anything else.
func undone(err, back error) error {
	if back != nil && back.Error() == err.Error() {
		return err
	}
	return errors.Join(err, back)
}

// adapt changes what an update leaves as it was, and what contradicts what it
// changes: without a limit of memory there is none of memory and swap, and an idle
// cgroup has no shares, which the kernel refuses to set.
func adapt(r *specs.LinuxResources, was *specs.Linux) {
	old := new(specs.LinuxResources)
	if was != nil && was.Resources != nil {
		old = was.Resources
	}
	oldMemory, oldCPU := old.Memory, old.CPU
	if oldMemory == nil {
		oldMemory = new(specs.LinuxMemory)
	}
	if oldCPU == nil {
		oldCPU = new(specs.LinuxCPU)
	}
	same := func(a, b *int64) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }
	if m := r.Memory; m != nil && m.Limit != nil && *m.Limit == -1 && !same(m.Limit, oldMemory.Limit) && m.Swap != nil && same(m.Swap, oldMemory.Swap) {
		m.Swap = m.Limit
	}
	if p := r.CPU; p != nil && p.Idle != nil && *p.Idle == 1 && !same(p.Idle, oldCPU.Idle) && p.Shares != nil && oldCPU.Shares != nil && *p.Shares == *oldCPU.Shares {
		p.Shares = nil
	}
}

// WatchOOM calls killed whenever the kernel kills a process of the container for
// lack of memory, until stop is called or the container is gone. What happens
// before stop is called is told before it returns.
func (c *Container) WatchOOM(killed func()) (stop func(), err error) {
	cg, err := c.cgroup()
	if err != nil {
		return nil, err
	}
	return cg.WatchOOM(killed)
}

// WaitStopped waits until the container's first process has ended.
func (c *Container) WaitStopped() error {
	p, err := c.birth().Process()
	if err == unix.ESRCH {
		return nil // it has
	}
	if err != nil {
		return err
	}
	defer p.Close()
	for {
		fds := []unix.PollFd{{Fd: int32(p.Fd()), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err != unix.EINTR {
			return os.NewSyscallError("poll", err)
		}
	}
}
