package birth

import (
	"errors"
	"os"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/internal/compile"
)

// A hook with a timeout comes with a pidfd, which must not stay open in a program that uses the
// library: neither when the hook has ended, nor when the birth fails while it runs.
func TestTheWatchOverAHookClosesItsPidfd(t *testing.T) {
	seconds := 3600
	list := []specs.Hook{{Path: "/bin/true", Timeout: &seconds}, {Path: "/bin/true"}}
	for name, end := range map[string]func(w *hookWatch) error{
		"done": func(w *hookWatch) error { return w.done(compile.RequestHookDone{}) },
		"stop": func(w *hookWatch) error { w.stop(); w.stop(); return nil },
	} {
		for i := range list {
			pidfd, err := os.Open(os.DevNull) // anything that can be closed
			if err != nil {
				t.Fatal(err)
			}
			w := &hookWatch{hooks: &specs.Hooks{CreateContainer: list}}
			if err := w.begin(compile.RequestHook{Phase: compile.CreateContainer, Index: i}, pidfd); err != nil {
				t.Fatal(err)
			}
			if err := end(w); err != nil {
				t.Fatal(err)
			}
			if err := pidfd.Close(); !errors.Is(err, os.ErrClosed) {
				t.Errorf("%s, hook %d: the pidfd is still open", name, i)
			}
		}
	}
}
