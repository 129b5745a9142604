package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// world is what all variations share: a root file system, sources of mounts, and a
// process whose namespaces can be joined.
type world struct {
	dir    string
	holder *exec.Cmd
	count  atomic.Int64
}

func newWorld(dir string) (*world, error) {
	w := &world{dir: dir}
	// It has its own place, so that nobody's restrictions or propagation interfere.
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
		return nil, fmt.Errorf("mount a tmpfs: %w", err)
	}
	for name, flags := range map[string]uintptr{"plain": 0, "closed": unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, "readonly": unix.MS_RDONLY} {
		place := filepath.Join(dir, name)
		if err := os.Mkdir(place, 0o755); err != nil {
			return nil, err
		}
		if err := unix.Mount("tmpfs", place, "tmpfs", flags, "mode=755"); err != nil {
			return nil, err
		}
		if err := unix.Mount("", place, "", unix.MS_SHARED, ""); err != nil {
			return nil, err
		}
	}
	w.holder = exec.Command("unshare", "--pid", "--net", "--ipc", "--uts", "--fork", "sleep", "1000")
	w.holder.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := w.holder.Start(); err != nil {
		return nil, err
	}
	time.Sleep(300 * time.Millisecond) // until it has forked
	return w, nil
}

func (w *world) close() {
	_ = syscall.Kill(-w.holder.Process.Pid, syscall.SIGKILL)
	_ = w.holder.Wait()
	_ = unix.Unmount(w.dir, unix.MNT_DETACH)
}

// joined is the path of a namespace of the holder's.
func (w *world) joined(name string) string {
	pid := w.holder.Process.Pid
	if name == "pid" {
		return fmt.Sprintf("/proc/%d/ns/pid_for_children", pid)
	}
	return fmt.Sprintf("/proc/%d/ns/%s", pid, name)
}

// outcome is the result of a variation with one runtime.
type outcome struct {
	code int
	// made is true when the container's process ran.
	made bool
	seen map[string]string
	said string
	left string
}

func (o outcome) status() string {
	if o.made || o.code == 0 {
		return fmt.Sprintf("exit status %d", o.code)
	}
	return "refused"
}

// base is the configuration that is varied.
func base() *specs.Spec {
	s := spec.Default()
	s.Version = "1.0.2" // which all take
	s.Process.Terminal = false
	s.Process.Args = []string{"/bin/" + probeName, "a", "b c"}
	var links []string
	for _, n := range []string{"pid", "net", "ipc", "uts", "mnt", "user", "cgroup", "time"} {
		link, _ := os.Readlink("/proc/self/ns/" + n)
		links = append(links, n+"="+link)
	}
	s.Process.Env = append(s.Process.Env, hostNamespaces+"="+strings.Join(links, " "))
	s.Process.Rlimits = nil
	s.Linux.Resources = nil
	return s
}

// try makes a bundle, runs it, and looks at the results.
func (w *world) try(p peer, v *variation, worker int) outcome {
	id := fmt.Sprintf("rt-compare-%d-%d", os.Getpid(), w.count.Add(1))
	dir := filepath.Join(w.dir, id)
	defer os.RemoveAll(dir)
	b := &bundle{dir: dir, id: id, spec: base(), world: w}
	if err := b.makeRoot(); err != nil {
		return outcome{said: err.Error(), code: -1}
	}
	v.change(b)
	data, err := json.Marshal(b.spec)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "config.json"), data, 0o644)
	}
	if err != nil {
		return outcome{said: err.Error(), code: -1}
	}
	state := filepath.Join(dir, "state")
	cmd := exec.Command(p.path, append([]string{"--root", state, "run", "--bundle", dir}, append(v.flags, id)...)...)
	var stdout, stderr bytes.Buffer
	// Not /dev/null, which crun would give to the container's user.
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(""), &stdout, &stderr
	cmd.WaitDelay = 2 * time.Second
	late := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
	_ = cmd.Run() // the exit status is compared
	late.Stop()
	o := outcome{code: cmd.ProcessState.ExitCode(), said: strings.TrimSpace(stderr.String()), seen: map[string]string{}}
	for line := range strings.Lines(stdout.String()) {
		if key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t"); ok {
			// The bundle has another name for each.
			o.seen[key] = strings.ReplaceAll(value, id, "ID")
			o.made = true
		}
	}
	o.left = b.left(state)
	_ = exec.Command(p.path, "--root", state, "delete", "--force", id).Run()
	return o
}

// bundle is one that is being varied.
type bundle struct {
	dir, id string
	spec    *specs.Spec
	world   *world
}

func (b *bundle) root(name string) string { return filepath.Join(b.dir, "rootfs", name) }

// makeRoot makes the root file system: the probe and little else.
func (b *bundle) makeRoot() error {
	for _, name := range []string{"bin", "etc", "tmp", "masked"} {
		if err := os.MkdirAll(b.root(name), 0o755); err != nil {
			return err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	// All of them are on one tmpfs, and one copy is enough.
	shared := filepath.Join(b.world.dir, probeName)
	if _, err := os.Stat(shared); err != nil {
		data, err := os.ReadFile(self)
		if err != nil {
			return err
		}
		tmp := fmt.Sprintf("%s.%s", shared, b.id)
		if err := os.WriteFile(tmp, data, 0o755); err != nil {
			return err
		}
		if err := os.Rename(tmp, shared); err != nil {
			return err
		}
	}
	if err := os.Link(shared, b.root("bin/"+probeName)); err != nil {
		return err
	}
	for name, text := range map[string]string{"etc/passwd": "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n", "masked/file": "text\n"} {
		if err := os.WriteFile(b.root(name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// left lists what is left of the container after its end.
func (b *bundle) left(state string) string {
	var left []string
	if entries, _ := os.ReadDir(state); len(entries) > 0 {
		left = append(left, "state")
	}
	found, _ := filepath.Glob("/sys/fs/cgroup/*/" + b.id)
	more, _ := filepath.Glob("/sys/fs/cgroup/" + b.id)
	if len(found)+len(more) > 0 {
		left = append(left, "cgroup")
	}
	if data, _ := os.ReadFile("/proc/self/mountinfo"); bytes.Contains(data, []byte(b.id)) {
		left = append(left, "mount")
	}
	return strings.Join(left, ", ")
}
