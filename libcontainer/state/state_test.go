package state

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Between the making of a directory and its lock another rt may have deleted it,
// and a third one made it anew.
func TestClaimOfTakenDirectory(t *testing.T) {
	root := t.TempDir()
	first, err := Create(root, "a")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if err := first.Save(&State{ID: "a", Pid: 1}); err != nil {
		t.Fatal(err)
	}
	first.Unlock()
	if _, err := claim(filepath.Join(root, "a")); !errors.Is(err, ErrExist) {
		t.Errorf("a directory with a container in it: %v", err)
	}
	if s, err := first.Load(); err != nil || s.Pid != 1 {
		t.Errorf("the container in it: %+v, %v", s, err)
	}

	if err := first.Remove(); err != nil {
		t.Fatal(err)
	}
	if d, err := claim(filepath.Join(root, "a")); err == nil {
		t.Errorf("%s is gone, but was claimed", d.Path())
	}

	// Another creator's directory that nobody has locked yet can be taken.
	if err := os.Mkdir(filepath.Join(root, "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	d, err := claim(filepath.Join(root, "a"))
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
}
