package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// timeLimit is for one command of rt. One that takes longer hangs.
const timeLimit = 30 * time.Second

// world is where the trials run.
type world struct {
	// dir is removed at the end. tmp in it is the commands' TMPDIR.
	dir, tmp string
	// rt is the release, failing the build with the tag.
	rt, failing string
	// trials numbers the containers.
	trials int
	agents []interface{ Close() error }
}

// newWorld makes this process adopt what rt leaves behind, so that nothing of it can
// escape the search.
func newWorld(rt, failing string) (*world, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "rt-failures-")
	if err != nil {
		return nil, err
	}
	w := &world{dir: dir, tmp: filepath.Join(dir, "tmp")}
	w.cleanOnSignal()
	if err := errors.Join(os.Chmod(dir, 0o755), os.Mkdir(w.tmp, 0o777), os.Chmod(w.tmp, 0o777|fs.ModeSticky)); err != nil {
		return nil, err
	}
	for from, to := range map[string]*string{rt: &w.rt, failing: &w.failing} {
		if *to, err = filepath.Abs(from); err != nil {
			return nil, err
		}
		if _, err := os.Stat(*to); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// cleanOnSignal removes what the present trial has made if somebody interrupts the test.
func (w *world) cleanOnSignal() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	go func() {
		<-signals
		for range 100 {
			for _, pid := range below(os.Getpid()) {
				_ = unix.Kill(pid, unix.SIGKILL)
			}
			time.Sleep(5 * time.Millisecond)
		}
		b := &bundle{w: w}
		for i := max(w.trials-2, 0); i <= w.trials+1; i++ {
			b.id = trialID(i)
			for _, dir := range b.cgroups() {
				_ = os.Remove(dir)
			}
		}
		os.RemoveAll(w.dir)
		fmt.Fprintln(os.Stderr, "failures: interrupted")
		os.Exit(1)
	}()
}

// trialID is the container of a trial.
func trialID(n int) string { return fmt.Sprintf("rt-failures-%d-%d", os.Getpid(), n) }

func (w *world) close() {
	for _, a := range w.agents {
		a.Close()
	}
	os.RemoveAll(w.dir)
}

// bundle is a bundle whose trials follow one after another.
type bundle struct {
	w    *world
	name string
	dir  string
	// root is the state directory.
	root string
	spec *specs.Spec
	// user runs rt, if it is not root.
	user uint32
	// flags are those of create and run.
	flags []string
	// before is the content of the bundle, which no trial may change.
	before []string
	// id is the container of the present trial.
	id string
}

// newBundle makes a bundle with a root file system of busybox in which all mount points
// exist.
func (w *world) newBundle(name string, s *specs.Spec) (*bundle, error) {
	b := &bundle{w: w, name: name, dir: filepath.Join(w.dir, name), root: filepath.Join(w.dir, name+".state"), spec: s}
	for _, d := range []string{"bin", "dev", "etc", "proc", "sys", "tmp", "data", "root", "old"} {
		if err := os.MkdirAll(filepath.Join(b.dir, "rootfs", d), 0o755); err != nil {
			return nil, err
		}
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return nil, err
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		return nil, err
	}
	files := map[string]string{"rootfs/bin/busybox": string(program), "rootfs/etc/passwd": "root:x:0:0::/root:/bin/sh\n", "rootfs/etc/group": "root:x:0:\n", "rootfs/old/file": "old\n", "rootfs/data/file": ""}
	for _, f := range []string{"resolv.conf", "hostname", "hosts"} { // Docker's bind mounts
		files[f], files["rootfs/etc/"+f] = "", ""
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o755); err != nil {
			return nil, err
		}
	}
	for _, applet := range []string{"true", "sleep", "sh", "echo", "cat"} {
		if err := os.Symlink("busybox", filepath.Join(b.dir, "rootfs/bin", applet)); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// save writes the configuration, and gives the bundle to its user.
func (b *bundle) save() error {
	data, err := json.MarshalIndent(b.spec, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(b.dir, spec.ConfigName), data, 0o644); err != nil {
		return err
	}
	if b.user != 0 {
		if err := os.Mkdir(b.root, 0o711); err != nil {
			return err
		}
		for _, dir := range []string{b.dir, b.root} {
			err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
				return errors.Join(err, os.Lchown(path, int(b.user), int(b.user)))
			})
			if err != nil {
				return err
			}
		}
	}
	b.before, err = b.content()
	return err
}

// content lists the files of the bundle.
func (b *bundle) content() (list []string, err error) {
	err = filepath.WalkDir(b.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			list = append(list, fmt.Sprintf("%s %v", path, info.Mode()))
		}
		return err
	})
	return list, err
}

// next gives the next trial a container of its own.
func (b *bundle) next() {
	b.w.trials++
	b.id = trialID(b.w.trials)
}

// outcome is how a command ended.
type outcome struct {
	code           int
	stdout, stderr string
	late           bool
}

func (o outcome) String() string {
	s := fmt.Sprintf("exit status %d: %s", o.code, strings.TrimSpace(o.stderr))
	if o.late {
		s = "it did not end in time; " + s
	}
	return s
}

// message is what the command said.
func (o outcome) message() string { return strings.TrimSpace(o.stderr) }

// args are the arguments of a command. ID and BUNDLE in them are replaced.
func (b *bundle) args(args []string) []string {
	all := []string{"--root", b.root}
	for _, a := range args {
		switch a {
		case "ID":
			a = b.id
		case "BUNDLE":
			a = b.dir
		case "FLAGS":
			all = append(all, b.flags...)
			continue
		}
		all = append(all, a)
	}
	return all
}

// command prepares a command of rt.
func (b *bundle) command(ctx context.Context, rt string, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, rt, b.args(args)...)
	cmd.Dir = b.w.dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + b.w.tmp}, env...)
	if b.user != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: b.user, Gid: b.user}}
		cmd.Env = append(cmd.Env, "HOME="+b.dir, "XDG_RUNTIME_DIR="+b.w.tmp)
	}
	return cmd
}

// files are the standard streams of a command: files, because a process that stays behind
// may keep them open.
func (w *world) files() (out, errors *os.File, err error) {
	if out, err = os.CreateTemp(w.dir, "out-"); err != nil {
		return nil, nil, err
	}
	errors, err = os.CreateTemp(w.dir, "err-")
	return out, errors, err
}

func taken(f *os.File) string {
	data, _ := os.ReadFile(f.Name())
	f.Close()
	os.Remove(f.Name())
	return string(data)
}

// do executes a command of the release.
func (b *bundle) do(args ...string) outcome { return b.execute(b.w.rt, nil, args...) }

func (b *bundle) execute(rt string, env []string, args ...string) outcome {
	ctx, cancel := context.WithTimeout(context.Background(), timeLimit)
	defer cancel()
	return b.w.execute(ctx, b.command(ctx, rt, env, args...), nil)
}

// execute runs the command. started, which may be nil, is called with its pid.
func (w *world) execute(ctx context.Context, cmd *exec.Cmd, started func(pid int)) outcome {
	out, errs, err := w.files()
	if err != nil {
		return outcome{code: -1, stderr: err.Error()}
	}
	cmd.Stdout, cmd.Stderr = out, errs
	err = cmd.Start()
	if err == nil {
		if started != nil {
			started(cmd.Process.Pid)
		}
		ended := make(chan struct{})
		reaping := reapOrphans(cmd.Process.Pid, ended)
		err = cmd.Wait()
		close(ended)
		<-reaping
	}
	o := outcome{stdout: taken(out), stderr: taken(errs), late: ctx.Err() != nil}
	var exit *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit):
		o.code = exit.ExitCode()
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			o.code = 128 + int(ws.Signal())
		}
	case o.late:
		o.code = -1
	default:
		o.code, o.stderr = -1, o.stderr+err.Error()
	}
	return o
}

// reapOrphans reaps what this process has adopted while a command works, as the init of a
// system does: a zombie in a pid namespace keeps the first process there from ending.
func reapOrphans(command int, ended chan struct{}) (done chan struct{}) {
	done = make(chan struct{})
	go func() {
		defer close(done)
		for wait := 100 * time.Millisecond; ; wait = 10 * time.Millisecond {
			select {
			case <-ended:
				return
			case <-time.After(wait):
			}
			for _, pid := range children(os.Getpid()) {
				if pid != command {
					_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
				}
			}
		}
	}()
	return done
}

// execFailed is the status of `rt exec` if it fails itself.
const execFailed = 255

// broken tells what a command must never do, whatever has failed: hang, crash, or fail
// without a word.
func (o outcome) broken() string {
	for _, word := range []string{"goroutine ", "panic:", "fatal error:", "SIGSEGV", "runtime:"} {
		if strings.Contains(o.stderr, word) {
			return "it crashed: " + o.String()
		}
	}
	switch {
	case o.late:
		return "it hangs: " + o.String()
	case o.code != 0 && o.code != 1 && o.code != execFailed:
		return o.String()
	case o.code != 0 && o.message() == "":
		return "it failed without a message"
	}
	return ""
}

// patience is how long what was killed may take to be gone.
const patience = 3 * time.Second

// left names what is left of the container, after at most some seconds.
func (b *bundle) left() (left []string) {
	for end := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		if left = b.leftNow(); left == nil || time.Now().After(end) {
			return left
		}
	}
}

func (b *bundle) leftNow() (left []string) {
	if entries, err := os.ReadDir(b.root); err == nil && len(entries) > 0 {
		left = append(left, "state of "+entries[0].Name())
	}
	for _, dir := range b.cgroups() {
		left = append(left, "cgroup "+dir)
	}
	if mounts, _ := os.ReadFile("/proc/self/mountinfo"); bytes.Contains(mounts, []byte(b.dir+"/")) {
		left = append(left, "a mount")
	}
	for _, pid := range descendants() {
		left = append(left, "process "+describe(pid))
	}
	if entries, _ := os.ReadDir(b.w.tmp); len(entries) > 0 {
		left = append(left, "file "+entries[0].Name())
	}
	if now, err := b.content(); err != nil || !slices.Equal(now, b.before) {
		left = append(left, "another content of the bundle")
	}
	return left
}

// cgroups are those of the container that exist, inner ones first.
func (b *bundle) cgroups() (found []string) {
	var places []string
	own, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(own)) {
		if fields := strings.SplitN(strings.TrimSpace(line), ":", 3); len(fields) == 3 {
			for _, top := range []string{fields[1], strings.TrimPrefix(fields[1], "name="), "unified", ""} {
				places = append(places, filepath.Join("/sys/fs/cgroup", top), filepath.Join("/sys/fs/cgroup", top, fields[2]))
			}
		}
	}
	slices.Sort(places)
	for _, place := range slices.Compact(places) {
		_ = filepath.WalkDir(filepath.Join(place, b.id), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				found = append([]string{path}, found...)
			}
			return nil
		})
	}
	return found
}

// descendants are the processes below this one, reaping those that have ended.
func descendants() (pids []int) {
	for {
		var ws unix.WaitStatus
		if pid, err := unix.Wait4(-1, &ws, unix.WNOHANG|unix.WALL, nil); err != nil || pid <= 0 {
			break
		}
	}
	return below(os.Getpid())
}

func below(pid int) (pids []int) {
	for _, child := range children(pid) {
		pids = append(append(pids, child), below(child)...)
	}
	return pids
}

func children(pid int) (pids []int) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		data, _ := os.ReadFile(list)
		for field := range strings.FieldsSeq(string(data)) {
			if child, err := strconv.Atoi(field); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids
}

func describe(pid int) string {
	name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return strings.TrimSpace(strings.ReplaceAll(string(name), "\x00", " "))
}

// end ends what a container has left of which rt knows nothing any more.
func (b *bundle) end() {
	b.thaw()
	for _, pid := range descendants() {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	for end := time.Now().Add(patience); time.Now().Before(end) && len(descendants()) > 0; {
		time.Sleep(time.Millisecond)
	}
	for _, dir := range b.cgroups() {
		_ = os.Remove(dir)
	}
}

// thaw thaws the container: a process of a frozen v1 cgroup does not end.
func (b *bundle) thaw() {
	for _, dir := range b.cgroups() {
		if name := filepath.Join(dir, "freezer.state"); unix.Access(name, unix.W_OK) == nil {
			_ = os.WriteFile(name, []byte("THAWED"), 0)
		}
	}
}

// sweep removes what a trial has left, so that the next one begins in a clean world.
func (b *bundle) sweep() {
	b.do("delete", "--force", "ID")
	b.end()
	entries, _ := os.ReadDir(b.root)
	for _, e := range entries {
		os.RemoveAll(filepath.Join(b.root, e.Name()))
	}
	entries, _ = os.ReadDir(b.w.tmp)
	for _, e := range entries {
		os.RemoveAll(filepath.Join(b.w.tmp, e.Name()))
	}
	b.before, _ = b.content()
}

var (
	create = []string{"create", "--bundle", "BUNDLE", "FLAGS", "ID"}
	start  = []string{"start", "ID"}
)

// state is the container's, and how the command ended.
func (b *bundle) state() (specs.State, outcome) {
	var s specs.State
	o := b.do("state", "ID")
	if o.code == 0 {
		if err := json.Unmarshal([]byte(o.stdout), &s); err != nil {
			o.code, o.stderr = -1, err.Error()
		}
	}
	return s, o
}

// await waits for a status.
func (b *bundle) await(status specs.ContainerState) bool {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if s, _ := b.state(); s.Status == status {
			return true
		}
	}
	return false
}

// sane checks that questions about a container in any state have an answer.
func (b *bundle) sane(wrong *[]string) {
	s, o := b.state()
	switch {
	case o.code == 1 && strings.Contains(o.stderr, "does not exist"):
	case o.code != 0:
		*wrong = append(*wrong, "state: "+o.String())
	case !slices.Contains([]specs.ContainerState{specs.StateCreating, specs.StateCreated, specs.StateRunning, specs.StateStopped, "paused"}, s.Status) || s.ID != b.id:
		*wrong = append(*wrong, fmt.Sprintf("state: %+v", s))
	}
	var list []specs.State
	if o = b.do("list", "--format", "json"); o.code != 0 || json.Unmarshal([]byte(o.stdout), &list) != nil {
		*wrong = append(*wrong, "list: "+o.String())
	}
}
