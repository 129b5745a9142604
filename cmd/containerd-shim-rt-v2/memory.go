package main

import (
	"os"
	"reflect"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// memory decides how much the heap may grow.
type memory struct {
	mu sync.Mutex
	// calls are those that make or start a container.
	calls int
	// limit is the memory limit that the user may have set: GOMEMLIMIT.
	limit int64
	timer *time.Timer
}

const (
	// smallGC is a GC percentage that keeps the heap small: the CRI's plugin asks for
	// counters each second, and what the answers leave would fill four megabytes before it is
	// collected, by default.
	smallGC = 25
	// mostMemory is the limit in bytes of the Go runtime's memory while nothing is collected.
	mostMemory = 32 << 20
	// fewContainers is up to how many nothing is collected while one is made.
	fewContainers = 4
	// settled is how long after the last container was made the shim gives back the memory that
	// this has taken.
	settled = 2 * time.Second
	// makePatience is how long a call may take until it does not count any more: a hook hangs.
	makePatience = 30 * time.Second
)

func newMemory() *memory {
	m := &memory{limit: debug.SetMemoryLimit(-1)}
	m.letGrow()
	m.timer = time.AfterFunc(settled, m.settle)
	return m
}

// letGrow collects nothing, for a short time. A collection waits for each goroutine, and the
// Go runtime spins while it does. One that starts a process cannot answer until the process
// has executed its program (CLONE_VFORK), which on a busy machine takes long, and longer
// because of the spinning: 200 pods at once took five times as long. (The shim package
// collects once in 30 seconds in any case.)
func (m *memory) letGrow() {
	debug.SetMemoryLimit(min(m.limit, mostMemory))
	debug.SetGCPercent(-1)
}

func (m *memory) keepSmall() {
	debug.SetMemoryLimit(m.limit)
	debug.SetGCPercent(smallGC)
}

// making is called before a container is made or started, with how many there are, and
// made after it.
func (m *memory) making(containers int) (made func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	m.timer.Reset(makePatience)
	if containers > fewContainers {
		m.keepSmall()
	} else {
		m.letGrow()
	}
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.calls--; m.calls == 0 {
			m.timer.Reset(settled)
		}
	}
}

// settle gives back what was needed only to make containers.
func (m *memory) settle() {
	m.mu.Lock()
	m.keepSmall()
	m.mu.Unlock()
	giveBack()
}

// giveBack gives back the memory that is not needed now.
func giveBack() {
	debug.FreeOSMemory()
	unmapProgram()
}

// unmapProgram gives back the pages of the program's own file: a shim maps 15 MB of it to
// make a container, and needs only a part of them later. Each page comes back from the page
// cache when it is used (madvise(2), MADV_DONTNEED for a mapping of a file).
func unmapProgram() {
	maps, err := os.ReadFile("/proc/self/smaps") // proc_pid_smaps(5)
	if err != nil {
		return
	}
	for _, m := range programMappings(string(maps), uint64(reflect.ValueOf(unmapProgram).Pointer())) {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(m.start), uintptr(m.end-m.start), unix.MADV_DONTNEED)
	}
}

type fileMapping struct {
	start, end uint64
	file       string // device and inode
	// changed is true if it has, or may get, pages that are not those of the file.
	changed bool
}

// programMappings are the unchanged mappings of the file that has the code at an address.
func programMappings(smaps string, code uint64) []fileMapping {
	var all []fileMapping
	var program string
	for line := range strings.Lines(smaps) {
		f := strings.Fields(line)
		switch {
		case len(f) >= 5 && strings.Contains(f[0], "-"):
			from, to, _ := strings.Cut(f[0], "-")
			m := fileMapping{file: f[3] + " " + f[4], changed: strings.Contains(f[1], "w")}
			m.start, _ = strconv.ParseUint(from, 16, 64)
			m.end, _ = strconv.ParseUint(to, 16, 64)
			if m.start <= code && code < m.end && f[4] != "0" {
				program = m.file
			}
			all = append(all, m)
		case len(f) > 1 && len(all) > 0 && (f[0] == "Anonymous:" || f[0] == "Swap:") && f[1] != "0":
			all[len(all)-1].changed = true
		}
	}
	return slices.DeleteFunc(all, func(m fileMapping) bool { return program == "" || m.file != program || m.changed })
}
