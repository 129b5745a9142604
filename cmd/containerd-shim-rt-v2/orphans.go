package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// orphanAge is how long a child has been dead, and nobody's, until it is taken
// for an orphan: others, such as hooks, are waited for at once.
const orphanAge = time.Second

// reapOrphans waits for processes that lost their parent: those of containers
// without a pid namespace come to the shim. isOurs tells whom somebody waits for.
func reapOrphans(ctx context.Context, isOurs func(pid int) bool) {
	died := make(chan os.Signal, 1)
	signal.Notify(died, unix.SIGCHLD)
	dead := map[int]bool{} // found in the last round
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
		found := map[int]bool{}
		for _, pid := range zombies() {
			switch {
			case isOurs(pid):
			case dead[pid]:
				_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
			default:
				found[pid] = true
			}
		}
		dead, again = found, nil
		if len(dead) > 0 {
			again = time.After(orphanAge)
		}
	}
}

// zombies are the children of this process that have ended.
func zombies() []int {
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	var list []int
	for _, name := range lists {
		data, _ := os.ReadFile(name) // the thread may be gone
		for _, field := range bytes.Fields(data) {
			pid, err := strconv.Atoi(string(field))
			if err == nil && isZombie(pid) {
				list = append(list, pid)
			}
		}
	}
	return list
}

func isZombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	// The name, in parentheses, may contain anything.
	_, state, found := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
	return found && bytes.HasPrefix(state, []byte("Z"))
}
