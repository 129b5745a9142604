package birth

import (
	"os"
	"path/filepath"
	"testing"
)

// An rt that is killed while it writes the pid file leaves a hidden file beside it. The next one with
// the same --pid-file replaces it, but does not write through a link.
func TestThePidFileReplacesWhatAKilledRtLeft(t *testing.T) {
	dir := t.TempDir()
	name, hidden, other := filepath.Join(dir, "pid"), filepath.Join(dir, ".pid"), filepath.Join(dir, "other")
	write := func(name string) {
		t.Helper()
		if err := os.WriteFile(name, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(other)
	for what, leave := range map[string]func(){
		"nothing": func() {}, "a file": func() { write(hidden) },
		"a link": func() {
			if err := os.Symlink(other, hidden); err != nil {
				t.Fatal(err)
			}
		},
	} {
		leave()
		if err := writeFile(name, "17"); err != nil {
			t.Errorf("%s was left: %v", what, err)
		}
		for file, want := range map[string]string{name: "17", other: "old"} {
			if text, err := os.ReadFile(file); err != nil || string(text) != want {
				t.Errorf("%s was left: %s has %q, want %q (%v)", what, file, text, want, err)
			}
		}
		if _, err := os.Lstat(hidden); !os.IsNotExist(err) {
			t.Errorf("%s was left: the hidden file stays: %v", what, err)
		}
	}
	// Nothing but a file or a link is removed.
	if err := os.MkdirAll(filepath.Join(hidden, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(name, "18"); err == nil {
		t.Error("a directory is replaced")
	}
}
