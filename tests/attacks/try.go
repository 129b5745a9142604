package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/spec"
)

// try is one attack on one runtime.
type try struct {
	*order
	mutex   sync.Mutex
	log     []string
	bundles int
}

func newTry(job *order) *try { return &try{order: job} }

// broken is an attack that could not be mounted.
type broken struct{ err error }

func (t *try) result() (c cell) {
	defer func() {
		const first, last = 6, 6
		if n := len(t.log); n > first+last {
			t.log = slices.Concat(t.log[:first], []string{"…"}, t.log[n-last:])
		}
		c.Log = strings.Join(t.log, "\n")
		switch p := recover().(type) {
		case nil:
		case broken:
			c.Broken = p.err.Error()
		default:
			c.Broken = fmt.Sprintf("%v\n%s", p, debug.Stack())
		}
	}()
	t.must(os.Mkdir(t.host(), 0o755))
	c.Gained = find(t.Attack).mount(t)
	return c
}

// must ends a try that is not possible.
func (t *try) must(err error) {
	if err != nil {
		panic(broken{err})
	}
}

// fail ends a try that is not possible.
func (t *try) fail(format string, args ...any) { panic(broken{fmt.Errorf(format, args...)}) }

func (t *try) logf(format string, args ...any) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.log = append(t.log, fmt.Sprintf(format, args...))
}

// ours tells whether rt is attacked, weakened or not.
func (t *try) ours() bool { return t.Runtime != "runc" && t.Runtime != "crun" }

// times is how often a race is tried: n times, and 1,000 times in a full run. Without the
// defence one success is enough, but a busy machine may need more tries.
func (t *try) times(n int) int {
	switch {
	case t.Full:
		return 1000
	case t.Weakened != "":
		return 5 * n
	}
	return n
}

// host is a path of the host that no container gets.
func (t *try) host(elements ...string) string {
	return filepath.Join(append([]string{t.Dir, "host"}, elements...)...)
}

// secret is only in files of the host.
const secret = "the-secret-of-the-host"

// write writes a file.
func (t *try) write(name, content string) string {
	t.must(os.MkdirAll(filepath.Dir(name), 0o755))
	t.must(os.WriteFile(name, []byte(content), 0o755))
	return name
}

// mkdir makes directories.
func (t *try) mkdir(name string) string {
	t.must(os.MkdirAll(name, 0o755))
	return name
}

// link makes a symlink, and replaces an existing file.
func (t *try) link(target, name string) {
	t.must(os.MkdirAll(filepath.Dir(name), 0o755))
	t.must(os.RemoveAll(name))
	t.must(os.Symlink(target, name))
}

// read returns a file's content, or "" if it cannot be read.
func read(name string) string {
	data, _ := os.ReadFile(name)
	return string(data)
}

// bundle is a bundle with its own root file system.
type bundle struct {
	*try
	dir, id string
	spec    *specs.Spec
}

// applets are the commands of busybox in containers.
var applets = []string{
	"sh", "ls", "id", "cat", "mount", "umount", "true", "false", "sleep", "readlink", "stat", "touch", "mkdir", "grep", "kill", "echo",
	"test", "head", "wc", "mknod", "rm", "ln", "setsid", "sort", "mkfifo", "cp", "dd", "env", "chmod", "seq", "mv", "tail", "find", "hostname", "sed",
}

// bundle makes a bundle whose process has the arguments.
func (t *try) bundle(args ...string) *bundle {
	t.mutex.Lock()
	t.bundles++
	n := t.bundles
	t.mutex.Unlock()
	b := &bundle{try: t, dir: filepath.Join(t.Dir, fmt.Sprintf("bundle%d", n)), id: fmt.Sprintf("%s-%d", t.ID, n), spec: spec.Default()}
	b.spec.Version = "1.0.2" // which all runtimes know
	b.spec.Root.Readonly = false
	b.spec.Process.Terminal = false
	b.spec.Process.Args = args
	b.spec.Linux.CgroupsPath = "/" + b.id
	b.makeRoot()
	return b
}

// script makes a bundle whose process runs a shell script.
func (t *try) script(script string) *bundle { return t.bundle("sh", "-c", script) }

// attacker makes a bundle whose process is this program.
func (t *try) attacker(args ...string) *bundle {
	return t.bundle(append([]string{"/bin/" + attackerName}, args...)...)
}

func (b *bundle) makeRoot() {
	bin := b.mkdir(b.root("bin"))
	for _, name := range []string{"busybox", attackerName} {
		b.must(os.Link(filepath.Join(b.Scratch, name), filepath.Join(bin, name)))
	}
	for _, name := range applets {
		b.must(os.Symlink("busybox", filepath.Join(bin, name)))
	}
	for _, name := range []string{"proc", "sys", "dev", "tmp", "etc"} {
		b.mkdir(b.root(name))
	}
}

// root is a path in the root file system.
func (b *bundle) root(elements ...string) string {
	return filepath.Join(append([]string{b.dir, "rootfs"}, elements...)...)
}

// bind adds a bind mount.
func (b *bundle) bind(source, destination string, options ...string) {
	if len(options) == 0 {
		options = []string{"rbind", "rprivate"}
	}
	b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: destination, Source: source, Type: "bind", Options: options})
}

// drop removes the mount at a destination.
func (b *bundle) drop(destination string) {
	b.spec.Mounts = slices.DeleteFunc(b.spec.Mounts, func(m specs.Mount) bool { return m.Destination == destination })
}

// mountAt is the mount at a destination.
func (b *bundle) mountAt(destination string) *specs.Mount {
	i := slices.IndexFunc(b.spec.Mounts, func(m specs.Mount) bool { return m.Destination == destination })
	return &b.spec.Mounts[i]
}

// capabilities gives the process these in addition.
func (b *bundle) capabilities(names ...string) {
	c := b.spec.Process.Capabilities
	for _, list := range []*[]string{&c.Bounding, &c.Effective, &c.Permitted} {
		*list = append(slices.Clone(*list), names...)
	}
}

// userNamespace gives the container a user namespace whose root is this id of the host.
func (b *bundle) userNamespace(host uint32) {
	b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	ids := []specs.LinuxIDMapping{{HostID: host, Size: 65536}}
	b.spec.Linux.UIDMappings, b.spec.Linux.GIDMappings = ids, ids
	b.chown(host)
}

// chown gives the root file system, but not the programs in it, to a user.
func (b *bundle) chown(uid uint32) {
	entries, err := os.ReadDir(b.root())
	b.must(err)
	b.must(os.Lchown(b.root(), int(uid), int(uid)))
	for _, e := range entries {
		b.must(os.Lchown(b.root(e.Name()), int(uid), int(uid)))
	}
}

// namespace replaces a namespace: path "" makes a new one, "-" takes it out.
func (b *bundle) namespace(kind specs.LinuxNamespaceType, path string) {
	b.spec.Linux.Namespaces = slices.DeleteFunc(b.spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == kind })
	if path != "-" {
		b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: kind, Path: path})
	}
}

// save writes the configuration.
func (b *bundle) save() {
	data, err := json.MarshalIndent(b.spec, "", "\t")
	b.must(err)
	b.write(filepath.Join(b.dir, spec.ConfigName), string(data))
}

// result is how a command ended.
type result struct {
	stdout, stderr string
	code           int
	// late is true if it had to be killed.
	late bool
	took time.Duration
	// memory is its peak memory, in bytes.
	memory int64
}

// command is the runtime with arguments.
func (t *try) command(args ...string) *exec.Cmd {
	cmd := exec.Command(t.Path, append([]string{"--root", filepath.Join(t.Dir, "state")}, args...)...)
	cmd.Dir = t.Dir
	cmd.Env = append(os.Environ(), "RT_WEAKENED="+t.Weakened)
	return cmd
}

// commandTime is how long a command may take.
const commandTime = 20 * time.Second

// execute runs a command. Its output goes to files: a container that stays may keep them
// open.
func (t *try) execute(cmd *exec.Cmd, limit time.Duration) result {
	out, err := os.CreateTemp(t.Dir, "output-")
	t.must(err)
	defer out.Close()
	errOut, err := os.CreateTemp(t.Dir, "output-")
	t.must(err)
	defer errOut.Close()
	if cmd.Stdin == nil {
		cmd.Stdin = strings.NewReader("") // not /dev/null, which crun would give to the container's user
	}
	if cmd.Stdout == nil {
		cmd.Stdout = out
	}
	if cmd.Stderr == nil {
		cmd.Stderr = errOut
	}
	began := time.Now()
	t.must(cmd.Start())
	timer := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() })
	err = cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.fail("%v", err)
	}
	r := result{stdout: read(out.Name()), stderr: read(errOut.Name()), code: cmd.ProcessState.ExitCode(), late: !timer.Stop(), took: time.Since(began)}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		r.memory = usage.Maxrss << 10
	}
	_ = os.Remove(out.Name())
	_ = os.Remove(errOut.Name())
	if slices.Contains(cmd.Args, "state") {
		return r
	}
	t.logf("%s: %d %s %s", shorten(strings.ReplaceAll(strings.Join(cmd.Args[1:], " "), t.Dir, "")), r.code, shorten(r.stdout), shorten(r.stderr))
	return r
}

func shorten(s string) string {
	s = strings.ReplaceAll(strings.TrimSpace(s), "\n", " / ")
	if len(s) > 300 {
		s = s[:300] + "…"
	}
	return s
}

// do runs the runtime.
func (b *bundle) do(args ...string) result { return b.execute(b.command(args...), commandTime) }

// run runs the container.
func (b *bundle) run(flags ...string) result {
	b.save()
	return b.do(append(append([]string{"run", "--bundle", b.dir}, flags...), b.id)...)
}

// start runs the container in the background, and must succeed.
func (b *bundle) start(flags ...string) {
	b.background("run", append([]string{"--detach"}, flags...)...)
}

// create creates the container, and must succeed.
func (b *bundle) create(flags ...string) { b.background("create", flags...) }

func (b *bundle) background(command string, flags ...string) {
	b.save()
	r := b.do(append(append([]string{command, "--bundle", b.dir}, flags...), b.id)...)
	if r.code != 0 {
		b.fail("%s: %s", command, r.stderr)
	}
}

// exec runs a further process in the container.
func (b *bundle) exec(args ...string) result { return b.do(append([]string{"exec", b.id}, args...)...) }

// remove deletes the container.
func (b *bundle) remove() { b.do("delete", "--force", b.id) }

// pid is the container's first process.
func (b *bundle) pid() int {
	r := b.do("state", b.id)
	var s specs.State
	b.must(json.Unmarshal([]byte(r.stdout), &s))
	return s.Pid
}

// proc is a path below /proc/PID of the container's first process.
func (b *bundle) proc(name string) string {
	return filepath.Join("/proc", strconv.Itoa(b.pid()), name)
}

// eventually polls until a condition holds, for some seconds.
func eventually(condition func() bool) bool {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if condition() {
			return true
		}
	}
	return false
}

// await waits for a condition that the attack needs.
func (t *try) await(what string, condition func() bool) {
	if !eventually(condition) {
		t.fail("not in time: %s", what)
	}
}

// tell is evidence if the output contains the word.
func tell(r result, word, evidence string) string {
	if strings.Contains(r.stdout, word) {
		return evidence
	}
	return ""
}

// statusField is a field of a process's status, such as CapEff.
func statusField(pid int, name string) string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range bytes.Lines(data) {
		if key, value, ok := strings.Cut(string(line), ":"); ok && key == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// alive tells whether a process is there and has not ended.
func alive(pid int) bool {
	return syscall.Kill(pid, 0) == nil && !strings.HasPrefix(statusField(pid, "State"), "Z")
}

// onTerminal runs the container with a terminal whose master nobody uses.
func (b *bundle) onTerminal() result {
	b.spec.Process.Terminal = true
	name := b.host("console")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name})
	b.must(err)
	defer l.Close()
	go func() {
		c, err := l.AcceptUnix()
		if err != nil {
			return
		}
		defer c.Close()
		buffer, oob := make([]byte, 4096), make([]byte, 4096)
		for {
			n, on, _, _, err := c.ReadMsgUnix(buffer, oob)
			if err != nil || n+on == 0 {
				return
			}
		}
	}()
	b.save()
	r := b.do("run", "--detach", "--bundle", b.dir, "--console-socket", name, b.id)
	b.remove()
	return r
}
