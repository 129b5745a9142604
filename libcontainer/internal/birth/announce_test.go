package birth

import (
	"os"
	"path/filepath"
	"testing"
)

// An rt that is killed while it writes the pid file leaves a hidden file beside it. The
// next one with the same --pid-file replaces it, and nothing else that has its name.
func TestThePidFileReplacesWhatAKilledRtLeft(t *testing.T) {
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for what, test := range map[string]struct {
		leave    func(hidden, other string)
		replaced bool
	}{
		"nothing":           {func(_, _ string) {}, true},
		"an empty file":     {func(hidden, _ string) { write(hidden, "") }, true},
		"a pid":             {func(hidden, _ string) { write(hidden, "4711") }, true},
		"a file of a user":  {func(hidden, _ string) { write(hidden, "alias ll='ls -l'\n") }, false},
		"a symlink":         {func(hidden, other string) { _ = os.Symlink(other, hidden) }, false},
		"a second hardlink": {func(hidden, other string) { _ = os.Link(other, hidden) }, false},
		"a directory":       {func(hidden, _ string) { _ = os.Mkdir(hidden, 0o700) }, false},
	} {
		dir := t.TempDir()
		name, hidden, other := filepath.Join(dir, "pid"), filepath.Join(dir, ".pid"), filepath.Join(dir, "other")
		write(other, "12")
		test.leave(hidden, other)
		err := writeFile(name, "17")
		if (err == nil) != test.replaced {
			t.Errorf("%s was left: %v", what, err)
		}
		if text, _ := os.ReadFile(name); (string(text) == "17") != test.replaced {
			t.Errorf("%s was left: the pid file has %q", what, text)
		}
		if text, _ := os.ReadFile(other); string(text) != "12" {
			t.Errorf("%s was left: the other file has %q now", what, text)
		}
		if _, err := os.Lstat(hidden); os.IsNotExist(err) != test.replaced {
			t.Errorf("%s was left: the hidden file: %v", what, err)
		}
	}
}
