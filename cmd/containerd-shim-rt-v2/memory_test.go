package main

import (
	"bufio"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestProgramMappings(t *testing.T) {
	const smaps = `00400000-00b38000 r-xp 00000000 fe:00 77 /usr/local/bin/containerd-shim-rt-v2
Rss:                7000 kB
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd ex mr mw me sd
00b38000-013ba000 r--p 00738000 fe:00 77 /usr/local/bin/containerd-shim-rt-v2 (deleted)
Anonymous:             0 kB
Swap:                  0 kB
013ba000-013bb000 r--p 00fba000 fe:00 77 /usr/local/bin/containerd-shim-rt-v2
Anonymous:             4 kB
Swap:                  0 kB
013bb000-013bc000 r--p 00fbb000 fe:00 77 /usr/local/bin/containerd-shim-rt-v2
Anonymous:             0 kB
Swap:                  4 kB
013bc000-01441000 rw-p 00fbc000 fe:00 77 /usr/local/bin/containerd-shim-rt-v2
Anonymous:             0 kB
Swap:                  0 kB
01441000-03486000 rw-p 00000000 00:00 0
7f0000000000-7f0000001000 r--p 00000000 fe:00 78 /usr/lib/locale
Anonymous:             0 kB
7f0000002000-7f0000003000 r--p 00000000 fd:00 77 /elsewhere with the same inode
Anonymous:             0 kB
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]
`
	got := programMappings(smaps, 0x400100)
	want := []fileMapping{{0x400000, 0xb38000, "fe:00 77", false}, {0xb38000, 0x13ba000, "fe:00 77", false}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	for _, other := range []uint64{0, 0x13bc000, 0x2000000} {
		for _, m := range programMappings(smaps, other) {
			if m.file != "fe:00 77" || m.changed {
				t.Errorf("code at %#x: %+v", other, m)
			}
		}
	}
}

// The program runs on with all that it has: variables, constants, code and what a linker
// has relocated.
func TestUnmapProgram(t *testing.T) {
	const variable = "RT_TEST_UNMAP"
	if os.Getenv(variable) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestUnmapProgram$", "-test.v")
		cmd.Env = append(os.Environ(), variable+"=1")
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		return
	}
	before := fileMemory(t)
	unmapProgram()
	if after := fileMemory(t); after > before*3/4 {
		t.Errorf("RssFile was %d kB, is %d kB", before, after)
	}
	runtime.GC()
	if _, err := parsePodConfig(nil); err != nil {
		t.Error(err)
	}
}

func fileMemory(t *testing.T) int {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), "RssFile:"); ok {
			n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("no RssFile")
	return 0
}

func TestMemory(t *testing.T) {
	percent := debug.SetGCPercent(100)
	limit := debug.SetMemoryLimit(-1)
	defer func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	}()
	synctest.Test(t, func(t *testing.T) {
		check := func(when string, want int) {
			t.Helper()
			got := debug.SetGCPercent(100)
			debug.SetGCPercent(got)
			if got != want {
				t.Errorf("%s: GC percentage %d, want %d", when, got, want)
			}
			if limited := debug.SetMemoryLimit(-1) == mostHeap; limited != (want < 0) {
				t.Errorf("%s: memory limit: %v", when, limited)
			}
		}
		m := newMemory()
		check("start", -1)
		first := m.making(0)
		second := m.making(1)
		first()
		time.Sleep(2 * settled)
		check("while a container is made", -1)
		second()
		time.Sleep(settled / 2)
		m.making(2)()
		time.Sleep(settled * 3 / 4)
		check("soon after", -1)
		time.Sleep(settled / 2)
		check("settled", smallGC)
		third := m.making(2)
		check("a container is made again", -1)
		fourth := m.making(fewContainers + 1)
		check("many", smallGC)
		third()
		fourth()
		time.Sleep(2 * settled)
		check("settled with many", smallGC)
		m.timer.Stop()
	})
}
