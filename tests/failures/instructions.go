package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// flow is a container's way through some commands, all of which succeed if nothing fails.
type flow struct {
	name     string
	bundle   *bundle
	commands [][]string
	// inside is true if the commands work on a container that stays.
	inside bool
	// resident are the processes of that container.
	resident int
}

var (
	runFlow    = [][]string{{"run", "--bundle", "BUNDLE", "FLAGS", "ID"}}
	createFlow = [][]string{{"create", "--bundle", "BUNDLE", "FLAGS", "ID"}, {"start", "ID"}, {"delete", "ID"}}
	execFlow   = [][]string{{"exec", "ID", "/bin/true"}}
)

// flows are those whose programs are tried.
func (w *world) flows() (list []*flow, err error) {
	for _, f := range []struct {
		name   string
		bundle func(string, ...string) (*bundle, error)
		cmds   [][]string
		inside bool
	}{
		{"default", w.plain, runFlow, false},
		{"default, in two steps", w.plain, createFlow, false},
		{"Docker", w.docker, runFlow, false},
		{"rootless", w.rootless, runFlow, false},
		{"everything on", w.everything, createFlow, false},
		{"exec", w.plain, execFlow, true},
		{"exec in Docker's", w.docker, execFlow, true},
		{"exec in everything on", w.everything, execFlow, true},
	} {
		args := []string{"/bin/true"}
		if f.inside {
			args = []string{"/bin/sleep", "100000"}
		}
		b, err := f.bundle(strings.NewReplacer(" ", "-", ",", "", "'", "").Replace(f.name), args...)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		list = append(list, &flow{name: f.name, bundle: b, commands: f.cmds, inside: f.inside})
	}
	return list, nil
}

// listing is a program as the build with the tag "failing" lists it.
type listing struct {
	Program int    `json:"program"`
	Fail    int    `json:"fail"`
	Steps   []step `json:"steps"`
	// command is the one that links it.
	command int
}

type step struct {
	Op      uint8    `json:"op"`
	Call    string   `json:"call"`
	Text    string   `json:"text"`
	Source  string   `json:"source"`
	Purpose string   `json:"purpose"`
	Errnos  []uint16 `json:"errnos"`
	Target  int      `json:"target"`
}

// program.Op
const (
	opSyscall = 0
	opJump    = 1
	opBranch  = 2
)

// anyErrno is program.AnyErrno.
const anyErrno = 0xffff

// expects tells whether the instruction goes on after this error.
func (s *step) expects(errno unix.Errno) bool {
	return slices.Contains(s.Errnos, anyErrno) || slices.Contains(s.Errnos, uint16(errno))
}

// fails tells whether the instruction can fail at all.
func (s *step) fails() bool { return s.Op == opSyscall && s.Call != "exit_group" }

// keeper tells whether the program is the one that replaces `rt run`.
func (l *listing) keeper() bool {
	return l.Steps[len(l.Steps)-1].Purpose == "exit with the status of the container's process"
}

// injection is what RT_FAIL says.
type injection struct {
	command int
	points  []point
}

type point struct {
	program, step int
	errno         unix.Errno // 0: halt
}

func (i injection) env() []string {
	var list []string
	for _, p := range i.points {
		what := "halt"
		if p.errno != 0 {
			what = strconv.Itoa(int(p.errno))
		}
		list = append(list, fmt.Sprintf("%d:%d:%s", p.program, p.step, what))
	}
	return []string{"RT_FAIL=" + strings.Join(list, ",")}
}

// begin makes the container in which commands run that work on one.
func (f *flow) begin() error {
	f.bundle.next()
	if !f.inside {
		return nil
	}
	for _, args := range [][]string{{"create", "--bundle", "BUNDLE", "FLAGS", "ID"}, {"start", "ID"}} {
		if o := f.bundle.do(args...); o.code != 0 {
			return fmt.Errorf("%s: %v: %s", f.name, args, o)
		}
	}
	f.resident = len(descendants())
	return nil
}

// list links all programs of the flow once.
func (f *flow) list() (programs []*listing, err error) {
	for i := range f.commands {
		name := filepath.Join(f.bundle.w.dir, "listing")
		os.Remove(name)
		if f.bundle.user != 0 {
			if err := os.WriteFile(name, nil, 0o666); err != nil {
				return nil, err
			}
			_ = os.Chmod(name, 0o666)
		}
		if o := f.bundle.execute(f.bundle.w.failing, []string{"RT_FAIL_LIST=" + name}, f.commands[i]...); o.code != 0 {
			return nil, fmt.Errorf("%s: %v: %s", f.name, f.commands[i], o)
		}
		if f.commands[i][0] == "start" && !f.bundle.await(specs.StateStopped) {
			return nil, fmt.Errorf("%s: the process does not end", f.name)
		}
		data, err := os.ReadFile(name)
		if err != nil {
			continue // it links none
		}
		lines := bufio.NewScanner(bytes.NewReader(data))
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			l := &listing{command: i}
			if err := json.Unmarshal(lines.Bytes(), l); err != nil {
				return nil, err
			}
			programs = append(programs, l)
		}
	}
	return programs, nil
}

// trial is a way through the flow's commands with an injection.
type trial struct {
	// failed is the command that failed, or -1.
	failed int
	outcome
	// halted is true if a program came to the instruction at which it halts, and was
	// killed there.
	halted bool
	left   []string
}

// try goes through the commands, one of which has the injection.
func (f *flow) try(in injection) trial {
	b := f.bundle
	if !f.inside {
		b.next()
	}
	t := trial{failed: -1}
	for i, args := range f.commands {
		rt, env := b.w.rt, []string(nil)
		if i == in.command {
			rt, env = b.w.failing, in.env()
		}
		o, halted := f.watched(in, rt, env, args)
		t.halted = t.halted || halted
		if o.code != 0 || i == in.command {
			t.outcome = o
		}
		if o.code != 0 {
			t.failed = i
			break
		}
		if args[0] == "start" && !b.await(specs.StateStopped) {
			t.failed, t.outcome = i, outcome{code: -1, stderr: "the container's process does not end"}
			break
		}
	}
	t.left = f.after(t)
	return t
}

// after looks for what must not be left.
func (f *flow) after(t trial) []string {
	b := f.bundle
	var wrong []string
	switch {
	case f.inside:
		var now int
		for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			if now = len(descendants()); now == f.resident || time.Now().After(end) {
				break
			}
		}
		if now != f.resident {
			wrong = append(wrong, fmt.Sprintf("%d processes instead of %d", now, f.resident))
		}
		if s, o := b.state(); s.Status != specs.StateRunning {
			wrong = append(wrong, fmt.Sprintf("the container is %q: %s", s.Status, o))
		}
		if wrong != nil {
			b.sweep()
			if err := f.begin(); err != nil {
				wrong = append(wrong, err.Error())
			}
		}
		return wrong
	case t.failed >= 0 && (f.commands[t.failed][0] != "create" && f.commands[t.failed][0] != "run"):
		// The container stays, or is gone; it can be deleted without force.
		if _, o := b.state(); o.code == 0 {
			if o := b.do("delete", "ID"); o.code != 0 {
				wrong = append(wrong, "delete: "+o.String())
			}
		}
	case t.halted && t.failed >= 0 && t.code > 1, strings.Contains(t.message(), "rt delete --force"):
		// The keeper was killed, or could not delete the container and says so.
		if o := b.do("delete", "--force", "ID"); o.code != 0 {
			wrong = append(wrong, "delete --force: "+o.String())
		}
	}
	wrong = append(wrong, b.left()...)
	if wrong != nil {
		b.sweep()
	}
	return wrong
}

// haltMark is program.HaltMark.
const haltMark = "0x68616c74"

// watched executes a command, and kills a program that halts.
func (f *flow) watched(in injection, rt string, env, args []string) (outcome, bool) {
	b := f.bundle
	ctx, cancel := context.WithTimeout(context.Background(), timeLimit)
	defer cancel()
	cmd := b.command(ctx, rt, env, args...)
	if !slices.ContainsFunc(in.points, func(p point) bool { return p.errno == 0 }) {
		return b.w.execute(ctx, cmd, nil), false
	}
	var halted atomic.Bool
	done, over := make(chan struct{}), make(chan struct{})
	o := b.w.execute(ctx, cmd, func(pid int) {
		go func() {
			defer close(over)
			for {
				select {
				case <-done:
					return
				case <-time.After(300 * time.Microsecond):
				}
				for _, pid := range below(os.Getpid()) {
					text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/syscall", pid))
					if strings.Contains(string(text), haltMark) {
						halted.Store(true)
						_ = unix.Kill(pid, unix.SIGKILL)
					}
				}
			}
		}()
	})
	close(done)
	<-over
	return o, halted.Load()
}

// plausible are errnos of calls, those that are most likely first. What is not here fails
// with EPERM, as a security module or a filter lets it, or EINVAL.
var plausible = map[string][]unix.Errno{
	"accept4":           {unix.EMFILE, unix.ENOMEM, unix.ECONNABORTED},
	"capset":            {unix.EPERM, unix.EINVAL},
	"chdir":             {unix.ENOENT, unix.EACCES, unix.ENOTDIR},
	"clone":             {unix.EAGAIN, unix.ENOMEM},
	"clone3":            {unix.EAGAIN, unix.ENOMEM},
	"close":             {unix.EIO},
	"close_range":       {unix.ENOMEM, unix.EMFILE},
	"dup3":              {unix.EMFILE, unix.EBUSY},
	"execve":            {unix.ENOENT, unix.EACCES, unix.ENOMEM, unix.E2BIG, unix.ENOEXEC},
	"faccessat2":        {unix.ENOENT, unix.EACCES},
	"flock":             {unix.ENOLCK, unix.EINTR},
	"fsconfig":          {unix.EINVAL, unix.ENOMEM, unix.EPERM, unix.ENOSPC},
	"fsmount":           {unix.EPERM, unix.ENOMEM, unix.EMFILE},
	"fsopen":            {unix.ENODEV, unix.EPERM, unix.ENOMEM, unix.EMFILE},
	"fspick":            {unix.ENOMEM, unix.EPERM},
	"fstatfs":           {unix.ENOSYS, unix.EIO},
	"futex":             {unix.ENOMEM},
	"ioctl":             {unix.EPERM, unix.ENOTTY, unix.EIO},
	"keyctl":            {unix.EDQUOT, unix.ENOSYS, unix.ENOMEM},
	"lseek":             {unix.EINVAL},
	"mkdirat":           {unix.ENOSPC, unix.EROFS, unix.EACCES, unix.EEXIST},
	"mknodat":           {unix.EPERM, unix.ENOSPC, unix.EEXIST},
	"mount":             {unix.EPERM, unix.EBUSY, unix.ENOMEM},
	"mount_setattr":     {unix.EPERM, unix.EINVAL, unix.ENOSYS, unix.EBUSY},
	"move_mount":        {unix.EINVAL, unix.ENOSPC, unix.ENOENT, unix.EPERM},
	"open_tree":         {unix.ENOENT, unix.EPERM, unix.ENOMEM, unix.EMFILE},
	"openat":            {unix.ENOENT, unix.EACCES, unix.EMFILE, unix.EROFS},
	"openat2":           {unix.ENOENT, unix.EACCES, unix.ELOOP, unix.EMFILE, unix.EAGAIN},
	"pidfd_send_signal": {unix.ESRCH, unix.EPERM},
	"pivot_root":        {unix.EINVAL, unix.EBUSY, unix.EPERM},
	"prctl":             {unix.EPERM, unix.EINVAL},
	"prlimit64":         {unix.EPERM},
	"read":              {unix.EIO, unix.EINTR, unix.ENOMEM},
	"readlinkat":        {unix.ENOENT, unix.EACCES},
	"recvmsg":           {unix.ENOMEM, unix.EINTR, unix.EMFILE},
	"seccomp":           {unix.EINVAL, unix.ENOMEM, unix.EBUSY, unix.EACCES},
	"sendfile":          {unix.EIO, unix.ENOSPC},
	"sendmsg":           {unix.ENOBUFS, unix.EINTR, unix.EPIPE},
	"setns":             {unix.EPERM, unix.EINVAL, unix.ENOMEM},
	"setresgid":         {unix.EPERM, unix.EINVAL, unix.EAGAIN},
	"setresuid":         {unix.EPERM, unix.EINVAL, unix.EAGAIN},
	"signalfd4":         {unix.EMFILE, unix.ENOMEM},
	"socket":            {unix.EMFILE, unix.EAFNOSUPPORT, unix.ENOMEM},
	"statx":             {unix.ENOENT, unix.EACCES, unix.ENOMEM},
	"symlinkat":         {unix.ENOSPC, unix.EROFS, unix.EEXIST},
	"umount2":           {unix.EBUSY, unix.EINVAL},
	"unlinkat":          {unix.EBUSY, unix.EROFS, unix.ENOENT},
	"unshare":           {unix.EPERM, unix.ENOSPC, unix.ENOMEM},
	"wait4":             {unix.ECHILD, unix.EINTR},
	"write":             {unix.EIO, unix.ENOSPC, unix.EINVAL, unix.EPERM},
}

// errnos are those with which the instruction is to fail. To the keeper, some errors say
// that somebody else has done its work: they would be lies.
func (l *listing) errnos(s *step) []unix.Errno {
	list := slices.Clone(plausible[s.Call])
	if l.keeper() {
		list = slices.DeleteFunc(list, func(e unix.Errno) bool { return e == unix.ENOENT })
		if s.Call == "write" { // of a message
			return nil
		}
	}
	if list == nil {
		list = []unix.Errno{unix.EPERM, unix.EINVAL}
	}
	for _, e := range s.Errnos {
		if s.Purpose == "wait for start" && unix.Errno(e) == unix.ECONNRESET {
			continue // rt start has gone: it would be a lie
		}
		if e != anyErrno && !slices.Contains(list, unix.Errno(e)) {
			list = append(list, unix.Errno(e))
		}
	}
	return list
}

// instructions tries all instructions of the flows' programs.
func (r *report) instructions(w *world) error {
	flows, err := w.flows()
	if err != nil {
		return err
	}
	for _, f := range flows {
		if !r.wants("instructions/" + f.name) {
			continue
		}
		if err := f.begin(); err != nil {
			return err
		}
		programs, err := f.list()
		if err != nil {
			return err
		}
		for _, l := range programs {
			r.program(f, l)
		}
		f.bundle.sweep()
	}
	return nil
}

// chosen thins the trials out for the short form.
func (r *report) chosen(parts ...any) bool {
	if r.stride <= 1 {
		return true
	}
	h := fnv.New32a()
	fmt.Fprint(h, parts...)
	return h.Sum32()%uint32(r.stride) == 0
}

// program kills the program at each instruction that it comes to, and then makes each fail.
// Instructions that it does not come to are tried after a failure that leads there.
func (r *report) program(f *flow, l *listing) {
	// paths are the failures that lead to an instruction: none for those that are always
	// executed.
	paths, tested := map[int][]point{}, map[string]bool{}
	for i := range l.Steps {
		if s := &l.Steps[i]; s.fails() && r.chosen(f.name, l.command, l.Program, i) && r.halt(f, l, nil, i) {
			paths[i] = []point{}
		}
	}
	for i := range l.Steps {
		if path, ok := paths[i]; ok {
			r.failures(f, l, path, i)
		}
	}
	if r.stride > 1 {
		return
	}
	for range 3 { // a detour may begin on another
		found := false
		for i := range l.Steps {
			if _, ok := paths[i]; ok || !l.Steps[i].fails() {
				continue
			}
			for _, path := range l.detours(paths, i) {
				key := fmt.Sprint(path, i)
				if tested[key] {
					continue
				}
				if tested[key] = true; r.halt(f, l, path, i) {
					paths[i], found = path, true
					r.failures(f, l, path, i)
					break
				}
			}
		}
		if !found {
			break
		}
	}
	for i := range l.Steps {
		if _, ok := paths[i]; !ok && l.Steps[i].fails() {
			r.note(kindNever, fmt.Sprintf("%s, %s, program %d, instruction %d: %s (%s: %s)", f.name, f.commands[l.command][0], l.Program, i, l.Steps[i].Text, l.Steps[i].Source, l.Steps[i].Purpose))
		}
	}
}

// detours are failures after which the program may come to instruction i, the shortest
// ways first.
func (l *listing) detours(paths map[int][]point, i int) [][]point {
	type way struct {
		points []point
		length int
	}
	var ways []way
	add := func(from int, errno unix.Errno, target int) {
		if n := l.distance(paths, target, i); n >= 0 {
			ways = append(ways, way{append(slices.Clone(paths[from]), point{l.Program, from, errno}), n})
		}
	}
	for from := range l.Steps {
		s := &l.Steps[from]
		if path, ok := paths[from]; !ok || len(path) > 2 {
			continue
		}
		for _, e := range s.Errnos {
			errno := unix.Errno(e)
			if e == anyErrno {
				errno = unix.ENOENT
			}
			target := s.Target
			if target < 0 {
				target = from + 1
			}
			add(from, errno, target)
		}
		if !s.expects(unix.EXFULL) && len(paths[from]) == 0 && l.Fail >= 0 {
			add(from, unix.EXFULL, l.Fail)
		}
	}
	slices.SortStableFunc(ways, func(a, b way) int {
		return cmp.Or(cmp.Compare(a.length+20*len(a.points), b.length+20*len(b.points)))
	})
	const most = 4
	var list [][]point
	for _, w := range ways[:min(len(ways), most)] {
		list = append(list, w.points)
	}
	return list
}

// distance is the number of instructions from one to another along those that are not
// known to be reached, or -1.
func (l *listing) distance(paths map[int][]point, from, to int) int {
	seen, next := map[int]bool{from: true}, []int{from}
	for n := 0; len(next) > 0 && n < 60; n++ {
		var further []int
		for _, at := range next {
			if at == to {
				return n
			}
			s := &l.Steps[at]
			ends := []int{at + 1}
			switch {
			case s.Op == opJump:
				ends = []int{s.Target}
			case s.Op == opBranch || s.Op == opSyscall && s.Target >= 0:
				ends = append(ends, s.Target)
			}
			for _, end := range ends {
				if end >= 0 && end < len(l.Steps) && !seen[end] {
					seen[end] = true
					further = append(further, end)
				}
			}
		}
		next = further
	}
	return -1
}

// halt kills the program before instruction i, and tells whether it came there.
func (r *report) halt(f *flow, l *listing, path []point, i int) bool {
	in := injection{l.command, append(slices.Clone(path), point{l.Program, i, 0})}
	t := f.try(in)
	if !t.halted {
		if path == nil && t.failed >= 0 {
			r.problem(kindHalt, f.replay(in), "nothing failed, but: "+t.String())
		}
		return false
	}
	r.tried(kindHalt)
	r.judge(kindHalt, f.replay(in), t)
	return true
}

// judge checks what holds for all trials.
func (r *report) judge(kind, replay string, t trial) {
	wrong := t.broken()
	if t.halted && t.code == 128+int(unix.SIGKILL) { // the keeper
		wrong = ""
	}
	if wrong != "" {
		r.problem(kind, replay, wrong)
	}
	if t.left != nil {
		r.problem(kind, replay, "left behind: "+strings.Join(t.left, ", ")+" ("+t.String()+")")
	}
}

// failures makes an instruction fail in all plausible ways.
func (r *report) failures(f *flow, l *listing, path []point, i int) {
	s := &l.Steps[i]
	errnos := l.errnos(s)
	if (r.stride > 1 || len(path) > 0) && len(errnos) > 1 {
		errnos = errnos[:1]
	}
	for _, errno := range errnos {
		in := injection{l.command, append(slices.Clone(path), point{l.Program, i, errno})}
		t := f.try(in)
		r.tried(kindInstruction)
		r.judge(kindInstruction, f.replay(in), t)
		switch {
		case s.expects(errno):
			r.count(kindInstruction, map[bool]string{true: "another way succeeded", false: "another way failed"}[t.failed < 0])
		case l.Fail >= 0 && i >= l.Fail: // the report itself
			r.count(kindInstruction, "reported")
		default:
			if wrong := f.misreported(l, s, errno, t); wrong != "" {
				r.problem(kindInstruction, f.replay(in), fmt.Sprintf("%s: %s: %s", wrong, s.Text, t))
				continue
			}
			r.count(kindInstruction, "reported")
		}
	}
}

// unheard are what a created container's program does when create has ended and start has
// not begun: nobody listens. start finds a stopped container.
var unheard = []string{"wait for the parent's answer", "close the connection to rt create", "wait for start"}

// misreported tells what is missing in the report of a failure that the program does not
// expect.
func (f *flow) misreported(l *listing, s *step, errno unix.Errno, t trial) string {
	switch {
	case l.keeper():
		return "" // it may have ended in time
	case t.failed < 0 && f.commands[l.command][0] == "delete": // poststop hooks
		if !strings.Contains(t.message(), "hooks.poststop") {
			return "no warning"
		}
		return ""
	case t.failed < 0 && (s.Call == "clone" || s.Call == "clone3") && errno == unix.EAGAIN:
		return "" // exec tries once more, with another program
	case t.failed == 1 && l.command == 0 && slices.Contains(unheard, s.Purpose) &&
		(strings.Contains(t.message(), "cannot start a container that is stopped") || strings.Contains(t.message(), "ended before it could start")):
		return ""
	case t.failed != l.command && !(t.failed == 1 && l.command == 0): // start reports what create has made
		return "not reported"
	}
	wanted := []string{s.Source, s.Purpose, s.Call, errno.Error()}
	if s.Purpose == "exec" && s.Source == "" { // of a hook, whose path the message names
		wanted = []string{"hooks.", errno.Error()}
	}
	for _, word := range wanted {
		if !strings.Contains(t.message(), word) {
			return fmt.Sprintf("no %q in the message", word)
		}
	}
	return ""
}

// replay is how to try it again.
func (f *flow) replay(in injection) string {
	return fmt.Sprintf("bin/failures -only 'instructions/%s' -replay '%d %s'", f.name, in.command, in.env()[0])
}
