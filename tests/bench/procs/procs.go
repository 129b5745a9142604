// Package procs finds processes and what they hold.
package procs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Holding is what processes hold together.
type Holding struct {
	Processes   int
	Descriptors int
	// PSS is memory in kB, where a page that several processes share counts once in all: proc(5).
	PSS int
}

// Holds reads what processes hold.
func Holds(pids []int) (h Holding, err error) {
	for _, pid := range pids {
		dir := filepath.Join("/proc", strconv.Itoa(pid))
		descriptors, err := os.ReadDir(filepath.Join(dir, "fd"))
		if err != nil {
			return h, err
		}
		smaps, err := os.ReadFile(filepath.Join(dir, "smaps_rollup"))
		if err != nil {
			return h, err
		}
		pss, err := proportional(smaps)
		if err != nil {
			return h, err
		}
		h.Processes++
		h.Descriptors += len(descriptors)
		h.PSS += pss
	}
	return h, nil
}

// proportional reads the line Pss of smaps_rollup.
func proportional(smaps []byte) (int, error) {
	for line := range bytes.Lines(smaps) {
		fields := strings.Fields(string(line))
		if len(fields) == 3 && fields[0] == "Pss:" {
			return strconv.Atoi(fields[1])
		}
	}
	return 0, errors.New("smaps_rollup: Pss is missing")
}

// Descendants are the processes below one. Those of a container become children of the harness
// when the runtime has ended, because the harness is a subreaper.
func Descendants(of int) (map[int]bool, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		parent, err := Parent(pid)
		if err != nil {
			return nil, err
		}
		children[parent] = append(children[parent], pid)
	}
	found := map[int]bool{}
	for next := []int{of}; len(next) > 0; next = next[1:] {
		for _, child := range children[next[0]] {
			found[child] = true
			next = append(next, child)
		}
	}
	return found, nil
}

// Parent reads /proc/PID/stat. A process that has ended has no parent: 0.
func Parent(pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	// The name, in parentheses, may contain anything.
	_, rest, found := bytes.Cut(text[bytes.LastIndexByte(text, ')')+1:], []byte(" "))
	fields := strings.Fields(string(rest))
	if !found || len(fields) < 2 {
		return 0, fmt.Errorf("/proc/%d/stat: %q", pid, text)
	}
	return strconv.Atoi(fields[1])
}
