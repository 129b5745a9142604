package libcontainer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/sysfile"
	"github.com/rtcontainers/rt/libcontainer/internal/compile"
	"github.com/rtcontainers/rt/libcontainer/internal/hooks"
	"github.com/rtcontainers/rt/libcontainer/internal/launch"
	"golang.org/x/sys/unix"
)

// stateFor is the document that hooks read: runtime.md, "State".
func (c *Container) stateFor(status specs.ContainerState, pid int) []byte {
	s := specs.State{
		Version: c.state.OCIVersion, ID: c.state.ID, Status: status, Pid: pid, Bundle: c.state.Bundle, Annotations: c.state.Annotations,
	}
	data, _ := json.Marshal(s) // strings and numbers only
	return append(data, '\n')
}

func (b *creation) container() *Container { return &Container{dir: b.dir, state: b.state} }

// runHooks serves a program that has made the container's environment.
func (b *creation) runHooks() error {
	b.hooksBegan = true
	state := b.container().stateFor(Created, b.proc.Pid)
	if err := hooks.Run("hooks.prestart", b.spec.Hooks.Prestart, b.o.Bundle, state, b.spec.Annotations); err != nil {
		return err
	}
	return hooks.Run("hooks.createRuntime", b.spec.Hooks.CreateRuntime, b.o.Bundle, state, b.spec.Annotations)
}

// hookWatch watches the time of a hook that the program has started in the
// container.
type hookWatch struct {
	hooks *specs.Hooks
	// output is what the hooks print, or nil.
	output *os.File

	field string
	hook  *specs.Hook // nil: none runs
	timer *time.Timer
	late  chan struct{}
}

// gone is the error of a program that has ended while a hook ran, which looks as if
// it had become the user's.
func (w *hookWatch) gone() error {
	if w.hook == nil {
		return nil
	}
	return fmt.Errorf("%s: the container was killed while it ran", w.field)
}

// handle serves a request about hooks.
func (w *hookWatch) handle(m *launch.Message) error {
	if m.Words[0] == compile.RequestHookDone {
		return w.done(unix.WaitStatus(m.Words[1]))
	}
	return w.begin(m)
}

func (w *hookWatch) begin(m *launch.Message) error {
	phase, i := compile.Hook(m.Words[1])
	list, name := w.hooks.CreateContainer, "hooks.createContainer"
	if phase == compile.StartContainer {
		list, name = w.hooks.StartContainer, "hooks.startContainer"
	}
	if m.File == nil || i >= len(list) {
		return errors.New("the init program started an unknown hook")
	}
	w.hook, w.field = &list[i], fmt.Sprintf("%s[%d] %q", name, i, list[i].Path)
	w.late = make(chan struct{})
	if w.hook.Timeout == nil {
		return m.File.Close()
	}
	pidfd, late := m.File, w.late
	w.timer = time.AfterFunc(hooks.Timeout(w.hook), func() {
		close(late)
		_ = unix.PidfdSendSignal(int(pidfd.Fd()), unix.SIGKILL, nil, 0)
		pidfd.Close()
	})
	return nil
}

func (w *hookWatch) done(ws unix.WaitStatus) error {
	if w.hook == nil {
		return errors.New("the init program ended an unknown hook")
	}
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
	var err error
	select {
	case <-w.late:
		err = hooks.Late(w.hook, w.printed())
	default:
		if ws != 0 {
			err = hooks.Failed(ws, w.printed())
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", w.field, err)
	}
	w.hook = nil
	return nil
}

func (w *hookWatch) printed() []byte {
	if w.output == nil {
		return nil
	}
	data, _ := io.ReadAll(io.NewSectionReader(w.output, 0, 1<<16))
	return data
}

// writeHookState fills the file that hooks in the container read: they see the
// pid of their own namespace.
func (b *creation) writeHookState() error {
	if b.hookState == nil {
		return nil
	}
	pid, err := innerPid(b.proc.Pid)
	if err != nil {
		return err
	}
	_, err = b.hookState.WriteAt(b.container().stateFor(Created, pid), 0)
	return err
}

// innerPid is a process's pid in its own pid namespace: NSpid of
// proc_pid_status(5).
func innerPid(pid int) (int, error) {
	status, err := sysfile.Read("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.SplitSeq(string(status), "\n") {
		if pids, ok := strings.CutPrefix(line, "NSpid:"); ok {
			f := strings.Fields(pids)
			return strconv.Atoi(f[len(f)-1])
		}
	}
	return pid, nil
}

// poststart runs the hooks that follow the start. When one fails the caller has
// to remove the container.
func (c *Container) poststart(list []specs.Hook) error {
	return hooks.Run("hooks.poststart", list, c.state.Bundle, c.stateFor(Running, c.state.Pid), c.state.Annotations)
}
