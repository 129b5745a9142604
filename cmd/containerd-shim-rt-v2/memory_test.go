package main

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
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

Anonymous:
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
	before := fileMemory(t, os.Getpid())
	unmapProgram()
	if after := fileMemory(t, os.Getpid()); after > before*3/4 {
		t.Errorf("RssFile was %d kB, is %d kB", before, after)
	}
	runtime.GC()
	if _, err := parsePodConfig(nil); err != nil {
		t.Error(err)
	}
}

// fileMemory is how much of files a process has mapped, in kB: RssFile, proc_pid_status(5).
func fileMemory(t *testing.T, pid int) int {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
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
	limit := debug.SetMemoryLimit(math.MaxInt64)
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
			if limited := debug.SetMemoryLimit(-1) == mostMemory; limited != (want < 0) {
				t.Errorf("%s: memory limit: %v", when, limited)
			}
		}
		m := newMemory()
		check("start", -1)
		time.Sleep(2 * settled)
		check("nothing was made", smallGC) // after a crash, too
		first := m.making(0)
		second := m.making(fewContainers)
		check("two are made", -1)
		first()
		time.Sleep(2 * settled)
		check("one is made", -1)
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
		m.making(1)
		time.Sleep(2 * makePatience)
		check("a call hangs", smallGC)
		m.making(1)()
		check("another one beside it", -1)
		time.Sleep(2 * makePatience)
		check("it hangs on", smallGC)
		m.timer.Stop()
	})
}

func TestMemoryLimitOfTheUser(t *testing.T) {
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(-1)
	defer func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	}()
	for _, own := range []int64{mostMemory / 2, mostMemory * 2} {
		debug.SetMemoryLimit(own)
		m := newMemory()
		m.timer.Stop()
		if got := debug.SetMemoryLimit(-1); got != min(own, mostMemory) {
			t.Errorf("limit %d: while a container is made: %d", own, got)
		}
		m.keepSmall()
		if got := debug.SetMemoryLimit(-1); got != own {
			t.Errorf("limit %d: later: %d", own, got)
		}
	}
}

// The processes of a shared shim give back their program's pages once they rest, and those
// that take over after a crash, too.
func TestSharedShimGivesBackItsProgram(t *testing.T) {
	s := newSharedShim(t)
	rests := func(pids ...int) {
		t.Helper()
		most := map[int]int{}
		for deadline := time.Now().Add(patience); len(pids) > 0; time.Sleep(10 * time.Millisecond) {
			pids = slices.DeleteFunc(pids, func(pid int) bool {
				now := fileMemory(t, pid)
				most[pid] = max(most[pid], now)
				return now < most[pid]/2
			})
			if time.Now().After(deadline) {
				t.Fatalf("processes %v have not given back pages: at most they had %v kB", pids, most)
			}
		}
	}
	s.createBox("box", "sleep 1000", "")
	rests(s.worker)
	s.crash()
	rests(s.worker, parentOfProcess(s.worker))
}
