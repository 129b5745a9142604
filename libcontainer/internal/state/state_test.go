package state

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/rtcontainers/rt/internal/sysfile"
)

// Between making a directory and locking it, another rt may have deleted it, and a third
// one made it again.
func TestClaimOfTakenDirectory(t *testing.T) {
	root := t.TempDir()
	r, err := openRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	first, err := Create(root, "a")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if err := first.Save(&State{ID: "a", Pid: 1}); err != nil {
		t.Fatal(err)
	}
	first.Unlock()
	if _, err := r.claim("a"); !errors.Is(err, ErrExist) {
		t.Errorf("a directory with a container in it: %v", err)
	}
	if s, err := first.Load(); err != nil || s.Pid != 1 {
		t.Errorf("the container in it: %+v, %v", s, err)
	}

	if err := first.Remove(); err != nil {
		t.Fatal(err)
	}
	if d, err := r.claim("a"); err == nil {
		t.Errorf("%s is gone, but was claimed", d.Path())
	}

	// A directory of another creator that nobody has locked yet can be claimed.
	if err := os.Mkdir(filepath.Join(root, "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	d, err := r.claim("a")
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
}

// rt does not trust directories and files that others can write to.
func TestModes(t *testing.T) {
	root := t.TempDir()
	d, err := Create(root, "a")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Save(&State{ID: "a"}); err != nil {
		t.Fatal(err)
	}
	load := func() error {
		d, err := Open(root, "a")
		if err == nil {
			defer d.Close()
			_, err = d.Load()
		}
		return err
	}
	for _, c := range []struct {
		name       string
		mode, good os.FileMode
		believed   bool
	}{
		{".", 0o775, 0o711, false},
		{".", 0o777, 0o711, false},
		{".", 0o777 | os.ModeSticky, 0o711, true},
		{"a", 0o770, 0o700, false},
		{"a", 0o777 | os.ModeSticky, 0o700, false},
		{"a", 0o755, 0o700, true},
		{"a/state.json", 0o660, 0o600, false},
		{"a/state.json", 0o602, 0o600, false},
		{"a/state.json", 0o644, 0o600, true},
	} {
		path := filepath.Join(root, c.name)
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		if err := load(); (err == nil) != c.believed || err != nil && !errors.Is(err, ErrForeign) {
			t.Errorf("%s with mode %v: %v", c.name, c.mode, err)
		}
		if err := os.Chmod(path, c.good); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(filepath.Join(root, "a", stateName), maxFile+1); err != nil {
		t.Fatal(err)
	}
	if err := load(); !errors.Is(err, sysfile.ErrTooLarge) {
		t.Errorf("a state without an end: %v", err)
	}
}
