package birth

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// An rt that is killed while it writes the pid file leaves a hidden file beside it. The next one with
// the same --pid-file replaces it, but neither a link nor a directory.
func TestThePidFileReplacesWhatAKilledRtLeft(t *testing.T) {
	for what, test := range map[string]struct {
		leave func(hidden, other string) error
		err   error
	}{
		"nothing":     {func(string, string) error { return nil }, nil},
		"a file":      {func(hidden, _ string) error { return os.WriteFile(hidden, []byte("old"), 0o600) }, nil},
		"a link":      {func(hidden, other string) error { return os.Symlink(other, hidden) }, fs.ErrExist},
		"a directory": {func(hidden, _ string) error { return os.Mkdir(hidden, 0o700) }, fs.ErrExist},
	} {
		dir := t.TempDir()
		name, hidden, other := filepath.Join(dir, "pid"), filepath.Join(dir, ".pid"), filepath.Join(dir, "other")
		if err := errors.Join(os.WriteFile(other, []byte("old"), 0o600), test.leave(hidden, other)); err != nil {
			t.Fatal(err)
		}
		if err := writeFile(name, "17"); !errors.Is(err, test.err) {
			t.Errorf("%s was left: %v, want %v", what, err, test.err)
		}
		if text, err := os.ReadFile(name); test.err == nil && (err != nil || string(text) != "17") {
			t.Errorf("%s was left: %q, %v", what, text, err)
		}
		if text, err := os.ReadFile(other); err != nil || string(text) != "old" {
			t.Errorf("%s was left: the other file has %q, %v", what, text, err)
		}
		if _, err := os.Lstat(hidden); (err == nil) != (test.err != nil) {
			t.Errorf("%s was left: the hidden file: %v", what, err)
		}
	}
}
