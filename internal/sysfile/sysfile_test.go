package sysfile

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReadAndWrite(t *testing.T) {
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	for _, size := range []int{0, 1, 4095, 4096, 4097, 100000} {
		want := strings.Repeat("x", size)
		if err := CreateAt(int(dir.Fd()), "file", []byte(want)); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadAt(int(dir.Fd()), "file"); err != nil || string(got) != want {
			t.Errorf("%d bytes: read %d, %v", size, len(got), err)
		}
	}
	name := dir.Name() + "/file"
	if err := Write(name, []byte("ab")); err != nil {
		t.Error(err)
	}
	if got, err := Read(name); err != nil || !strings.HasPrefix(string(got), "abxx") {
		t.Errorf("%.5s, %v", got, err)
	}
}

func TestErrors(t *testing.T) {
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if _, err := Read("/no/such"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := Write("/no/such", nil); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, err := Read("/"); !errors.Is(err, unix.EISDIR) {
		t.Error(err)
	}
	if err := os.Symlink("/etc/passwd", dir.Name()+"/link"); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadAt(int(dir.Fd()), "link"); !errors.Is(err, unix.ELOOP) {
		t.Error(err)
	}
}

// ReadLine reads one line with one call, and any other file to its end.
func TestReadLine(t *testing.T) {
	for _, text := range []string{"", "\n", "line\n", "no end", strings.Repeat("x", 1023) + "\n", strings.Repeat("y", 1024) + "\n", strings.Repeat("z", 9000)} {
		name := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadLine(name); err != nil || string(got) != text {
			t.Errorf("%.10q…, %d bytes: %.10q…, %d bytes, %v", text, len(text), got, len(got), err)
		}
	}
	if _, err := ReadLine(filepath.Join(t.TempDir(), "none")); !IsNotExist(err) {
		t.Errorf("a missing file: %v", err)
	}
	if got, err := ReadLine("/proc/self/stat"); err != nil || !strings.HasPrefix(string(got), strconv.Itoa(os.Getpid())+" ") {
		t.Errorf("/proc/self/stat: %q, %v", got, err)
	}
}

func TestBootOffset(t *testing.T) {
	for text, want := range map[string]int64{
		"monotonic           5         0\nboottime           10         0\n":            1000,
		"monotonic           0         0\nboottime          -10 500000000\n":            -950,
		"monotonic           7         0\nboottime            0         0\nother 1 2\n": 0,
		"": 0,
	} {
		if got := int64(bootOffset([]byte(text))); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}
