package hooks

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func hook(script string, change ...func(*specs.Hook)) specs.Hook {
	h := specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", script}}
	for _, c := range change {
		c(&h)
	}
	return h
}

func TestStateArgumentsAndEnvironment(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	h := hook("cat > $OUT; echo \" $0 $A\" >> $OUT; env | wc -l >> $OUT", func(h *specs.Hook) {
		h.Args = append(h.Args, "name")
		h.Env = []string{"OUT=" + out, "A=b"}
	})
	if err := Run(t.Context(), "hooks.poststart", []specs.Hook{h}, "", []byte("{state}"), nil); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	if lines := strings.Fields(string(got)); err != nil || len(lines) < 4 || strings.Join(lines[:3], " ") != "{state} name b" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestFailureStopsTheList(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	list := []specs.Hook{hook("echo oops >&2; exit 3"), hook("touch " + out)}
	err := Run(t.Context(), "hooks.createRuntime", list, "", nil, nil)
	if err == nil {
		t.Fatal("no error")
	}
	for _, w := range []string{"hooks.createRuntime[0]", "/bin/sh", "exit status 3", "oops"} {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("no %q in %v", w, err)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("the second hook ran")
	}
	warned := 0
	RunAll("hooks.poststop", list, "", nil, nil, func(string) { warned++ })
	if _, err := os.Stat(out); err != nil || warned != 1 {
		t.Errorf("%v, %d warnings", err, warned)
	}
}

// A message with a hook's output goes to the terminal of the caller of rt.
func TestOutputIsNoCommandForATerminal(t *testing.T) {
	err := Failed(3<<8, []byte("\x1b]0;owned\a\x1b[2Jgone\n"))
	if want := `exit status 3: \x1b]0;owned\a\x1b[2Jgone`; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}

func TestTimeoutKillsTheGroup(t *testing.T) {
	one := 1
	began := time.Now()
	err := Run(t.Context(), "hooks.poststart", []specs.Hook{hook("sleep 50 & sleep 50", func(h *specs.Hook) { h.Timeout = &one })}, "", nil, nil)
	if err == nil || !strings.Contains(err.Error(), "timeout of 1 s") {
		t.Error(err)
	}
	if time.Since(began) > 10*time.Second {
		t.Error("the hook was not killed")
	}
}

func TestMissingProgram(t *testing.T) {
	err := Run(t.Context(), "hooks.poststart", []specs.Hook{{Path: "/no/such"}}, "", nil, nil)
	if err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Error(err)
	}
}
