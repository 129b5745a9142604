package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// endTimeout is how long a killed process may take to end.
const endTimeout = 10 * time.Second

// subject is a competitor with the bundle and the directories it has for one case.
type subject struct {
	competitor
	bundle string
	// root is the directory of its state.
	root    string
	pidFile string
}

// argv is a command line of the runtime.
func (s *subject) argv(args ...string) []string {
	return append([]string{s.Path, "--root", s.root}, args...)
}

func measureRun(w *worker, s *subject) ([]float64, error) {
	argv := s.argv("run", "--bundle", s.bundle, w.newID())
	if s.Name == floor {
		argv = []string{s.Path, filepath.Join(s.bundle, rootfs)}
	}
	elapsed, err := w.run(argv)
	return []float64{milliseconds(elapsed)}, err
}

func measureLifecycle(w *worker, s *subject) ([]float64, error) {
	id := w.newID()
	var samples []float64
	step := func(args ...string) error {
		elapsed, err := w.run(s.argv(args...))
		samples = append(samples, milliseconds(elapsed))
		return err
	}
	pid, err := s.create(step, id)
	if err != nil {
		return nil, err
	}
	for _, args := range [][]string{{"start", id}, {"state", id}, append([]string{"exec", id}, succeed...)} {
		if err := step(args...); err != nil {
			return nil, err
		}
	}
	return samples, s.remove(step, id, pid)
}

// measureMemory measures the process that waits for start.
func measureMemory(w *worker, s *subject) ([]float64, error) {
	id := w.newID()
	step := func(args ...string) error {
		_, err := w.run(s.argv(args...))
		return err
	}
	pid, err := s.create(step, id)
	if err != nil {
		return nil, err
	}
	private, err := s.waitingMemory(pid)
	if err != nil {
		return nil, err
	}
	binary, err := os.Stat(s.Path)
	if err != nil {
		return nil, err
	}
	return []float64{private, float64(binary.Size()) / 1024}, s.remove(step, id, pid)
}

// create makes a container and returns the pid of its process.
func (s *subject) create(step func(...string) error, id string) (int, error) {
	if err := step("create", "--bundle", s.bundle, "--pid-file", s.pidFile, id); err != nil {
		return 0, err
	}
	text, err := os.ReadFile(s.pidFile)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// remove kills a container and deletes it. The wait in between is not a step: it is the
// kernel's work.
func (s *subject) remove(step func(...string) error, id string, pid int) error {
	if err := step("kill", id, "KILL"); err != nil {
		return err
	}
	if err := awaitEnd(pid); err != nil {
		return err
	}
	return step("delete", id)
}

// awaitEnd reaps a container's process. The worker is a subreaper, so the process became its
// child when the runtime's create ended.
func awaitEnd(pid int) error {
	for deadline := time.Now().Add(endTimeout); time.Now().Before(deadline); time.Sleep(200 * time.Microsecond) {
		reaped, err := syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
		switch {
		case reaped == pid:
			return nil
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return fmt.Errorf("wait for container process %d: %w", pid, err)
		}
	}
	return fmt.Errorf("container process %d still runs %v after SIGKILL", pid, endTimeout)
}

// waitingMemory is the private memory of a container's process, in kB.
func (s *subject) waitingMemory(pid int) (float64, error) {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	exe, err := os.Stat(filepath.Join(proc, "exe"))
	if err != nil {
		return 0, err
	}
	program, err := os.Stat(filepath.Join(s.bundle, rootfs, busybox))
	if err != nil {
		return 0, err
	}
	if os.SameFile(exe, program) {
		return 0, fmt.Errorf("%s: the container's program runs before start", s.Name)
	}
	smaps, err := os.ReadFile(filepath.Join(proc, "smaps_rollup"))
	if err != nil {
		return 0, err
	}
	return privateMemory(smaps)
}

// privateMemory adds up Private_Clean and Private_Dirty of smaps_rollup, see proc(5).
func privateMemory(smaps []byte) (float64, error) {
	total, found := 0, 0
	for line := range bytes.Lines(smaps) {
		fields := strings.Fields(string(line))
		if len(fields) != 3 || (fields[0] != "Private_Clean:" && fields[0] != "Private_Dirty:") {
			continue
		}
		kB, err := strconv.Atoi(fields[1])
		if err != nil {
			return 0, fmt.Errorf("smaps_rollup: %w", err)
		}
		total += kB
		found++
	}
	if found != 2 {
		return 0, errors.New("smaps_rollup: Private_Clean or Private_Dirty is missing")
	}
	return float64(total), nil
}

func milliseconds(d time.Duration) float64 {
	return float64(d) / float64(time.Millisecond)
}
