package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

const (
	kindFiles     = "few descriptors (RLIMIT_NOFILE)"
	kindMemory    = "little memory (RLIMIT_AS, a memory cgroup of rt)"
	kindProcesses = "few processes (RLIMIT_NPROC, a pids cgroup of rt)"
	kindDisk      = "a full or read-only file system for the state"
	kindState     = "a vanished or corrupt state"
	kindCgroup    = "a cgroup that somebody else has removed"
	kindHook      = "a hook that hangs"
	kindDBus      = "a D-Bus that does not answer"
	kindClock     = "another clock (a time namespace)"
)

// around is a trial of the surroundings.
type around struct {
	r      *report
	b      *bundle
	kind   string
	name   string
	broken []string
}

// surrounding runs a trial, unless it is not wanted. It starts with a new container id and
// ends with nothing left.
func (r *report) surrounding(b *bundle, kind, part, name string, try func(a *around)) {
	if !r.wants("surroundings/"+part+": "+name) || !r.chosen(part, name) {
		return
	}
	b.next()
	a := &around{r: r, b: b, kind: kind, name: part + ": " + name}
	r.tried(kind)
	try(a)
	if left := b.left(); left != nil {
		a.wrong("left behind: %s", strings.Join(left, ", "))
	}
	for _, text := range a.broken {
		r.problem(kind, fmt.Sprintf("bin/failures -only '^surroundings/%s$'", a.name), text)
	}
	if a.broken == nil {
		r.count(kind, "passed")
	}
	b.sweep()
}

func (a *around) wrong(format string, args ...any) {
	a.broken = append(a.broken, a.name+": "+fmt.Sprintf(format, args...))
}

// do executes a command, which may fail, but not without a word.
func (a *around) do(args ...string) outcome {
	o := a.b.do(args...)
	if text := o.broken(); text != "" {
		a.wrong("%v: %s", args, text)
	}
	return o
}

// ok executes a command that must succeed.
func (a *around) ok(args ...string) outcome {
	o := a.do(args...)
	if o.code != 0 {
		a.wrong("%v: %s", args, o)
	}
	return o
}

// gone deletes the container by force.
func (a *around) gone() { a.ok("delete", "--force", "ID") }

// behind executes a command of rt behind a shell script that restricts it first.
func (a *around) behind(script string, args ...string) outcome {
	ctx, cancel := context.WithTimeout(context.Background(), timeLimit)
	defer cancel()
	cmd := a.b.command(ctx, a.b.w.rt, nil, args...)
	shell := exec.CommandContext(ctx, "/bin/sh", append([]string{"-ec", script + `; exec "$@"`, "sh", cmd.Path}, cmd.Args[1:]...)...)
	shell.Dir, shell.Env, shell.SysProcAttr = cmd.Dir, cmd.Env, cmd.SysProcAttr
	return a.b.w.execute(ctx, shell, nil)
}

// lifecycle are the commands that are tried in each surrounding, and what comes before.
var lifecycle = []struct {
	args   []string
	before [][]string
	makes  bool
}{
	{args: []string{"run", "--detach", "--bundle", "BUNDLE", "ID"}, makes: true},
	{args: create, makes: true},
	{args: start, before: [][]string{create}},
	{args: []string{"state", "ID"}, before: [][]string{create, start}},
	{args: []string{"list"}, before: [][]string{create, start}},
	{args: []string{"exec", "ID", "/bin/true"}, before: [][]string{create, start}},
	{args: []string{"pause", "ID"}, before: [][]string{create, start}},
	{args: []string{"resume", "ID"}, before: [][]string{create, start, {"pause", "ID"}}},
	{args: []string{"update", "--pids-limit", "50", "ID"}, before: [][]string{create, start}},
	{args: []string{"ps", "--format", "json", "ID"}, before: [][]string{create, start}},
	{args: []string{"kill", "ID", "KILL"}, before: [][]string{create, start}},
	{args: []string{"delete", "ID"}, before: [][]string{create}},
	{args: []string{"delete", "--force", "ID"}, before: [][]string{create, start}},
}

// words are the first two of a command.
func words(args []string) string { return strings.Join(args[:min(len(args), 2)], " ") }

// surroundings tries all of them.
func (r *report) surroundings(w *world) error {
	b, err := w.plain("surroundings", "/bin/sleep", "100000")
	if err != nil {
		return err
	}
	r.restricted(b)
	r.disks(b)
	r.states(b)
	r.removedCgroups(b)
	if err := r.hooks(w); err != nil {
		return err
	}
	r.dbus(b)
	r.clocks(b)
	return nil
}

// restricted tries each command with few resources.
func (r *report) restricted(b *bundle) {
	pausing := true
	limit := func(kind, name, script string, crash bool, numbers ...int) {
		for _, n := range numbers {
			for _, c := range lifecycle {
				if words(c.args) == "resume ID" && !pausing {
					continue
				}
				r.surrounding(b, kind, name, fmt.Sprintf("%d, %s", n, words(c.args)), func(a *around) {
					for _, args := range c.before {
						a.ok(args...)
					}
					o := a.behind(fmt.Sprintf(script, n), c.args...)
					// The Go runtime ends the process with a trace if it gets no memory or no thread.
					gaveUp := o.code == 2 && !o.late && o.message() != "" || (o.code == 128+int(unix.SIGKILL) || o.code == 128+int(unix.SIGSEGV)) && !o.late
					if text := o.broken(); text != "" && !(crash && gaveUp) {
						a.wrong("%s", text)
					}
					if c.makes && o.code == 1 {
						if left := b.left(); left != nil {
							a.wrong("left behind: %s (%s)", strings.Join(left, ", "), o)
						}
					}
					a.gone()
				})
			}
		}
	}
	limit(kindFiles, "descriptors", "ulimit -n %d", false, sequence(3, 40, 1)...)
	limit(kindMemory, "address space in MiB", "ulimit -v $((%d << 10))", true, sequence(8, 200, 12)...)
	if dir, ok := ownCgroup("memory"); ok {
		inner := filepath.Join(dir, fmt.Sprintf("rt-failures-memory-%d", os.Getpid()))
		limit(kindMemory, "cgroup in KiB", "mkdir -p "+inner+"; echo $((%d << 10)) > "+inner+"/memory.limit_in_bytes; echo $$ > "+inner+"/cgroup.procs", true, sequence(512, 9000, 700)...)
		removeCgroup(inner)
	}
	if dir, ok := ownCgroup("pids"); ok {
		inner := filepath.Join(dir, fmt.Sprintf("rt-failures-pids-%d", os.Getpid()))
		limit(kindProcesses, "cgroup", "mkdir -p "+inner+"; echo $$ > "+inner+"/cgroup.procs; echo %d > "+inner+"/pids.max", true, sequence(1, 14, 1)...)
		removeCgroup(inner)
	}
	user, err := b.w.rootless("surroundings-user", "/bin/sleep", "100000")
	if err != nil {
		r.problem(kindProcesses, "", err.Error())
		return
	}
	b = user
	pausing = false // the user has no cgroup
	limit(kindProcesses, "RLIMIT_NPROC", "prlimit --pid $$ --nproc=%d", false, sequence(1, 24, 1)...)
}

func sequence(from, to, by int) (list []int) {
	for n := from; n <= to; n += by {
		list = append(list, n)
	}
	return list
}

// ownCgroup is this process's cgroup of a v1 controller.
func ownCgroup(controller string) (string, bool) {
	own, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(own)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) == 3 && slices.Contains(strings.Split(f[1], ","), controller) {
			dir := filepath.Join("/sys/fs/cgroup", f[1], f[2])
			_, err := os.Stat(filepath.Join(dir, "cgroup.procs"))
			return dir, err == nil
		}
	}
	return "", false
}

func removeCgroup(dir string) {
	for range 100 {
		if err := os.Remove(dir); err == nil || os.IsNotExist(err) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// onTmpfs gives the trial a state directory on a tmpfs of its own. This process is in a
// private mount namespace.
func (a *around) onTmpfs(options string, try func(dir string)) {
	b := a.b
	dir := b.root + ".tmpfs"
	old := b.root
	if err := os.MkdirAll(dir, 0o755); err != nil {
		a.wrong("%v", err)
		return
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		a.wrong("mount: %v", err)
		return
	}
	b.root = filepath.Join(dir, "state")
	try(dir)
	if left := b.left(); left != nil {
		a.wrong("left behind: %s", strings.Join(left, ", "))
	}
	b.sweep()
	b.root = old
	if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
		a.wrong("unmount: %v", err)
	}
	os.Remove(dir)
}

// disks has a state directory without room.
func (r *report) disks(b *bundle) {
	for n := 2; n <= 10; n++ {
		for _, args := range [][]string{create, {"run", "--detach", "--bundle", "BUNDLE", "ID"}} {
			r.surrounding(b, kindDisk, "inodes", fmt.Sprintf("%d, %s", n, args[0]), func(a *around) {
				a.onTmpfs(fmt.Sprintf("nr_inodes=%d", n), func(string) {
					if o := a.do(args...); o.code == 0 {
						a.gone()
					}
				})
			})
		}
	}
	for n := 1; n <= 12; n++ {
		for _, args := range [][]string{create, {"run", "--detach", "--bundle", "BUNDLE", "ID"}} {
			r.surrounding(b, kindDisk, "pages", fmt.Sprintf("%d, %s", n, args[0]), func(a *around) {
				a.onTmpfs(fmt.Sprintf("size=%d", n*os.Getpagesize()), func(string) {
					if o := a.do(args...); o.code == 0 {
						a.gone()
					}
				})
			})
		}
	}
	for _, c := range lifecycle {
		name := words(c.args)
		r.surrounding(b, kindDisk, "full", name, func(a *around) {
			a.onTmpfs("size=1m", func(dir string) {
				for _, args := range c.before {
					a.ok(args...)
				}
				filler := filepath.Join(dir, "filler")
				f, err := os.Create(filler)
				if err != nil {
					a.wrong("%v", err)
					return
				}
				for err == nil {
					_, err = f.Write(make([]byte, os.Getpagesize()))
				}
				f.Close()
				if o := a.do(c.args...); c.makes && o.code == 0 {
					a.wrong("%v succeeds", c.args)
				}
				a.gone()
				os.Remove(filler)
			})
		})
		r.surrounding(b, kindDisk, "read-only", name, func(a *around) {
			a.onTmpfs("", func(dir string) {
				if c.makes {
					_ = os.Mkdir(filepath.Join(dir, "state"), 0o755)
				}
				for _, args := range c.before {
					a.ok(args...)
				}
				if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
					a.wrong("remount: %v", err)
					return
				}
				o := a.do(c.args...)
				if (c.makes || c.args[0] == "delete") && o.code == 0 {
					a.wrong("%v succeeds", c.args)
				}
				if err := unix.Mount("", dir, "", unix.MS_REMOUNT, ""); err != nil {
					a.wrong("remount: %v", err)
				}
				a.gone()
			})
		})
	}
}

// states has a state that vanished or is corrupt.
func (r *report) states(b *bundle) {
	later := lifecycle[2:]
	for _, c := range later {
		name := words(c.args)
		r.surrounding(b, kindState, "vanished", name, func(a *around) {
			for _, args := range c.before {
				a.ok(args...)
			}
			os.RemoveAll(filepath.Join(b.root, b.id))
			o := a.do(c.args...)
			if quiet := c.args[0] == "list" || slices.Contains(c.args, "--force"); !quiet && (o.code == 0 || !strings.Contains(o.message(), "does not exist")) {
				a.wrong("%s", o)
			}
			a.gone()
			b.end()
		})
		r.surrounding(b, kindState, "root vanished", name, func(a *around) {
			for _, args := range c.before {
				a.ok(args...)
			}
			os.RemoveAll(b.root)
			a.do(c.args...)
			a.gone()
			b.end()
		})
	}
	for _, file := range []string{"state.json", "config.json"} {
		for name, damage := range damages(file) {
			for _, c := range later {
				r.surrounding(b, kindState, file+" "+name, words(c.args), func(a *around) {
					for _, args := range c.before {
						a.ok(args...)
					}
					path := filepath.Join(b.root, b.id, file)
					data, err := os.ReadFile(path)
					if err != nil {
						a.wrong("%v", err)
						return
					}
					if err := os.WriteFile(path, damage(data), 0o600); err != nil {
						a.wrong("%v", err)
						return
					}
					a.do(c.args...)
					if file == "state.json" {
						b.thaw() // rt may not know the cgroup any more, and a frozen process does not end
					}
					a.gone()
					b.end()
				})
			}
		}
	}
	r.foreignPids(b)
}

// damages are ways to corrupt a file.
func damages(file string) map[string]func([]byte) []byte {
	list := map[string]func([]byte) []byte{
		"garbage": func(d []byte) []byte { return bytes.Repeat([]byte{0xff, 0, '{', '"'}, len(d)/4) },
		"zeros":   func(d []byte) []byte { return make([]byte, len(d)) },
		"doubled": func(d []byte) []byte { return append(slices.Clip(d), d...) },
		"array":   func([]byte) []byte { return []byte("[]") },
		"null":    func([]byte) []byte { return []byte("null") },
		"object":  func([]byte) []byte { return []byte("{}") },
		"deep":    func([]byte) []byte { return bytes.Repeat([]byte("["), 100_000) },
	}
	for _, percent := range []int{0, 1, 10, 25, 50, 75, 90, 99} {
		list[fmt.Sprintf("cut at %d %%", percent)] = func(d []byte) []byte { return d[:len(d)*percent/100] }
	}
	list["cut by 1"] = func(d []byte) []byte { return d[:len(d)-1] }
	// Each member with a value of another type, or without one.
	members := []string{"ociVersion", "id", "bundle", "rootfs", "created", "uid", "cgroup", "pid", "startTime", "image", "steps"}
	if file == "config.json" {
		members = []string{"ociVersion", "process", "root", "hostname", "mounts", "linux"}
	}
	change := func(member string, value any) func([]byte) []byte {
		return func(d []byte) []byte {
			var m map[string]any
			_ = json.Unmarshal(d, &m)
			if delete(m, member); value != any(nothing) {
				m[member] = value
			}
			d, _ = json.Marshal(m)
			return d
		}
	}
	for _, member := range members {
		for kind, value := range map[string]any{"null": nil, "string": "x", "negative number": -1, "huge number": 1e300, "array": &[]any{}, "object": &map[string]any{}} {
			list[member+" is "+kind] = change(member, value)
		}
		list[member+" is missing"] = change(member, nothing)
	}
	return list
}

// nothing is no value at all.
var nothing = new(int)

// foreignPids has the pid of somebody else's process in the state: rt must not touch it.
func (r *report) foreignPids(b *bundle) {
	for _, c := range lifecycle[2:] {
		r.surrounding(b, kindState, "foreign pid", words(c.args), func(a *around) {
			for _, args := range c.before {
				a.ok(args...)
			}
			s, _ := b.state()
			own := exec.Command("/bin/sleep", "1000")
			if err := own.Start(); err != nil {
				a.wrong("%v", err)
				return
			}
			path := filepath.Join(b.root, b.id, "state.json")
			data, _ := os.ReadFile(path)
			changed := bytes.Replace(data, fmt.Appendf(nil, `"pid":%d`, s.Pid), fmt.Appendf(nil, `"pid":%d`, own.Process.Pid), 1)
			if bytes.Equal(changed, data) {
				a.wrong("no pid in %s", data)
			}
			if err := os.WriteFile(path, changed, 0o600); err != nil {
				a.wrong("%v", err)
			}
			a.do(c.args...)
			a.gone()
			if own.Process.Signal(syscall.Signal(0)) != nil {
				a.wrong("rt has killed a process of somebody else")
			}
			_ = own.Process.Kill()
			_ = own.Wait()
			b.end()
		})
	}
}

// removedCgroups has cgroups that are removed while the container exists: its processes are
// moved out first.
func (r *report) removedCgroups(b *bundle) {
	for _, c := range lifecycle[2:] {
		for _, which := range []string{"all", "memory", "pids", "freezer", "devices", "cpu", "unified"} {
			r.surrounding(b, kindCgroup, which, words(c.args), func(a *around) {
				before := c.before
				if len(before) == 3 { // not what is frozen: it could not be moved
					before = before[:2]
				}
				for _, args := range before {
					a.ok(args...)
				}
				removed := 0
				for _, dir := range b.cgroups() {
					if which != "all" && !strings.HasPrefix(dir, filepath.Join("/sys/fs/cgroup", which)+"/") {
						continue
					}
					pids, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
					for pid := range strings.FieldsSeq(string(pids)) {
						if err := os.WriteFile(filepath.Join(filepath.Dir(dir), "cgroup.procs"), []byte(pid), 0); err != nil {
							a.wrong("%v", err)
						}
					}
					if err := os.Remove(dir); err != nil {
						a.wrong("%v", err)
					}
					removed++
				}
				a.do(c.args...)
				if removed > 0 {
					var wrong []string
					if b.sane(&wrong); wrong != nil {
						a.wrong("%v", wrong)
					}
				}
				a.gone()
			})
		}
	}
}

// hooks have hooks that do not end.
func (r *report) hooks(w *world) error {
	for _, timeout := range []bool{true, false} {
		for _, phase := range []string{"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"} {
			if !timeout && phase == "poststop" {
				continue // delete waits for it, as the specification has it
			}
			if !r.wants("surroundings/hook: ") && !strings.Contains(r.only.String(), "hook") {
				continue
			}
			b, err := w.plain(fmt.Sprintf("hook-%s-%v", phase, timeout), "/bin/sleep", "100000")
			if err != nil {
				return err
			}
			hook := specs.Hook{Path: "/bin/sleep", Args: []string{"sleep", "12345"}}
			if timeout {
				hook.Timeout = to(1)
			}
			list := []specs.Hook{hook}
			h := new(specs.Hooks)
			map[string]func(){
				"prestart":        func() { h.Prestart = list },
				"createRuntime":   func() { h.CreateRuntime = list },
				"createContainer": func() { h.CreateContainer = list },
				"startContainer":  func() { h.StartContainer = list },
				"poststart":       func() { h.Poststart = list },
				"poststop":        func() { h.Poststop = list },
			}[phase]()
			b.spec.Hooks = h
			if err := b.save(); err != nil {
				return err
			}
			if timeout {
				r.surrounding(b, kindHook, "hook", phase+" with a timeout", func(a *around) {
					failed := false
					for _, args := range [][]string{create, start, {"delete", "--force", "ID"}} {
						if failed && args[0] == "start" {
							continue
						}
						if o := a.do(args...); strings.Contains(o.message(), "hooks."+phase) {
							failed = true
							if args[0] != "delete" && o.code == 0 {
								a.wrong("%v succeeds", args)
							}
						}
					}
					if !failed {
						a.wrong("no command complains")
					}
				})
				continue
			}
			onHost := phase == "prestart" || phase == "createRuntime" || phase == "poststart"
			for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGKILL} {
				r.surrounding(b, kindHook, "hook", phase+" without a timeout, "+unix.SignalName(sig), func(a *around) {
					for _, args := range [][]string{create, start} {
						if a.hanging(args, func(pid int) { _ = unix.Kill(pid, sig) }) {
							break
						}
					}
					a.gone()
					if onHost { // a program of the host, which outlives an rt that is killed
						b.end()
					}
				})
				if sig == unix.SIGKILL || phase == "poststart" {
					continue
				}
				r.surrounding(b, kindHook, "hook", phase+" without a timeout, run, "+unix.SignalName(sig), func(a *around) {
					if !a.hanging([]string{"run", "--bundle", "BUNDLE", "ID"}, func(pid int) { _ = unix.Kill(pid, sig) }) {
						a.wrong("the hook does not hang")
					}
				})
			}
			r.surrounding(b, kindHook, "hook", phase+" without a timeout, delete --force", func(a *around) {
				for _, args := range [][]string{create, start} {
					did := a.hanging(args, func(pid int) {
						// It cannot know the hook, and must not wait for ever.
						if o := a.do("delete", "--force", "ID"); o.code != 0 && !strings.Contains(o.message(), "hook hangs") {
							a.wrong("%s", o)
						}
						_ = unix.Kill(pid, unix.SIGKILL)
					})
					if did {
						break
					}
				}
				a.gone()
				if onHost {
					b.end()
				}
			})
		}
	}
	return nil
}

// hanging executes a command, calls then once a hook runs, and tells whether one did. The
// command must end then.
func (a *around) hanging(args []string, then func(pid int)) bool {
	b := a.b
	ctx, cancel := context.WithTimeout(context.Background(), timeLimit)
	defer cancel()
	cmd := b.command(ctx, b.w.rt, nil, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	hung := make(chan bool, 1)
	done := make(chan struct{})
	o := b.w.execute(ctx, cmd, func(pid int) {
		go func() {
			for {
				for _, other := range below(os.Getpid()) {
					if describe(other) == "sleep 12345" {
						then(pid)
						hung <- true
						return
					}
				}
				select {
				case <-done:
					hung <- false
					return
				case <-time.After(time.Millisecond):
				}
			}
		}()
	})
	close(done)
	did := <-hung
	if o.late {
		a.wrong("%v hangs", args)
	}
	if !did && o.code != 0 {
		a.wrong("%v: %s", args, o)
	}
	return did
}

// dbus has a system bus whose daemon takes connections and is silent, or is not there.
func (r *report) dbus(b *bundle) {
	// rt asks systemd only if this directory exists: sd_booted(3).
	const booted = "/run/systemd/system"
	silent := filepath.Join(b.w.dir, "bus")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: silent})
	if err != nil {
		r.problem(kindDBus, "", err.Error())
		return
	}
	defer l.Close()
	for _, where := range []string{"silent", "missing", "refusing"} {
		if where == "silent" && r.stride > 1 {
			continue // which takes longer than the whole short form
		}
		for _, args := range [][]string{create, {"run", "--bundle", "BUNDLE", "ID"}} {
			r.surrounding(b, kindDBus, "bus", where+", "+args[0], func(a *around) {
				if _, err := os.Stat(booted); err != nil {
					// In this process's own mount namespace.
					if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, ""); err != nil {
						a.wrong("mount: %v", err)
						return
					}
					defer func() { _ = unix.Unmount("/run", unix.MNT_DETACH) }()
					if err := os.MkdirAll(booted, 0o755); err != nil {
						a.wrong("%v", err)
						return
					}
				}
				path := map[string]string{"silent": silent, "missing": "/no/bus", "refusing": b.dir}[where]
				began := time.Now()
				// rt waits longer than the half minute in which systemd may finish a job.
				ctx, cancel := context.WithTimeout(context.Background(), 2*timeLimit)
				defer cancel()
				cmd := b.command(ctx, b.w.rt, []string{"DBUS_SYSTEM_BUS_ADDRESS=unix:path=" + path}, append([]string{"--systemd-cgroup"}, args...)...)
				o := b.w.execute(ctx, cmd, nil)
				if text := o.broken(); text != "" {
					a.wrong("after %v: %s", time.Since(began).Round(time.Second), text)
				}
				if o.code == 0 {
					a.wrong("it succeeds")
				}
				if !strings.Contains(o.message(), "systemd") && !strings.Contains(o.message(), "dbus") {
					a.wrong("the message does not name systemd: %s", o)
				}
				a.gone()
			})
		}
	}
}

// clocks asks for a container from a time namespace whose clock is another one, and the
// other way round.
func (r *report) clocks(b *bundle) {
	for _, inside := range []bool{true, false} {
		for _, offset := range []int{-1000, 1, 100_000} {
			if up := uptime(); offset < 0 && up < 2000 {
				continue
			}
			for _, c := range lifecycle[2:] {
				r.surrounding(b, kindClock, "clock", fmt.Sprintf("%s %d s off, container made inside: %v", strings.Join(c.args, " "), offset, !inside), func(a *around) {
					shifted := func(args ...string) outcome {
						return a.behind(fmt.Sprintf(`[ -n "$RT_SHIFTED" ] || exec env RT_SHIFTED=1 unshare --time --boottime %d --monotonic %d sh -ec 'exec "$@"' "$0" "$@"`, offset, offset), args...)
					}
					plain := func(args ...string) outcome { return b.do(args...) }
					makes, asks := plain, shifted
					if !inside {
						makes, asks = shifted, plain
					}
					for _, args := range c.before {
						if o := makes(args...); o.code != 0 {
							a.wrong("%v: %s", args, o)
						}
					}
					o := asks("state", "ID")
					var s specs.State
					_ = json.Unmarshal([]byte(o.stdout), &s)
					want := map[int]specs.ContainerState{1: specs.StateCreated, 2: specs.StateRunning, 3: "paused"}[len(c.before)]
					if s.Status != want {
						a.wrong("the container is %q, not %q: %s", s.Status, want, o)
					}
					if o := asks(c.args...); o.code != 0 {
						a.wrong("%v: %s", c.args, o)
					}
					a.gone()
				})
			}
		}
	}
}

func uptime() int {
	data, _ := os.ReadFile("/proc/uptime")
	seconds, _, _ := strings.Cut(string(data), ".")
	n, _ := strconv.Atoi(seconds)
	return n
}
