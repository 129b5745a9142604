package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

func TestParseCPUStat(t *testing.T) {
	got, err := parseCPUStat("usage_usec 1500\nuser_usec 1000\n")
	if err != nil || got != 1500*time.Microsecond {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := parseCPUStat("user_usec 1000\n"); err == nil {
		t.Error("a file without the line is accepted")
	}
}

func TestRemains(t *testing.T) {
	points := mountPoints("22 1 0:21 / /proc rw - proc proc rw\n36 35 98:0 /mnt1 /run/a\\040b rw,noatime master:1 - ext3 /dev/root rw\n")
	if want := []string{"/proc", `/run/a\040b`}; !slices.Equal(points, want) {
		t.Errorf("%q, want %q", points, want)
	}
	before, after := map[string]bool{"a": true, "gone": true}, map[string]bool{"c": true, "a": true, "b": true}
	if got := added(before, after); !slices.Equal(got, []string{"b", "c"}) {
		t.Errorf("%q", got)
	}
	if name, err := describe(os.Getpid()); err != nil || name == "" {
		t.Errorf("%q, %v", name, err)
	}
}

func TestPidOfAVerboseStatus(t *testing.T) {
	if pid, err := pidOf(map[string]string{"info": `{"sandboxID":"x","pid":17}`}); err != nil || pid != 17 {
		t.Errorf("%d, %v", pid, err)
	}
	for _, info := range []string{"", "{}", `{"pid":0}`} {
		if pid, err := pidOf(map[string]string{"info": info}); err == nil {
			t.Errorf("%q has the pid %d", info, pid)
		}
	}
}

func TestTogetherStopsAtAnError(t *testing.T) {
	var calls atomic.Int64
	if err := together(100, 8, func(int) error { calls.Add(1); return nil }); err != nil || calls.Load() != 100 {
		t.Errorf("%d calls, %v", calls.Load(), err)
	}
	failure := errors.New("failure")
	calls.Store(0)
	err := together(1000, 2, func(i int) error {
		calls.Add(1)
		if i == 3 {
			return failure
		}
		time.Sleep(time.Millisecond)
		return nil
	})
	if !errors.Is(err, failure) || calls.Load() > 100 {
		t.Errorf("%v after %d calls", err, calls.Load())
	}
}

func TestImageIsADockerArchive(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("text"), 0o755); err != nil {
		t.Fatal(err)
	}
	data, err := makeImage(program, program)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]int{}
	for r := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names[h.Name]++
	}
	if len(names) != 3 || names["layer.tar"] != 1 || names["config.json"] != 1 || names["manifest.json"] != 1 {
		t.Errorf("%v", names)
	}
}
