package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// scratch is the directory in which a program runs and which holds all that it makes: bundles and
// the state of its containers, too.
type scratch struct {
	dir string
}

// leftovers counts what a program left behind.
type leftovers struct {
	containers, processes, mounts, cgroups int
}

func (l *leftovers) add(more leftovers) {
	l.containers += more.containers
	l.processes += more.processes
	l.mounts += more.mounts
	l.cgroups += more.cgroups
}

func newScratch(suite *suite, runtime string) (_ *scratch, err error) {
	dir, err := os.MkdirTemp("", "rt-conformance-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
		}
	}()
	// The kernel names mounts and processes by paths without symbolic links.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, err
	}
	// The root of a container's user namespace is another user, who has to reach the bundle.
	if err = os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	s := &scratch{dir: dir}
	return s, s.fill(suite, runtime)
}

func (s *scratch) work() string    { return filepath.Join(s.dir, "work") }
func (s *scratch) tmp() string     { return filepath.Join(s.dir, "tmp") }
func (s *scratch) state() string   { return filepath.Join(s.dir, "state") }
func (s *scratch) runtime() string { return filepath.Join(s.dir, "runtime") }

// mark is the variable of the environment by which the program puts its bundles into the scratch
// directory, and by which its processes are found.
func (s *scratch) mark() string { return "TMPDIR=" + s.tmp() }

func (s *scratch) fill(suite *suite, runtime string) error {
	for _, dir := range []string{s.work(), s.tmp(), s.state()} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	// The programs expect these in their working directory, and not as links: they copy links.
	for _, file := range []string{filepath.Join(suite.dir, insideProgram), suite.rootfs} {
		if err := copyFile(filepath.Join(s.work(), filepath.Base(file)), file); err != nil {
			return err
		}
	}
	return s.writeRuntime(runtime)
}

// writeRuntime writes the command that the programs run: the runtime with a state directory of its
// own, because the programs do not pass one.
func (s *scratch) writeRuntime(runtime string) error {
	script := fmt.Sprintf("#!/bin/sh\nexec %s --root %s \"$@\"\n", quote(runtime), quote(s.state()))
	return os.WriteFile(s.runtime(), []byte(script), 0o755)
}

// quote returns s as one word of a shell command.
func quote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func copyFile(dst, src string) error {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dst, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// remove removes the directory and all that belongs to it.
func (s *scratch) remove() (leftovers, error) {
	var left leftovers
	var errs [5]error
	left.containers, errs[0] = s.deleteContainers()
	left.processes, errs[1] = s.killProcesses()
	left.cgroups, errs[2] = removeCgroups()
	left.mounts, errs[3] = s.unmount()
	// Removing files below a mount could remove files of the machine.
	if errs[3] == nil {
		errs[4] = os.RemoveAll(s.dir)
	}
	return left, errors.Join(errs[:]...)
}

// deleteContainers deletes what the runtime still lists.
func (s *scratch) deleteContainers() (int, error) {
	list, err := s.run("list", "--quiet")
	if err != nil {
		return 0, err
	}
	var errs []error
	ids := strings.Fields(list)
	for _, id := range ids {
		_, err := s.run("delete", "--force", id)
		errs = append(errs, err)
	}
	return len(ids), errors.Join(errs...)
}

func (s *scratch) run(args ...string) (string, error) {
	var stderr bytes.Buffer
	cmd := exec.Command(s.runtime(), args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return string(out), nil
}
