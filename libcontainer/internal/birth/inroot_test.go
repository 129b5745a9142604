package birth

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rtcontainers/rt/libcontainer/internal/compile"
	"golang.org/x/sys/unix"
)

// A neighbour that keeps replacing a directory by a symlink cannot lead the walk out of
// the root, nor make it fail.
func TestMakeInRootWhileSomebodyExchanges(t *testing.T) {
	dir := t.TempDir()
	root, outside := filepath.Join(dir, "root"), filepath.Join(dir, "outside")
	for _, name := range []string{outside, filepath.Join(root, "a")} {
		if err := os.MkdirAll(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(root, "b")); err != nil {
		t.Fatal(err)
	}
	end, ended := make(chan struct{}), make(chan error)
	go func() {
		for {
			select {
			case <-end:
				ended <- nil
				return
			default:
			}
			if err := unix.Renameat2(unix.AT_FDCWD, filepath.Join(root, "a"), unix.AT_FDCWD, filepath.Join(root, "b"), unix.RENAME_EXCHANGE); err != nil {
				ended <- err
				return
			}
		}
	}()
	f, err := os.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for n := range 20000 {
		name, kind := "/a/directory", compile.PathKind(compile.Directory)
		if n%2 == 1 {
			name, kind = "/a/file", compile.EmptyFile
		}
		fd, err := makeInRoot(f, name, kind)
		if err != nil {
			t.Errorf("try %d: %v", n+1, err)
			break
		}
		unix.Close(fd)
	}
	close(end)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("outside of the root: %v, %v", left, err)
	}
}
