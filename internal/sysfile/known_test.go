package sysfile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func openDir(t *testing.T) (string, int) {
	t.Helper()
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	return dir.Name(), int(dir.Fd())
}

func TestOpenRegular(t *testing.T) {
	path, dir := openDir(t)
	if err := os.WriteFile(path+"/file", []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"inside": "/file", "loop": "loop", "outside": "/etc/passwd", "null": "/dev/null"} {
		if err := os.Symlink(target, filepath.Join(path, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(path+"/pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		resolve uint64
		want    error
	}{
		{"file", 0, nil},
		{"inside", unix.RESOLVE_IN_ROOT, nil},
		{"inside", unix.RESOLVE_NO_SYMLINKS, unix.ELOOP},
		{"outside", unix.RESOLVE_IN_ROOT, unix.ENOENT},
		{"loop", 0, unix.ELOOP},
		{"null", 0, ErrNotRegular},
		{"pipe", 0, ErrNotRegular},
		{".", 0, ErrNotRegular},
	} {
		fd, err := OpenRegular(dir, c.name, c.resolve)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if err != nil {
			continue
		}
		if data, err := ReadRegular(fd, c.name, 4); err != nil || string(data) != "text" {
			t.Errorf("%s: %q, %v", c.name, data, err)
		}
		unix.Close(fd)
		if fd, err = OpenRegular(dir, c.name, c.resolve); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadRegular(fd, c.name, 3); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v with a limit below its size", c.name, err)
		}
		unix.Close(fd)
	}
}

// A pipe is checked without opening it: a writer would see a reader.
func TestOpenRegularDoesNotOpenOthers(t *testing.T) {
	path, dir := openDir(t)
	if err := unix.Mkfifo(path+"/pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	watch, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(watch)
	if _, err := unix.InotifyAddWatch(watch, path+"/pipe", unix.IN_OPEN); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRegular(dir, "pipe", 0); !errors.Is(err, ErrNotRegular) {
		t.Error(err)
	}
	if n, err := unix.Read(watch, make([]byte, 4096)); err != unix.EAGAIN {
		t.Errorf("the pipe was opened: %d, %v", n, err)
	}
}

// Reopen opens the file that was checked.
func TestReopen(t *testing.T) {
	path, dir := openDir(t)
	if err := os.WriteFile(path+"/file", []byte("first"), 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := OpenAt(dir, "file", unix.O_PATH|unix.O_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := os.Rename(path+"/file", path+"/other"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+"/file", []byte("second"), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := Reopen(fd, unix.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(again)
	if data, err := ReadRegular(again, "file", 100); err != nil || string(data) != "first" {
		t.Errorf("%q, %v", data, err)
	}
}

// Renames elsewhere do not make a walk through ".." fail.
func TestOpenat2BesideRenames(t *testing.T) {
	path, dir := openDir(t)
	for _, name := range []string{"a", "b"} {
		if err := os.Mkdir(filepath.Join(path, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	other, stop, stopped := t.TempDir(), make(chan struct{}), make(chan struct{})
	if err := os.Mkdir(other+"/x", 0o700); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Rename(other+"/x", other+"/y")
				_ = unix.Rename(other+"/y", other+"/x")
			}
		}
	}()
	for range 20_000 {
		fd, err := Openat2(dir, "a/../b/../a/../b", &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
		if err != nil {
			t.Error(err)
			break
		}
		unix.Close(fd)
	}
	close(stop)
	<-stopped
}
