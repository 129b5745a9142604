package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Each try has its own world: a mount namespace with the view of cgroups that it needs,
// and a pid namespace. When the first process of that ends, the kernel kills all others,
// and all mounts are gone.

const (
	superviseCommand = "supervise"
	tryCommand       = "try"
	// attackerName is the name of this program in containers.
	attackerName = "attacker"
	// prefix begins the names of everything that an attack makes outside its directory,
	// such as cgroups.
	prefix = "rt-attack-"
)

// order describes a try to the processes that make it.
type order struct {
	Attack, Runtime, Path string
	Weakened              string
	Scratch, Dir, ID      string
	Full                  bool
	Patience              time.Duration
}

// makeScratch makes the directory of all tries, with the programs that containers
// run.
func makeScratch() (string, error) {
	dir, err := os.MkdirTemp("", prefix)
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return "", fmt.Errorf("busybox-static is missing: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	for name, from := range map[string]string{"busybox": busybox, attackerName: self} {
		if err := copyFile(from, filepath.Join(dir, name)); err != nil {
			return "", err
		}
	}
	return dir, nil
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o755)
}

// perform mounts the attack on a runtime, in a world of its own.
func (a *attack) perform(o options, scratch string, r column) (c cell) {
	view := a.view
	if view == "" {
		view = "v1"
	}
	if a.ours && !r.ours() || slices.Contains(r.without, view) {
		return cell{out: true}
	}
	began := time.Now()
	defer func() { c.took = time.Since(began) }()
	id := fmt.Sprintf("%s%08x", prefix, rand.Uint32())
	dir := filepath.Join(scratch, id)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return cell{Broken: err.Error()}
	}
	defer os.RemoveAll(dir)
	job := order{Attack: a.name, Runtime: r.name, Path: r.path, Scratch: scratch, Dir: dir, ID: id, Full: o.full, Patience: a.patience}
	if job.Patience == 0 {
		job.Patience = time.Minute
	}
	if r.weakened {
		job.Weakened = defenceList(a.defences)
	}
	text, err := json.Marshal(job)
	if err != nil {
		return cell{Broken: err.Error()}
	}
	ctx, cancel := context.WithTimeout(context.Background(), job.Patience+20*time.Second)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		return cell{Broken: err.Error()}
	}
	cmd := exec.CommandContext(ctx, o.view, view, self, superviseCommand, string(text))
	var output, trouble bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &trouble
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID, Setsid: true}
	cmd.WaitDelay = 2 * time.Second
	if err := cmd.Run(); err != nil {
		c = cell{Broken: fmt.Sprintf("%v: %s", err, trouble.String())}
		thawCgroups(id)
		c.Left = clearCgroups(id)
		return c
	}
	if err := json.Unmarshal(output.Bytes(), &c); err != nil {
		return cell{Broken: fmt.Sprintf("%v: %s", err, output.String())}
	}
	return c
}

// supervise is the first process of a world. It lets another one mount the attack, reaps
// orphans, and cleans up.
func supervise(text string) {
	c := supervised(text)
	data, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	_, _ = os.Stdout.Write(data)
}

func supervised(text string) (c cell) {
	var job order
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		return cell{Broken: err.Error()}
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return cell{Broken: "mount /proc: " + err.Error()}
	}
	answer := filepath.Join(job.Dir, "answer")
	out, err := os.Create(answer)
	if err != nil {
		return cell{Broken: err.Error()}
	}
	defer out.Close()
	pid, err := syscall.ForkExec("/proc/self/exe", []string{"attacks", tryCommand, text}, &syscall.ProcAttr{
		Dir: job.Dir, Env: os.Environ(), Files: []uintptr{openNull(), out.Fd(), 2},
	})
	if err != nil {
		return cell{Broken: err.Error()}
	}
	late := time.AfterFunc(job.Patience, func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	for {
		var ws syscall.WaitStatus
		p, err := syscall.Wait4(-1, &ws, 0, nil)
		if err == nil && p == pid {
			break
		}
	}
	inTime := late.Stop()
	data, err := os.ReadFile(answer)
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	switch {
	case !inTime:
		c = cell{Broken: fmt.Sprintf("did not end within %v", job.Patience)}
	case err != nil:
		c = cell{Broken: fmt.Sprintf("the try ended without an answer: %v", err)}
	}
	thawCgroups(job.ID)
	endAll()
	c.Left = clearCgroups(job.ID)
	return c
}

func openNull() uintptr {
	fd, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		panic(err)
	}
	return uintptr(fd)
}

// endAll kills all other processes of the pid namespace.
func endAll() {
	for {
		_ = syscall.Kill(-1, syscall.SIGKILL)
		if _, err := syscall.Wait4(-1, nil, 0, nil); errors.Is(err, syscall.ECHILD) {
			return
		}
	}
}

// cgroupsOf are the topmost cgroups of a try.
func cgroupsOf(id string) (found []string) {
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), id) {
			found = append(found, path)
			return fs.SkipDir
		}
		return nil
	})
	return found
}

// thawCgroups thaws what an attack has frozen, which could not end otherwise.
func thawCgroups(id string) {
	for _, path := range cgroupsOf(id) {
		_ = withCgroups(unix.AT_FDCWD, path, thaw)
	}
}

// clearCgroups removes the cgroups of a try and reports those that cannot be removed.
func clearCgroups(id string) string {
	var left []string
	for _, path := range cgroupsOf(id) {
		var st unix.Statfs_t
		if unix.Statfs(path, &st) == nil && st.Type == unix.TMPFS_MAGIC {
			// In a v1 view of a hybrid layout, crun makes plain directories.
			_ = os.RemoveAll(path)
			continue
		}
		if err := withCgroups(unix.AT_FDCWD, path, remove); err != nil {
			left = append(left, fmt.Sprintf("%s (%v)", path, err))
		}
	}
	return strings.Join(left, " ")
}

// withCgroups does something with a cgroup, after those below it, however long their paths
// are.
func withCgroups(parent int, name string, do func(parent int, name string) error) error {
	fd, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	dir := os.NewFile(uintptr(fd), name)
	defer dir.Close()
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := withCgroups(fd, e.Name(), do); err != nil {
				return err
			}
		}
	}
	return do(parent, name)
}

func thaw(parent int, name string) error {
	for file, content := range map[string]string{"freezer.state": "THAWED", "cgroup.freeze": "0"} {
		if f, err := unix.Openat(parent, name+"/"+file, unix.O_WRONLY|unix.O_CLOEXEC, 0); err == nil {
			_, _ = unix.Write(f, []byte(content))
			unix.Close(f)
		}
	}
	return nil
}

func remove(parent int, name string) error {
	for end := time.Now().Add(2 * time.Second); ; time.Sleep(time.Millisecond) {
		if err := unix.Unlinkat(parent, name, unix.AT_REMOVEDIR); err != unix.EBUSY || time.Now().After(end) {
			return err
		}
	}
}

func fileExists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// tryOne mounts an attack on a runtime and prints how it ended.
func tryOne(text string) {
	var job order
	var c cell
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		c.Broken = err.Error()
	} else {
		c = newTry(&job).result()
	}
	data, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	_, _ = os.Stdout.Write(data)
}
