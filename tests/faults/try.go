package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// timeLimit is for one command of a runtime.
const timeLimit = 30 * time.Second

// outcome is what a runtime did with a bundle.
type outcome struct {
	code    int
	message string
	// left are state, cgroups, mounts and processes that are still there.
	left []string
}

// String is a cell of the table.
func (o outcome) String() string {
	text := o.message
	if o.code == 0 {
		text = "*runs*"
	}
	if len(text) > 240 {
		text = strings.ToValidUTF8(text[:240], "") + "…"
	}
	text = strings.NewReplacer("|", `\|`, "\n", "<br>", "<", "&lt;", "*runs*", "*runs*").Replace(text)
	if o.code > 1 {
		text += fmt.Sprintf(" (status %d)", o.code)
	}
	if len(o.left) > 0 {
		text += " — left behind: " + strings.Join(o.left, ", ")
	}
	return text
}

var findBusybox = sync.OnceValues(func() ([]byte, error) {
	path, err := exec.LookPath("busybox")
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// logLine is the format in which runc and crun print on standard error.
var logLine = regexp.MustCompile(`time="[^"]*" level=\w+ msg=|\d{4}-\d\d-\d\dT[0-9:.]+Z: `)

// try runs a command of the runtime on a bundle of its own, looks for remains,
// and removes them.
func (f *fault) try(scratch, path, command string) (outcome, error) {
	dir, err := os.MkdirTemp(scratch, "")
	if err != nil {
		return outcome{}, err
	}
	defer os.RemoveAll(dir)
	if err := f.makeBundle(dir); err != nil {
		return outcome{}, err
	}
	id := fmt.Sprintf("rt-fault-%08x", rand.Uint32())
	root := filepath.Join(dir, "state")
	argv := func(args ...string) []string { return append([]string{"--root", root}, args...) }
	code, message, err := runIn(dir, path, argv(command, "--bundle", dir, id))
	if err != nil {
		return outcome{}, err
	}
	o := outcome{code: code, left: remains(dir, root, id)}
	message = strings.NewReplacer(dir, "BUNDLE", id, "ID").Replace(strings.TrimSpace(message))
	o.message = strings.TrimSpace(logLine.ReplaceAllString(message, ""))
	if len(o.left) > 0 {
		if _, text, err := runIn(dir, path, argv("delete", "--force", id)); err != nil {
			return o, fmt.Errorf("%w: %s", err, text)
		}
		// A runtime that has no state of the container deletes nothing.
		for _, path := range cgroupsLeft(id) {
			if err := os.Remove(path); err != nil {
				return o, err
			}
		}
	}
	return o, nil
}

// runIn runs a command whose output goes to a file, because a process that stays behind
// may keep it open.
func runIn(dir, path string, args []string) (code int, message string, err error) {
	output, err := os.CreateTemp(dir, "output-")
	if err != nil {
		return 0, "", err
	}
	defer output.Close()
	ctx, cancel := context.WithTimeout(context.Background(), timeLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, output, output
	cmd.Stdin = strings.NewReader("") // not the host's /dev/null, which crun 1.8 would give to the container's user
	err = cmd.Run()
	if ctx.Err() != nil {
		return 0, "", fmt.Errorf("%s %v did not end", path, args)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, "", err
	}
	text, err := os.ReadFile(output.Name())
	return cmd.ProcessState.ExitCode(), string(text), err
}

// remains are what is left of a container.
func remains(dir, root, id string) (left []string) {
	if entries, _ := os.ReadDir(root); len(entries) > 0 {
		left = append(left, "state")
	}
	if len(cgroupsLeft(id)) > 0 {
		left = append(left, "cgroup")
	}
	if mounts, _ := os.ReadFile("/proc/self/mountinfo"); bytes.Contains(mounts, []byte(dir)) {
		left = append(left, "mount")
	}
	if processLeft(dir, id) {
		left = append(left, "process")
	}
	return left
}

// cgroupsLeft are the container's, inner ones first.
func cgroupsLeft(id string) (found []string) {
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		// In a v1 view of a hybrid layout, crun writes into plain directories.
		var fs unix.Statfs_t
		if err == nil && d.IsDir() && strings.Contains(d.Name(), id) && unix.Statfs(path, &fs) == nil && fs.Type != unix.TMPFS_MAGIC {
			found = append([]string{path}, found...)
		}
		return nil
	})
	return found
}

func processLeft(dir, id string) bool {
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range processes {
		root, _ := os.Readlink(p + "/root")
		args, _ := os.ReadFile(p + "/cmdline")
		if strings.HasPrefix(root, dir) || bytes.Contains(args, []byte(id)) {
			return true
		}
	}
	return false
}
