package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// TestEach opens few and many containers, each once, and leaves out what is none.
func TestEach(t *testing.T) {
	for _, n := range []int{0, 1, alone - 1, 10 * alone} {
		root := t.TempDir()
		var want []string
		for i := range n {
			id := fmt.Sprintf("c%04d", i)
			want = append(want, id)
			d, err := Create(root, id)
			if err != nil {
				t.Fatal(err)
			}
			d.Close()
		}
		if err := errors.Join(os.WriteFile(filepath.Join(root, "file"), nil, 0o600), os.Mkdir(filepath.Join(root, "no id!"), 0o700)); err != nil {
			t.Fatal(err)
		}
		var mutex sync.Mutex
		var got []string
		err := Each(root, func(id string, d *Dir, err error) {
			mutex.Lock()
			defer mutex.Unlock()
			if err != nil || d.Path() != filepath.Join(root, id) {
				t.Errorf("%s: %v, %v", id, d, err)
				return
			}
			d.Close()
			got = append(got, id)
		})
		slices.Sort(got)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%d containers: %v, %v", n, got, err)
		}
	}
	if err := Each(filepath.Join(t.TempDir(), "none"), func(string, *Dir, error) { t.Error("there is none") }); err != nil {
		t.Errorf("a root that does not exist: %v", err)
	}
}

// TestSteps: they are read as they were saved, and removed with the container.
func TestSteps(t *testing.T) {
	root := t.TempDir()
	d, err := Create(root, "c")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if steps, err := d.Steps(); err == nil {
		t.Errorf("there are none yet: %v", steps)
	}
	want := []Step{{Index: 7, Call: "execve", Source: `process.args[0] "a"`, Purpose: "execute"}, {Index: 8}}
	if err := d.SaveSteps(want); err != nil {
		t.Fatal(err)
	}
	if got, err := d.Steps(); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	if err := d.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(d.Path()); !os.IsNotExist(err) {
		t.Errorf("the directory stays: %v", err)
	}
}
