package compile

import (
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"golang.org/x/sys/unix"
)

// Phase is the time at which hooks run in whose run the program takes part.
type Phase uint8

// The phases, in their order.
const (
	// CreateRuntime are prestart and createRuntime, which the parent runs.
	CreateRuntime Phase = iota
	CreateContainer
	StartContainer
)

// hookFiles are the descriptors of hooks that the program itself starts: the state
// document that they read, and the files for their output.
type hookFiles struct{ state, output, errors program.Arg }

func (c *compiler) hooks() *specs.Hooks {
	if c.spec.Hooks == nil {
		return &specs.Hooks{}
	}
	return c.spec.Hooks
}

// createHooks runs the hooks of create: config.md, "POSIX-platform Hooks". Everything is
// mounted, the root is still the host's, and the container's root is at root.path, where
// hooks that enter the container's mount namespace expect it.
func (c *compiler) createHooks(own bool) {
	h := c.hooks()
	if len(h.Prestart)+len(h.CreateRuntime)+len(h.CreateContainer) == 0 {
		return
	}
	run := func() {
		c.Source("hooks", "run the prestart and createRuntime hooks, write the state for the others")
		c.request(RequestHooks{}, "run the hooks")
		c.containerHooks("hooks.createContainer", CreateContainer, h.CreateContainer)
	}
	if own {
		c.showAtPath(run)
	} else { // it is there anyway
		run()
	}
}

// containerHooks runs hooks in the container's namespaces, as children of the program. The
// parent limits their time.
func (c *compiler) containerHooks(field string, phase Phase, list []specs.Hook) {
	for i := range list {
		h := &list[i]
		c.Source(index(field, i), fmt.Sprintf("run the hook %q", h.Path))
		c.containerHook(h, phase, i)
	}
}

func (c *compiler) containerHook(h *specs.Hook, phase Phase, i int) {
	pid, pidfd := c.Reg(), c.Reg()
	child := c.NewLabel("the hook")
	pidfdAt := c.Buffer("pidfd", 8)
	done, status := c.openMessage("hook done", RequestHookDone{})
	c.Do(program.Lseek, c.hookFiles.state, program.Imm(0), program.Imm(unix.SEEK_SET)).For("let the hook read the state from its beginning")
	c.Do(program.Clone, program.Imm(unix.CLONE_PIDFD|int(unix.SIGCHLD)), program.Imm(0), program.At(pidfdAt), program.Imm(0), program.Imm(0)).To(pid)
	c.Branch(pid, program.Eq, 0, child)
	c.Load(pidfd, 4, pidfdAt)
	c.sendFile(pidfd, RequestHook{phase, i}, "let the parent watch the hook's time")
	c.Do(program.Close, program.R(pidfd))
	c.Do(program.Wait4, program.R(pid), program.At(status), program.Imm(0), program.Imm(0)).For("wait for the hook")
	c.ask(done, "the hook has ended")
	c.Free(pid, pidfd)

	source, purpose := c.note()
	c.later(source, purpose, func() {
		c.Bind(child)
		c.Do(program.Dup3, c.hookFiles.state, program.Imm(0), program.Imm(0))
		c.Do(program.Dup3, c.hookFiles.output, program.Imm(1), program.Imm(0))
		c.Do(program.Dup3, c.hookFiles.errors, program.Imm(2), program.Imm(0))
		if phase == CreateContainer {
			c.Do(program.Fchdir, program.R(c.root)).For("run the hook in the container's root directory")
		}
		c.leaveFiles()
		if phase == StartContainer {
			c.filterHook()
		}
		args := h.Args
		if len(args) == 0 {
			args = []string{h.Path}
		}
		env := h.Env
		if env == nil && c.spec.Process != nil {
			env = c.spec.Process.Env
		}
		c.Do(program.Execve, c.Str(h.Path), program.At(c.Strings("argv", args)), program.At(c.Strings("envp", env)))
	})
}

// leaveFiles closes all descriptors of a hook except the standard streams and the one that
// reports its failure, which is a socket: no path leads through it.
func (c *compiler) leaveFiles() {
	if defence.Off(defence.InheritedFiles) {
		return
	}
	const report = 3
	status := program.R(c.status)
	moved := c.NewLabel("it is there already")
	c.Branch(c.status, program.Eq, report, moved)
	c.Do(program.Dup3, status, program.Imm(report), program.Imm(unix.O_CLOEXEC))
	c.Move(c.status, program.Imm(report))
	c.Bind(moved)
	c.closeFrom(report+1, 0).For("close the descriptors of rt and of its caller")
	c.Move(c.fsfd, program.Imm(-1))
}
