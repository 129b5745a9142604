package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

const (
	kindCall      = "a system call of rt fails"
	kindKillRT    = "kill -9 of rt before a system call"
	kindKillFirst = "kill -9 of the container's first process, or of its program, before a system call of rt"
)

// order is a command of rt whose system calls are tried.
type order struct {
	name   string
	bundle *bundle
	args   []string
	// before are the commands that come first.
	before [][]string
	// makes is true if the command makes the container: if it fails, nothing may be left.
	makes bool
	// deletes is true if nothing is left if it succeeds.
	deletes bool
	// verify checks that a command that claims to have succeeded has.
	verify func(b *bundle, o outcome) string
}

// orders are the commands that are tried.
func (w *world) orders() ([]*order, error) {
	sleeping, err := w.plain("calls", "/bin/sleep", "100000")
	if err != nil {
		return nil, err
	}
	ending, err := w.plain("calls-run", "/bin/echo", "marker")
	if err != nil {
		return nil, err
	}
	everything, err := w.everything("calls-everything", "/bin/sleep", "100000")
	if err != nil {
		return nil, err
	}
	docker, err := w.docker("calls-docker", "/bin/echo", "marker")
	if err != nil {
		return nil, err
	}
	user, err := w.rootless("calls-rootless", "/bin/echo", "marker")
	if err != nil {
		return nil, err
	}
	mounts := filepath.Join(w.dir, "mounts.json")
	text, err := json.Marshal([]specs.Mount{{Destination: "/data", Source: filepath.Join(sleeping.dir, "rootfs/old"), Options: []string{"bind", "ro"}}})
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(mounts, text, 0o644); err != nil {
		return nil, err
	}
	says := func(word string) func(*bundle, outcome) string {
		return func(_ *bundle, o outcome) string {
			if !strings.Contains(o.stdout, word) {
				return fmt.Sprintf("it succeeded, but its output is %q", o.stdout)
			}
			return ""
		}
	}
	is := func(status specs.ContainerState) func(*bundle, outcome) string {
		return func(b *bundle, _ outcome) string {
			if s, o := b.state(); s.Status != status {
				return fmt.Sprintf("it succeeded, but the container is %q: %s", s.Status, o)
			}
			return ""
		}
	}
	becomes := func(status specs.ContainerState) func(*bundle, outcome) string {
		return func(b *bundle, _ outcome) string {
			if !b.await(status) {
				return fmt.Sprintf("it succeeded, but the container is not %s", status)
			}
			return ""
		}
	}
	names := func(b *bundle, o outcome) string { return says(b.id)(b, o) }
	running, created := [][]string{create, start}, [][]string{create}
	paused := [][]string{create, start, {"pause", "ID"}}
	return []*order{
		{name: "run", bundle: ending, args: []string{"run", "--bundle", "BUNDLE", "ID"}, makes: true, deletes: true, verify: says("marker")},
		{name: "run, Docker", bundle: docker, args: []string{"run", "--bundle", "BUNDLE", "ID"}, makes: true, deletes: true, verify: says("marker")},
		{name: "run, rootless", bundle: user, args: []string{"run", "--bundle", "BUNDLE", "ID"}, makes: true, deletes: true, verify: says("marker")},
		{name: "run --detach", bundle: sleeping, args: []string{"run", "--detach", "--bundle", "BUNDLE", "ID"}, makes: true, verify: is(specs.StateRunning)},
		{name: "create", bundle: sleeping, args: create, makes: true, verify: is(specs.StateCreated)},
		{name: "create, everything on", bundle: everything, args: create, makes: true, verify: is(specs.StateCreated)},
		{name: "start", bundle: sleeping, before: created, args: start, verify: is(specs.StateRunning)},
		{name: "start, everything on", bundle: everything, before: created, args: start, verify: is(specs.StateRunning)},
		{name: "state", bundle: sleeping, before: running, args: []string{"state", "ID"}, verify: says(`"running"`)},
		{name: "list", bundle: sleeping, before: running, args: []string{"list"}, verify: names},
		{name: "ps", bundle: sleeping, before: running, args: []string{"ps", "--format", "json", "ID"}, verify: says("[")},
		{name: "exec", bundle: sleeping, before: running, args: []string{"exec", "ID", "/bin/echo", "marker"}, verify: says("marker")},
		{name: "exec --detach, everything on", bundle: everything, before: running, args: []string{"exec", "--detach", "ID", "/bin/true"}, verify: is(specs.StateRunning)},
		{name: "kill", bundle: sleeping, before: running, args: []string{"kill", "ID", "KILL"}, verify: becomes(specs.StateStopped)},
		{name: "kill --all", bundle: sleeping, before: running, args: []string{"kill", "--all", "ID", "KILL"}, verify: becomes(specs.StateStopped)},
		{name: "pause", bundle: sleeping, before: running, args: []string{"pause", "ID"}, verify: is("paused")},
		{name: "resume", bundle: sleeping, before: paused, args: []string{"resume", "ID"}, verify: is(specs.StateRunning)},
		{name: "update", bundle: sleeping, before: running, args: []string{"update", "--pids-limit", "77", "ID"}, verify: limited},
		{name: "mounts add", bundle: sleeping, before: running, args: []string{"mounts", "add", "ID", mounts}, verify: is(specs.StateRunning)},
		{name: "events --stats", bundle: sleeping, before: running, args: []string{"events", "--stats", "ID"}, verify: names},
		{name: "delete", bundle: sleeping, before: created, args: []string{"delete", "ID"}, deletes: true},
		{name: "delete --force", bundle: sleeping, before: running, args: []string{"delete", "--force", "ID"}, deletes: true},
		{name: "delete --force, everything on", bundle: everything, before: paused, args: []string{"delete", "--force", "ID"}, deletes: true},
		{name: "spec", bundle: sleeping, args: []string{"spec", "--bundle", filepath.Join(w.dir, "spec")}},
		{name: "features", bundle: sleeping, args: []string{"features"}, verify: says("ociVersionMax")},
		{name: "explain", bundle: everything, args: []string{"explain", "BUNDLE"}, verify: says("system calls")},
	}, nil
}

// limited checks what update has done, where the machine has the controller.
func limited(b *bundle, _ outcome) string {
	for _, dir := range b.cgroups() {
		if data, err := os.ReadFile(filepath.Join(dir, "pids.max")); err == nil && strings.TrimSpace(string(data)) != "77" {
			return "it succeeded, but pids.max is " + string(data)
		}
	}
	return ""
}

// likely are errnos of rt's own calls. What is not here fails with EPERM, as a filter or a
// security module lets it, or ENOMEM.
var likely = map[int][]unix.Errno{
	unix.SYS_OPENAT: {unix.EMFILE, unix.ENOMEM, unix.EACCES}, unix.SYS_OPENAT2: {unix.EMFILE, unix.ENOMEM},
	unix.SYS_READ: {unix.EIO, unix.ENOMEM}, unix.SYS_PREAD64: {unix.EIO}, unix.SYS_WRITE: {unix.ENOSPC, unix.EIO}, unix.SYS_PWRITE64: {unix.ENOSPC},
	unix.SYS_CLOSE: {unix.EIO}, unix.SYS_FSTAT: {unix.ENOMEM}, unix.SYS_NEWFSTATAT: {unix.ENOMEM, unix.EACCES}, unix.SYS_STATX: {unix.ENOMEM},
	unix.SYS_FSTATFS: {unix.EIO}, unix.SYS_STATFS: {unix.EIO, unix.ENOMEM}, unix.SYS_FACCESSAT2: {unix.ENOMEM}, unix.SYS_FACCESSAT: {unix.ENOMEM},
	unix.SYS_MKDIRAT: {unix.ENOSPC, unix.EROFS}, unix.SYS_UNLINKAT: {unix.EBUSY, unix.EROFS}, unix.SYS_RENAMEAT: {unix.ENOSPC}, unix.SYS_RMDIR: {unix.EBUSY},
	unix.SYS_GETDENTS64: {unix.EIO, unix.ENOMEM}, unix.SYS_READLINKAT: {unix.ENOMEM}, unix.SYS_FLOCK: {unix.ENOLCK, unix.EINTR},
	unix.SYS_CLONE: {unix.EAGAIN, unix.ENOMEM}, unix.SYS_CLONE3: {unix.EAGAIN, unix.ENOMEM}, unix.SYS_EXECVE: {unix.ENOMEM, unix.EACCES},
	unix.SYS_SOCKET: {unix.EMFILE, unix.ENOMEM}, unix.SYS_SOCKETPAIR: {unix.EMFILE, unix.ENOMEM}, unix.SYS_PIPE2: {unix.EMFILE, unix.ENFILE},
	unix.SYS_EVENTFD2: {unix.EMFILE}, unix.SYS_MEMFD_CREATE: {unix.EMFILE, unix.ENOMEM}, unix.SYS_BIND: {unix.ENOMEM, unix.EADDRINUSE},
	unix.SYS_LISTEN: {unix.EADDRINUSE}, unix.SYS_CONNECT: {unix.EAGAIN, unix.ENOMEM}, unix.SYS_SENDMSG: {unix.ENOBUFS, unix.EINTR, unix.ETOOMANYREFS},
	unix.SYS_RECVMSG: {unix.ENOMEM, unix.EINTR, unix.EMFILE}, unix.SYS_SENDTO: {unix.ENOBUFS}, unix.SYS_RECVFROM: {unix.ENOMEM, unix.EINTR},
	unix.SYS_POLL: {unix.ENOMEM, unix.EINTR}, unix.SYS_PPOLL: {unix.ENOMEM, unix.EINTR}, unix.SYS_EPOLL_PWAIT: {unix.EINTR},
	unix.SYS_WAIT4: {unix.EINTR}, unix.SYS_WAITID: {unix.EINTR, unix.ENOMEM},
	unix.SYS_PIDFD_OPEN: {unix.EMFILE, unix.ENOMEM}, unix.SYS_PIDFD_SEND_SIGNAL: {unix.EPERM}, unix.SYS_PIDFD_GETFD: {unix.EMFILE, unix.EPERM},
	unix.SYS_FCNTL: {unix.EPERM, unix.EMFILE}, unix.SYS_DUP3: {unix.EMFILE}, unix.SYS_BPF: {unix.EPERM, unix.ENOMEM}, unix.SYS_GETCWD: {unix.ENOENT, unix.ENOMEM},
	unix.SYS_OPEN_TREE: {unix.ENOMEM, unix.EMFILE}, unix.SYS_MOVE_MOUNT: {unix.ENOMEM}, unix.SYS_MOUNT_SETATTR: {unix.EPERM, unix.ENOMEM},
}

// never are calls that do not fail, by their manual pages.
var never = map[int]bool{
	unix.SYS_GETPID: true, unix.SYS_GETTID: true, unix.SYS_GETUID: true, unix.SYS_GETEUID: true, unix.SYS_GETGID: true, unix.SYS_GETEGID: true,
	unix.SYS_EXIT_GROUP: true, unix.SYS_EXIT: true, unix.SYS_UMASK: true, unix.SYS_GETPPID: true, unix.SYS_SYSINFO: true, unix.SYS_GETRLIMIT: true,
}

func likelyErrnos(nr int) []unix.Errno {
	if never[nr] {
		return nil
	}
	if list := likely[nr]; list != nil {
		return list
	}
	return []unix.Errno{unix.EPERM, unix.ENOMEM}
}

// known is a site with the functions that make the call.
type known struct {
	site
	names []string
}

// set makes what has to be there before the command.
func (d *order) set() error {
	d.bundle.next()
	if d.name == "spec" {
		dir := d.args[len(d.args)-1]
		os.RemoveAll(dir)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	for _, args := range d.before {
		if o := d.bundle.do(args...); o.code != 0 {
			return fmt.Errorf("%s: %v: %s", d.name, args, o)
		}
	}
	return nil
}

func (d *order) trace(decide func(call) action) (outcome, error) {
	return d.bundle.w.trace(d.bundle.command(context.Background(), d.bundle.w.rt, nil, d.args...), decide)
}

// sites runs the command as it is, several times: the Go runtime does not always do the
// same.
func (d *order) sites(s *symbols, times int) (list []known, err error) {
	found := map[site]known{}
	for range times {
		if err := d.set(); err != nil {
			return nil, err
		}
		o, err := d.trace(func(c call) action {
			if _, ok := found[c.site]; !ok {
				found[c.site] = known{site: c.site, names: s.functions(c.pcs)}
				list = append(list, found[c.site])
			}
			return action{}
		})
		if err != nil {
			return nil, err
		}
		wrong := o.broken()
		if wrong == "" && d.verify != nil {
			wrong = d.verify(d.bundle, o)
		}
		if wrong != "" || o.code != 0 {
			return nil, fmt.Errorf("%s: %s %s", d.name, o, wrong)
		}
		d.bundle.sweep()
		if left := d.bundle.left(); left != nil {
			return nil, fmt.Errorf("%s: left behind: %v", d.name, left)
		}
	}
	return list, nil
}

// commands tries all system calls of all commands.
func (r *report) commands(w *world) error {
	s, err := readSymbols(w.rt)
	if err != nil {
		return err
	}
	orders, err := w.orders()
	if err != nil {
		return err
	}
	skipped := map[string]bool{}
	for _, d := range orders {
		if !r.wants("calls/" + d.name) {
			continue
		}
		sites, err := d.sites(s, map[bool]int{true: 1, false: 3}[r.stride > 1])
		if err != nil {
			return err
		}
		for _, k := range sites {
			if runtimes(k.names) {
				names := slices.DeleteFunc(k.names, func(name string) bool { return strings.HasPrefix(name, "internal/runtime/") })
				skipped[fmt.Sprintf("%s, by %s", callName(k.nr), strings.Join(names[:min(len(names), 1)], ""))] = true
				continue
			}
			if !r.chosen(d.name, k.site) {
				continue
			}
			errnos := likelyErrnos(k.nr)
			if k.nr == unix.SYS_READ && slices.Contains(k.names, "syscall.forkExec") {
				errnos = nil // of a pipe from its own child: Go's syscall.forkExec then waits for the child to end
			}
			for _, errno := range errnos {
				if err := r.call(d, k, "fail", errno); err != nil {
					return err
				}
				if r.stride > 1 {
					break
				}
			}
			for _, what := range []string{"rt", "first"} {
				if err := r.call(d, k, what, 0); err != nil {
					return err
				}
			}
		}
	}
	for _, text := range slices.Sorted(maps.Keys(skipped)) {
		r.note(kindRuntime, text)
	}
	return nil
}

const kindRuntime = "calls that the Go runtime makes by itself, for its threads, memory and signals: its authors end the process if they fail"

func callName(nr int) string {
	if name, ok := callNames[nr]; ok {
		return name
	}
	return "call " + strconv.Itoa(nr)
}

// call does something at one call of the command.
func (r *report) call(d *order, k known, what string, errno unix.Errno) error {
	b := d.bundle
	if err := d.set(); err != nil {
		return err
	}
	first := 0
	if what == "first" && len(d.before) > 0 {
		s, o := b.state()
		if first = s.Pid; first == 0 {
			return fmt.Errorf("%s: %s", d.name, o)
		}
	}
	came := false
	o, err := d.trace(func(c call) action {
		if c.site != k.site || came {
			return action{}
		}
		switch what {
		case "rt":
			came = true
			return action{kill: c.pid}
		case "first":
			if victim := max(first, c.child); victim != 0 && len(d.before) > 0 || c.child != 0 {
				if len(d.before) > 0 {
					victim = first
				}
				came = true
				return action{kill: victim}
			}
			return action{}
		}
		came = true
		return action{errno: errno, after: c.nr == unix.SYS_CLOSE}
	})
	if err != nil {
		return err
	}
	if !came { // the scheduler did it otherwise, or there is nobody to kill yet
		b.sweep()
		return nil
	}
	kind := map[string]string{"fail": kindCall, "rt": kindKillRT, "first": kindKillFirst}[what]
	r.tried(kind)
	replay := fmt.Sprintf("bin/failures -only '^calls/%s$' -replay '%s %s %d'", d.name, k.site, what, int(errno))
	text := callName(k.nr) + " by " + where(k.names)
	if errno != 0 {
		text += ": " + errno.Error()
	}
	for _, wrong := range d.examine(o, what) {
		r.problem(kind, replay, d.name+": "+text+": "+wrong)
	}
	switch {
	case what == "rt":
	case o.code == 0:
		r.count(kind, "succeeded all the same")
	default:
		r.count(kind, "reported")
	}
	return nil
}

// examine looks at what a command has done and left, and removes that.
func (d *order) examine(o outcome, what string) (wrong []string) {
	b := d.bundle
	add := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	killed := o.code == 128+int(unix.SIGKILL)
	if text := o.broken(); text != "" && !(killed && what != "fail") {
		add("%s", text)
	}
	if o.code == 0 && what == "fail" && d.verify != nil {
		if text := d.verify(b, o); text != "" {
			add("%s (%s)", text, o)
		}
	}
	if what == "rt" || what == "first" {
		b.sane(&wrong)
	}
	switch {
	case what == "fail" && (d.makes && o.code != 0 || d.deletes && o.code == 0):
		// Nothing may be left.
	case d.makes && o.code != 0 && what == "first" && !killed:
	default:
		if again := b.do("delete", "--force", "ID"); again.code != 0 || again.broken() != "" {
			add("delete --force: %s, after: %s", again, o)
		}
	}
	if left := b.left(); left != nil {
		add("left behind: %s, after: %s", strings.Join(left, ", "), o)
	}
	if wrong != nil {
		b.sweep()
	}
	return wrong
}

// replayCall repeats what report.call names.
func (r *report) replayCall(w *world, text string) error {
	orders, err := w.orders()
	if err != nil {
		return err
	}
	var name, what string
	var errno int
	if _, err := fmt.Sscan(text, &name, &what, &errno); err != nil {
		return err
	}
	at, err := parseSite(name)
	if err != nil {
		return err
	}
	s, err := readSymbols(w.rt)
	if err != nil {
		return err
	}
	for _, d := range orders {
		if !r.wants("calls/" + d.name) {
			continue
		}
		sites, err := d.sites(s, 3)
		if err != nil {
			return err
		}
		for _, k := range sites {
			if k.site == at {
				fmt.Println(callName(k.nr), "by", strings.Join(k.names, " < "))
				return r.call(d, k, what, unix.Errno(errno))
			}
		}
	}
	return fmt.Errorf("no call %s", name)
}
