package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// parents are the calls that are under way and may have children, such as hooks and
// the program of a container that is being made. They wait for these themselves.
type parents struct {
	mu    sync.Mutex
	last  int
	since map[int]ticks
}

// enter begins such a call.
func (p *parents) enter() (leave func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.since == nil {
		p.since = map[int]ticks{}
	}
	p.last++
	call := p.last
	p.since[call] = now()
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.since, call)
	}
}

// mayHave tells whether a child may be that of a call: it is as young.
func (p *parents) mayHave(z zombie) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(slices.Collect(maps.Values(p.since)), func(since ticks) bool { return z.start >= since })
}

// ticks are the kernel's clock ticks after boot, hundredths of a second.
type ticks uint64

func now() ticks {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &t)
	return ticks(t.Nano() / int64(time.Second/100))
}

// zombie is a child of this process that has ended.
type zombie struct {
	pid   int
	start ticks
}

// orphanAge is how long a child has been dead, and nobody's, until it is taken
// for an orphan.
const orphanAge = time.Second

// reapOrphans waits for processes that lost their parent: those of containers
// without a pid namespace come to the shim. isOurs tells for which somebody waits.
func reapOrphans(ctx context.Context, isOurs func(zombie) bool) {
	died := make(chan os.Signal, 1)
	signal.Notify(died, unix.SIGCHLD)
	defer signal.Stop(died)
	dead := map[zombie]bool{} // found in the last round, or somebody's
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-died:
			if again == nil {
				again = time.After(orphanAge)
			}
			continue
		case <-again:
		}
		found := map[zombie]bool{}
		for _, z := range zombies() {
			if dead[z] && !isOurs(z) {
				_, _ = unix.Wait4(z.pid, nil, unix.WNOHANG, nil)
			} else {
				found[z] = true
			}
		}
		dead, again = found, nil
		if len(dead) > 0 {
			again = time.After(orphanAge)
		}
	}
}

// zombies are the children of this process that have ended.
func zombies() []zombie {
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	var list []zombie
	for _, name := range lists {
		data, _ := os.ReadFile(name) // the thread may be gone
		for _, field := range bytes.Fields(data) {
			pid, err := strconv.Atoi(string(field))
			if err != nil {
				continue
			}
			if z, dead := readZombie(pid); dead {
				list = append(list, z)
			}
		}
	}
	return list
}

// readZombie reads what proc_pid_stat(5) says of a process that has ended.
func readZombie(pid int) (z zombie, dead bool) {
	fields := processStat(pid)
	if len(fields) <= statStart || fields[statState][0] != 'Z' {
		return zombie{}, false
	}
	since, err := strconv.ParseUint(string(fields[statStart]), 10, 64)
	return zombie{pid, ticks(since)}, err == nil
}

// parentOfProcess is a process's parent; 0 if there is no such process.
func parentOfProcess(pid int) int {
	fields := processStat(pid)
	if len(fields) <= statParent {
		return 0
	}
	parent, _ := strconv.Atoi(string(fields[statParent]))
	return parent
}

// The fields of processStat.
const (
	statState  = 0
	statParent = 1
	statStart  = 19
)

// processStat are the fields of proc_pid_stat(5) from the third on.
func processStat(pid int) [][]byte {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	// The name, in parentheses, may contain anything.
	return bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
}
