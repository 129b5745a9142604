package integration

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/spec"
)

// applets are the commands of busybox that tests run inside containers.
var applets = []string{
	"sh", "ls", "ps", "id", "cat", "mount", "umount", "true", "false", "hostname", "env", "sleep", "readlink", "stat",
	"touch", "mkdir", "grep", "ip", "kill", "echo", "pwd", "test", "head", "wc", "mknod", "nproc", "tty", "stty", "date",
	"tr", "cut", "dd", "seq", "chmod", "find", "rm", "ln", "setsid", "awk", "sort", "uname", "nc", "printf", "mkfifo", "cp",
}

// bundle is a bundle with its own root file system and state directory. All containers in
// it are removed when the test ends.
type bundle struct {
	t    *testing.T
	dir  string
	root string
	id   string
	spec *specs.Spec
	// cgroup is the container's, below the mount points, after placeCgroup.
	cgroup string
}

// newBundle makes a bundle whose process runs the shell script.
func newBundle(t *testing.T, script string) *bundle {
	t.Helper()
	dir := t.TempDir()
	b := &bundle{t: t, dir: dir, root: filepath.Join(dir, "state"), id: fmt.Sprintf("rt-test-%08x", rand.Uint32()), spec: spec.Default()}
	b.spec.Process.Terminal = false
	b.spec.Process.Args = []string{"sh", "-c", script}
	b.spec.Process.Env = append(b.spec.Process.Env, "RT_TEST="+b.id) // by which noTrace finds processes
	bin := filepath.Join(dir, "rootfs", "bin")
	must(t, os.MkdirAll(bin, 0o755))
	copyFile(t, busyboxPath, filepath.Join(bin, "busybox"))
	for _, name := range applets {
		must(t, os.Symlink("busybox", filepath.Join(bin, name)))
	}
	if unprivileged {
		b.forUser()
	}
	t.Cleanup(b.cleanUp)
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	must(t, err)
	must(t, os.WriteFile(to, data, 0o755))
}

// path is a file of the root file system.
func (b *bundle) path(name string) string { return filepath.Join(b.dir, "rootfs", name) }

// placeCgroup chooses the container's cgroup, for tests that look at it: one at the top,
// or with inner one below.
func (b *bundle) placeCgroup(inner string) {
	b.cgroup = filepath.Join(topCgroup(), b.id, inner)
	b.spec.Linux.CgroupsPath = b.cgroup
	if systemd {
		b.spec.Linux.CgroupsPath = "system.slice:test:" + b.id + inner
		b.cgroup = "/system.slice/test-" + b.id + inner + ".scope"
	}
}

// write saves the configuration.
func (b *bundle) write() {
	b.t.Helper()
	data, err := json.MarshalIndent(b.spec, "", "\t")
	must(b.t, err)
	must(b.t, os.WriteFile(filepath.Join(b.dir, spec.ConfigName), data, 0o644))
	recordFields(b.t, data)
}

// result is how a command ended.
type result struct {
	stdout, stderr string
	code           int
}

func (r result) String() string {
	return fmt.Sprintf("exit status %d\nstdout: %s\nstderr: %s", r.code, r.stdout, r.stderr)
}

// rt runs the binary with the bundle's state directory and waits for it. Its output goes
// to files: a container that stays may keep them open.
func (b *bundle) rt(args ...string) result {
	b.t.Helper()
	return b.rtIn("", args...)
}

func (b *bundle) rtIn(stdin string, args ...string) result {
	b.t.Helper()
	out, err := os.CreateTemp(b.dir, "stdout-*")
	must(b.t, err)
	defer out.Close()
	errOut, err := os.CreateTemp(b.dir, "stderr-*")
	must(b.t, err)
	defer errOut.Close()
	cmd := b.command(args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), out, errOut
	if stdin == "" {
		cmd.Stdin = nil
	}
	must(b.t, cmd.Start())
	timer := time.AfterFunc(patience(2*time.Minute), func() { _ = cmd.Process.Kill() })
	err = cmd.Wait()
	if !timer.Stop() {
		b.t.Fatalf("rt %v did not end", args)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		b.t.Fatal(err)
	}
	return result{content(b.t, out), content(b.t, errOut), cmd.ProcessState.ExitCode()}
}

func content(t *testing.T, f *os.File) string {
	t.Helper()
	_, err := f.Seek(0, io.SeekStart)
	must(t, err)
	var s bytes.Buffer
	_, err = io.Copy(&s, f)
	must(t, err)
	return s.String()
}

func (b *bundle) command(args ...string) *exec.Cmd {
	global := []string{"--root", b.root}
	if systemd {
		global = append(global, "--systemd-cgroup")
	}
	cmd := exec.Command(rtPath, append(global, args...)...)
	cmd.Dir = b.dir
	return cmd
}

// ok runs rt and fails the test unless the exit status is 0.
func (b *bundle) ok(args ...string) string {
	b.t.Helper()
	r := b.rt(args...)
	if r.code != 0 {
		b.t.Fatalf("rt %v: %v", args, r)
	}
	return r.stdout
}

// fails runs rt and fails the test unless the exit status is 1 and the message
// contains all of the words.
func (b *bundle) fails(words []string, args ...string) string {
	b.t.Helper()
	r := b.rt(args...)
	if r.code != 1 {
		b.t.Fatalf("rt %v: %v\nwant exit status 1", args, r)
	}
	for _, w := range words {
		if !strings.Contains(r.stderr, w) {
			b.t.Errorf("rt %v: the message does not contain %q: %s", args, w, r.stderr)
		}
	}
	return r.stderr
}

// run writes the configuration, runs the container and returns what it printed.
func (b *bundle) run(flags ...string) string {
	b.t.Helper()
	b.write()
	return b.ok(append(append([]string{"run"}, flags...), b.id)...)
}

// create writes the configuration and creates the container.
func (b *bundle) create(flags ...string) {
	b.t.Helper()
	b.write()
	b.ok(append(append([]string{"create"}, flags...), b.id)...)
}

// state is what `rt state` prints.
func (b *bundle) state() specs.State {
	b.t.Helper()
	var s specs.State
	must(b.t, json.Unmarshal([]byte(b.ok("state", b.id)), &s))
	return s
}

// waitFor polls until the container has the status.
func (b *bundle) waitFor(status specs.ContainerState) {
	b.t.Helper()
	eventually(b.t, "container is "+string(status), func() bool { return b.state().Status == status })
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience(20 * time.Second)); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if condition() {
			return
		}
	}
	t.Fatalf("not within %v: %s", patience(20*time.Second), what)
}

// cleanUp removes what is left and fails the test if something cannot be removed.
func (b *bundle) cleanUp() {
	entries, err := os.ReadDir(b.root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		b.t.Error(err)
	}
	for _, e := range entries {
		b.ok("delete", "--force", e.Name())
	}
	if b.noTrace(); b.t.Failed() {
		b.removeRemains()
	}
}

// removeRemains kills and removes what a faulty rt has no state of any more.
func (b *bundle) removeRemains() {
	for _, process := range b.processes() {
		var pid int
		if _, err := fmt.Sscanf(process, "/proc/%d", &pid); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	for _, dir := range slices.Backward(b.cgroups()) {
		for deadline := time.Now().Add(time.Second); syscall.Rmdir(dir) == syscall.EBUSY && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
	}
}

// noTrace fails the test if something of the bundle's containers is left: a state
// directory, a cgroup, a mount, a process.
func (b *bundle) noTrace() {
	b.t.Helper()
	if entries, _ := os.ReadDir(b.root); len(entries) > 0 {
		b.t.Errorf("state is left: %v", entries)
	}
	if dirs := b.cgroups(); len(dirs) > 0 {
		b.t.Errorf("cgroups are left: %v", dirs)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	must(b.t, err)
	for _, line := range strings.Split(string(mounts), "\n") {
		if strings.Contains(line, b.dir) {
			b.t.Errorf("a mount is left: %s", line)
		}
	}
	if pids := b.processes(); len(pids) > 0 {
		b.t.Errorf("processes are left: %v", pids)
	}
	if units := b.units(); len(units) > 0 {
		b.t.Errorf("systemd units are left: %q", units)
	}
}

// cgroups are the directories below /sys/fs/cgroup with the container's id in
// their name.
func (b *bundle) cgroups() []string {
	var found []string
	_ = filepath.WalkDir("/sys/fs/cgroup", func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.Contains(d.Name(), b.id) {
			found = append(found, p)
		}
		return nil
	})
	return found
}

// releaseAgent is the program that the kernel runs for every empty cgroup of v1, if
// systemd uses that: its argument names the cgroup.
const releaseAgent = "/lib/systemd/systemd-cgroups-agent"

// processes are those whose root directory, command line, environment or cgroup
// belongs to the bundle.
func (b *bundle) processes() []string {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	id := []byte(b.id)
	var found []string
	for _, d := range dirs {
		root, _ := os.Readlink(d + "/root")
		args, _ := os.ReadFile(d + "/cmdline")
		environ, _ := os.ReadFile(d + "/environ")
		cgroups, _ := os.ReadFile(d + "/cgroup")
		if bytes.HasPrefix(args, []byte(releaseAgent)) {
			continue
		}
		if len(args) == 0 {
			cgroups = nil // a zombie, which keeps its cgroup in v2
		}
		named := slices.ContainsFunc([][]byte{args, environ, cgroups}, func(text []byte) bool { return bytes.Contains(text, id) })
		if named || strings.HasPrefix(root, b.dir) {
			found = append(found, d+" "+string(args))
		}
	}
	return found
}

// units are those of systemd with the container's id in their name.
func (b *bundle) units() (found []string) {
	b.t.Helper()
	if !systemd {
		return nil
	}
	out, err := exec.Command("systemctl", "list-units", "--all", "--plain", "--no-legend").CombinedOutput()
	if err != nil {
		b.t.Fatalf("systemctl list-units: %v: %s", err, out)
	}
	for _, line := range lines(string(out)) {
		if strings.Contains(line, b.id) {
			found = append(found, line)
		}
	}
	return found
}

// lines splits the output of a container.
func lines(s string) []string { return strings.Split(strings.TrimSpace(s), "\n") }

// want compares an output, without the white space around it.
func want(t *testing.T, what, got, expected string) {
	t.Helper()
	if got = strings.TrimSpace(got); got != expected {
		t.Errorf("%s: got %q, want %q", what, got, expected)
	}
}

func ptr[T any](v T) *T { return &v }

// addressOf is for ioctls that the unix package does not have.
func addressOf(b []byte) uintptr { return uintptr(unsafe.Pointer(&b[0])) }

func put32(b []byte, n uint32) { binary.NativeEndian.PutUint32(b, n) }
