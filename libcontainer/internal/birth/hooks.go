package birth

import (
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
	"golang.org/x/sys/unix"
)

// runHooks serves a program that has made the container's environment.
func (f *first) runHooks() error {
	f.poststop = true
	h, state := f.hooks.hooks, f.container.text(specs.StateCreated, f.proc.Pid)
	if err := hooks.Run(f.ctx, "hooks.prestart", h.Prestart, f.o.Bundle, state, f.spec.Annotations); err != nil {
		return err
	}
	if err := hooks.Run(f.ctx, "hooks.createRuntime", h.CreateRuntime, f.o.Bundle, state, f.spec.Annotations); err != nil {
		return err
	}
	return f.writeHookState()
}

// hookWatch limits the time of a hook that the program has started in the container.
type hookWatch struct {
	hooks *specs.Hooks
	// output is what the hooks print, or nil.
	output *os.File

	field string
	hook  *specs.Hook // nil: none runs
	// timer closes the pidfd when it ends the hook; otherwise stop does.
	timer *time.Timer
	pidfd *os.File
	late  chan struct{}
}

// gone is the error of a program that ended while a hook ran. It looks as if the program
// had become the user's.
func (w *hookWatch) gone() error {
	if w.hook == nil {
		return nil
	}
	return fmt.Errorf("%s: the container was killed while it ran", w.field)
}

// begin starts to watch a hook, and takes over its pidfd.
func (w *hookWatch) begin(r compile.RequestHook, pidfd *os.File) error {
	list, name := w.hooks.CreateContainer, "hooks.createContainer"
	if r.Phase == compile.StartContainer {
		list, name = w.hooks.StartContainer, "hooks.startContainer"
	}
	i := r.Index
	if pidfd == nil || i >= len(list) {
		return errors.New("the init program started an unknown hook")
	}
	w.hook, w.field = &list[i], fmt.Sprintf("%s[%d] %q", name, i, list[i].Path)
	w.late = make(chan struct{})
	if w.hook.Timeout == nil {
		return pidfd.Close()
	}
	late := w.late
	w.pidfd = pidfd
	w.timer = time.AfterFunc(hooks.Timeout(w.hook), func() {
		close(late)
		_ = unix.PidfdSendSignal(int(pidfd.Fd()), unix.SIGKILL, nil, 0)
		pidfd.Close()
	})
	return nil
}

func (w *hookWatch) done(r compile.RequestHookDone) error {
	if w.hook == nil {
		return errors.New("the init program ended an unknown hook")
	}
	w.stop()
	var err error
	select {
	case <-w.late:
		err = hooks.Late(w.hook, w.printed())
	default:
		if r.Status != 0 {
			err = hooks.Failed(r.Status, w.printed())
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", w.field, err)
	}
	w.hook = nil
	return nil
}

// stop ends the watch over the time, of a hook that has ended or that nobody waits for any more.
func (w *hookWatch) stop() {
	if w.timer != nil && w.timer.Stop() {
		w.pidfd.Close()
	}
	w.timer, w.pidfd = nil, nil
}

func (w *hookWatch) printed() []byte {
	if w.output == nil {
		return nil
	}
	data, _ := io.ReadAll(io.NewSectionReader(w.output, 0, 1<<16))
	return data
}

// writeHookState writes the file that hooks in the container read, with the pid in their
// own namespace.
func (f *first) writeHookState() error {
	if f.hookState == nil {
		return nil
	}
	pid, err := innerPid(f.proc.Pid)
	if err != nil {
		return err
	}
	_, err = f.hookState.WriteAt(f.container.text(specs.StateCreated, pid), 0)
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

// hookStream is the file that an annotation names for hooks in the container, or the file
// in memory whose content goes into their errors.
func (f *first) hookStream(annotation string) (*os.File, error) {
	file, err := f.lend(hooks.AppendTo(f.spec.Annotations[annotation]))
	if file == nil && err == nil {
		if f.hookOutput == nil {
			f.hookOutput, err = f.hold(hooks.File("hook-output"))
		}
		return f.hookOutput, err
	}
	return file, err
}
