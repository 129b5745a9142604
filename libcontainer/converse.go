package libcontainer

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/internal/cgroup"
	"github.com/rtcontainers/rt/libcontainer/internal/compile"
	"github.com/rtcontainers/rt/libcontainer/internal/launch"
	"github.com/rtcontainers/rt/libcontainer/internal/netdev"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"github.com/rtcontainers/rt/libcontainer/internal/program/image"
	"github.com/rtcontainers/rt/libcontainer/internal/resctrl"
	"github.com/rtcontainers/rt/libcontainer/internal/state"
	"golang.org/x/sys/unix"
)

// enterCgroup moves the program to its cgroup, where it could not be born.
func (b *creation) enterCgroup() error {
	if err := b.place.Move(b.proc.Pid); err != nil {
		return err
	}
	b.moved = true
	if err := b.cgroup.Limit(); err != nil {
		return err
	}
	return b.prepareKeeper()
}

// adopt goes on with a child of the program.
func (b *creation) adopt(pid int) error {
	if b.keeper != nil { // it waits for the other one
		b.keeper.Close()
		b.keeper = nil
	}
	return b.proc.Adopt(pid)
}

// converse serves the program's requests until the container is created, or
// is running when there is no gate.
func (b *creation) converse() error {
	watch := &hookWatch{hooks: b.spec.Hooks, output: b.hookOutput}
	for {
		m, err := b.proc.Receive()
		if errors.Is(err, io.EOF) && b.ready && !b.endedEarly {
			// The socket closes when the user's program is executed.
			if err := watch.gone(); err != nil {
				return err
			}
			b.done("executed the container's process")
			b.warnOutOfMemory()
			return b.started()
		}
		if err != nil {
			return died(err, b.proc, b.cgroup)
		}
		switch m.Words[0] {
		case compile.RequestCgroup:
			err = b.enterCgroup()
		case compile.RequestMaps:
			err = b.writeMaps()
		case compile.RequestChild:
			err = b.adopt(int(m.Words[1]))
		case compile.RequestTerminal:
			err = takeTerminal(m.File, b.spec.Process, b.o.Terminal)
		case compile.RequestPath:
			if err = b.makePath(m); err == nil {
				continue
			}
		case compile.RequestSource:
			if err = b.sendSource(m); err == nil {
				continue
			}
		case compile.RequestMapIDs:
			err = b.mapIDs(m)
		case compile.RequestCopyFrom, compile.RequestCopyTo:
			if err = b.copyUp(m, m.Words[0] == compile.RequestCopyTo); err == nil && m.Words[0] == compile.RequestCopyTo {
				continue
			}
		case compile.RequestNetDevices:
			err = b.moveNetDevices(m)
		case compile.RequestListener:
			err = b.container().handListener(m, b.proc.PidFD, b.proc.Pid)
		case compile.RequestHooks:
			if err = b.runHooks(); err == nil {
				err = b.writeHookState()
			}
		case compile.RequestHook, compile.RequestHookDone:
			b.hooksBegan = true
			err = watch.handle(m)
		case compile.RequestReady:
			if err = b.created(); err == nil && b.gate {
				return nil
			}
			if err == nil {
				continue
			}
		case compile.RequestFailure:
			return failure(b.plan, m)
		default:
			err = fmt.Errorf("unknown request %d from the init program", m.Words[0])
		}
		if err == nil {
			err = b.proc.Reply()
		}
		if errors.Is(err, launch.ErrGone) {
			continue // Receive says so, and why is found out there
		}
		if err != nil {
			return err
		}
	}
}

// warnOutOfMemory says why there was nothing to see of a process that the kernel
// killed at once.
func (b *creation) warnOutOfMemory() {
	if b.o.Warn == nil || b.cgroup.MemoryLimit() <= 0 {
		return
	}
	if err := b.container().checkMemory(); err != nil {
		b.o.Warn(err.Error())
	}
}

// started runs the hooks that follow the start.
func (b *creation) started() error {
	if b.spec.Hooks == nil || len(b.spec.Hooks.Poststart) == 0 {
		return nil
	}
	// A hook may call rt.
	b.dir.Unlock()
	err := b.container().poststart(b.spec.Hooks.Poststart)
	if err != nil {
		b.deleted = errors.Is(b.dir.Lock(), ErrNotExist)
	}
	return err
}

// failure puts a failed call into words.
func failure(plan *compile.Plan, m *launch.Message) error {
	return plan.Program.Failure(image.Index(m.Words[1]), unix.Errno(m.Words[2]), kernelLog(m.Text))
}

// kernelLog is a message of a file system context: fsopen(2) puts a letter for
// its kind before it and ends it with a new line.
func kernelLog(b []byte) string {
	s := strings.TrimSpace(unix.ByteSliceToString(b))
	if len(s) > 2 && s[1] == ' ' {
		s = s[2:]
	}
	return s
}

// died ends a program with which there is no conversation any more. If it has ended
// without a word the error says how. It may have no cgroup.
func died(err error, p *launch.Process, cg *cgroup.Cgroup) error {
	ws := p.Kill()
	if !errors.Is(err, io.EOF) {
		return err
	}
	limit := int64(0)
	if cg != nil {
		if why := cg.OutOfMemory(); why != "" {
			return fmt.Errorf("%s: the kernel killed the init program for lack of memory", why)
		}
		limit = cg.MemoryLimit()
	}
	if ws.Signaled() && ws.Signal() == unix.SIGKILL {
		// systemd removes a scope, and the counters in it, as soon as it is empty.
		if limit > 0 {
			return fmt.Errorf("the init program was killed while it set the container up: the limit of %d bytes in linux.resources.memory.limit is probably too low to start a process", limit)
		}
		return errors.New("the init program was killed while it set the container up")
	}
	return fmt.Errorf("the init program ended early: exit status %d, signal %d", ws.ExitStatus(), ws.Signal())
}

// created completes the state. With a gate the program is left to it.
func (b *creation) created() error {
	b.done("the program made the container")
	b.removeDevices()
	if !b.settled {
		if err := b.settle(); err != nil {
			return err
		}
		if b.gate {
			if err := b.proc.Reply(); err != nil {
				return err
			}
		} else {
			b.permit()
		}
	}
	b.ready = true
	return nil
}

// settle does what is left before the user's program runs.
func (b *creation) settle() error {
	if err := adjustOOM(b.spec.Process, b.proc.Pid, b.o.Rootless, b.o.Warn); err != nil {
		return err
	}
	if err := b.setPriorities(); err != nil {
		return err
	}
	if err := b.enterResctrl(); err != nil {
		return err
	}
	if err := b.saveState(); err != nil {
		return err
	}
	if err := b.writeHookState(); err != nil {
		return err
	}
	err := announce(b.proc, b.o.PidFile, b.o.PIDFD)
	b.announced, b.settled = err == nil, err == nil
	return err
}

// setPriorities sets what the program leaves to its parent.
func (b *creation) setPriorities() error {
	if !b.plan.ParentSets {
		return nil
	}
	return setPriorities(b.spec.Process, b.proc.Pid)
}

// saveState remembers the container's process: from now on it is created.
func (b *creation) saveState() error {
	if b.state.Pid == b.proc.Pid {
		return nil
	}
	stat, err := readStat(b.proc.Pid)
	if err != nil {
		return err
	}
	b.state.Pid, b.state.StartTime = b.proc.Pid, stat.start
	if b.gate {
		b.state.Steps = steps(b.plan)
	}
	if err := b.dir.SaveConfig(b.config); err != nil {
		return err
	}
	return b.dir.Save(b.state)
}

// steps describes what still runs at the start, for the errors of `rt start`.
func steps(plan *compile.Plan) []state.Step {
	var list []state.Step
	for i := plan.Ready; i < len(plan.Program.Instructions); i++ {
		if ins := &plan.Program.Instructions[i]; ins.Op == program.OpSyscall {
			list = append(list, state.Step{Index: i, Call: ins.Call.String(), Source: ins.Source, Purpose: ins.Purpose})
		}
	}
	return list
}

func (b *creation) moveNetDevices(m *launch.Message) error {
	if m.File == nil {
		return errors.New("linux.netDevices: the init program sent no socket")
	}
	defer m.File.Close()
	return netdev.Move(b.spec.Linux.NetDevices, b.proc.Pid, m.File)
}

// enterResctrl puts the program into its resctrl group.
func (b *creation) enterResctrl() error {
	if b.resctrl == "" {
		return nil
	}
	return resctrl.Apply(b.resctrl, b.o.ID, b.spec.Linux.IntelRdt, b.proc.Pid)
}

// takeTerminal hands the master of a terminal to who asked for it.
func takeTerminal(master *os.File, p *specs.Process, take func(*os.File) error) error {
	if master == nil {
		return errors.New("process.terminal: the init program sent no terminal")
	}
	if box := p.ConsoleSize; box != nil {
		size := unix.Winsize{Row: uint16(box.Height), Col: uint16(box.Width)}
		if err := unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &size); err != nil {
			return fmt.Errorf("process.consoleSize: %w", err)
		}
	}
	return take(master)
}
