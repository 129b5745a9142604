package state

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// A state that rt reads is one that it could have written: reading never panics, and what
// it accepts is the same after it is saved.
func FuzzLoad(f *testing.F) {
	root := f.TempDir()
	dir, err := Create(root, "box")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { dir.Close() })
	for _, s := range []State{
		{ID: "box", OCIVersion: "1.0.2", Pid: 7, StartTime: 12},
		{
			ID: "box", Bundle: "/b", Annotations: map[string]string{"a": "b\u2028"}, Cgroup: Cgroup{Paths: map[string]string{"": "/sys/fs/cgroup/box"}},
			Hooks: &Hooks{Poststop: StoredHooks([]specs.Hook{{Path: "/bin/true", Args: []string{"true"}, Timeout: new(3)}})},
		},
	} {
		if err := dir.Save(&s); err != nil {
			f.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(root, "box", stateName))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	name := filepath.Join(root, "box", stateName)
	f.Fuzz(func(t *testing.T, text []byte) {
		_ = unix.Unlink(name)
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		loaded, err := dir.Load()
		if err != nil {
			return
		}
		saved := save(t, dir, loaded)
		again, err := dir.Load()
		if err != nil {
			t.Fatalf("%s: %v", saved, err)
		}
		if text := save(t, dir, again); !bytes.Equal(text, saved) {
			t.Errorf("%s\nis after loading and saving %s", saved, text)
		}
	})
}

// save saves a state and returns the file.
func save(t *testing.T, dir *Dir, s *State) []byte {
	if err := dir.Save(s); err != nil {
		t.Fatal(err)
	}
	text, err := dir.read(stateName)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
