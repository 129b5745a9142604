package engines

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func goarch() string { return runtime.GOARCH }

func digest(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }

// engine is a running engine with the runtime that it uses.
type engine struct {
	kind string // docker, podman or containerd
	// title is the engine's column in the table.
	title string
	// runtime is what the engine calls the runtime.
	runtime string
	// client is the command of the engine's client.
	client []string
	env    []string
	// cgroup is the name of the cgroup that contains those of the containers.
	cgroup string
	// control is a runtime to compare rt with. The table shows what fails there.
	control bool
	// hasty is ctr or the current Docker with runc's shim. It waits for ever for an input
	// that ends before the task is made, loses output that arrives right before the end,
	// and reports a quick end before the start.
	hasty bool
	// noise is what the client logs of its own troubles.
	noise *regexp.Regexp
	// rootless is an engine of a user who may make no cgroups.
	rootless bool
	// dir is for files of the test.
	dir string
	// restart ends the daemon and starts it again. The daemon belongs to the whole test, t
	// to a part.
	restart func(t testing.TB)
}

// pause ends a script whose output must not be lost.
func (e *engine) pause() string {
	if e.hasty {
		return "; sleep 1"
	}
	return ""
}

const patience = 60 * time.Second

// command is a command of the engine's client.
func (e *engine) command(ctx context.Context, args ...string) *exec.Cmd {
	args = append(slices.Clone(e.client), args...)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), e.env...)
	cmd.WaitDelay = time.Second
	return cmd
}

// try runs a command of the client, with an input.
func (e *engine) try(t testing.TB, input string, args ...string) (out string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := e.command(ctx, args...)
	cmd.Stdin = strings.NewReader(input)
	if e.hasty && input != "" {
		r, w := io.Pipe()
		cmd.Stdin = r
		go func() {
			_, _ = io.WriteString(w, input)
			time.Sleep(2 * time.Second)
			w.Close()
		}()
	}
	data, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("%q has not ended after %v: %s", args, patience, data)
	}
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%q: %v", args, err)
	}
	if e.noise != nil {
		data = e.noise.ReplaceAll(data, nil)
	}
	return strings.TrimSpace(strings.ReplaceAll(string(data), "\r\n", "\n")), cmd.ProcessState.ExitCode()
}

// ok runs a command that must succeed.
func (e *engine) ok(t testing.TB, args ...string) string {
	t.Helper()
	out, code := e.try(t, "", args...)
	if code != 0 {
		t.Fatalf("%q: exit status %d: %s", args, code, out)
	}
	return out
}

// exits runs a command that must end with a status.
func (e *engine) exits(t testing.TB, code int, args ...string) string {
	t.Helper()
	out, got := e.try(t, "", args...)
	if got != code {
		t.Fatalf("%q: exit status %d, not %d: %s", args, got, code, out)
	}
	return out
}

func equal(t testing.TB, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%q, not %q", got, want)
	}
}

func contains(t testing.TB, got string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
}

// eventually repeats a check until it holds.
func eventually(t testing.TB, what string, check func() bool) {
	t.Helper()
	for end := time.Now().Add(patience / 2); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if check() {
			return
		}
	}
	t.Fatalf("it does not come about: %s", what)
}

// onTerminal runs a command on a pseudo terminal.
func (e *engine) onTerminal(t *testing.T, input string, args ...string) (out string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	line := e.command(ctx, args...).Args
	for i, word := range line {
		line[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	cmd := exec.CommandContext(ctx, "script", "-qec", "stty rows 33 cols 111; exec "+strings.Join(line, " "), "/dev/null")
	cmd.Env = append(os.Environ(), append(e.env, "SHELL=/bin/sh")...)
	stdin, err := cmd.StdinPipe()
	must(t, err)
	var b strings.Builder
	cmd.Stdout, cmd.Stderr = &b, &b
	must(t, cmd.Start())
	// A person types when the prompt is there.
	time.AfterFunc(2*time.Second, func() { _, _ = stdin.Write([]byte(input)) })
	_ = cmd.Wait()
	if ctx.Err() != nil {
		t.Fatalf("%q has not ended after %v: %s", args, patience, b.String())
	}
	return b.String(), cmd.ProcessState.ExitCode()
}

// daemon starts a program that serves until it is stopped.
func daemon(t testing.TB, log string, env []string, ready func() bool, args ...string) (stop func()) {
	t.Helper()
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	must(t, err)
	defer f.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = f, f
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	must(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
	})
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		select {
		case <-ended:
			data, _ := os.ReadFile(log)
			t.Fatalf("%s has ended: %s", args[0], data)
		default:
		}
		if ready() {
			return stop
		}
	}
	stop()
	data, _ := os.ReadFile(log)
	t.Fatalf("%s does not get ready: %s", args[0], data)
	return nil
}

// serve starts the engine's daemon. What it returns stops the one that runs then.
func (e *engine) serve(t testing.TB, start func(testing.TB) (stop func())) (stop func()) {
	t.Helper()
	current := start(t)
	e.restart = func(t testing.TB) {
		current()
		current = start(t)
	}
	return func() { current() }
}

// load makes an image and lets a command of the client take its file.
func (e *engine) load(t testing.TB, tag string, program []string, command ...string) {
	t.Helper()
	tar := filepath.Join(e.dir, "image.tar")
	writeImage(t, tar, tag, program)
	e.ok(t, append(command, tar)...)
}

// scenario is something that people do with an engine.
type scenario struct {
	name string
	run  func(t *testing.T, e *engine)
	// root is true if an ordinary user without cgroups cannot do it.
	root bool
	// only names the kinds of engines that can do it, if not all.
	only []string
}

// run runs scenarios on an engine, and checks what they left behind.
func (e *engine) run(t *testing.T, scenarios []scenario) {
	for _, s := range scenarios {
		if s.only != nil && !slices.Contains(s.only, e.kind) || s.root && e.rootless {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			defer func() { results.add(s.name, e, !t.Failed()) }()
			s.run(t, e)
		})
	}
}

// table is the results by scenario and engine.
type table struct {
	mu                 sync.Mutex
	scenarios, engines []string
	passed             map[[2]string]bool
	failed             bool // with rt
}

var results = table{passed: map[[2]string]bool{}}

func (r *table) add(scenario string, e *engine, passed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	engine := e.title
	r.failed = r.failed || !passed && !e.control
	if !slices.Contains(r.scenarios, scenario) {
		r.scenarios = append(r.scenarios, scenario)
	}
	if !slices.Contains(r.engines, engine) {
		r.engines = append(r.engines, engine)
	}
	r.passed[[2]string{scenario, engine}] = passed
}

// Marks of the table of results in its file.
const (
	tableBegin = "<!-- results: make engines-table -->\n"
	tableEnd   = "<!-- end of results -->"
)

const (
	passedCell = "✓"
	failedCell = "**fails**"
)

// write updates the table in a file: results of scenarios that did not run stay.
func (r *table) write(path string) error {
	if len(r.scenarios) == 0 {
		return nil
	}
	if err := r.readOthers(path); err != nil {
		return err
	}
	var b strings.Builder
	version, err := exec.Command(filepath.Join(*binaries, "rt"), "--version").Output()
	if err != nil {
		return err
	}
	commit := strings.TrimPrefix(strings.Split(string(version), "\n")[1], "commit: ")
	fmt.Fprintf(&b, "Last run on %s with rt %.12s.\n\n", time.Now().UTC().Format(time.DateOnly), commit)
	fmt.Fprintf(&b, "| scenario | %s |\n|---|%s\n", strings.Join(r.engines, " | "), strings.Repeat("---|", len(r.engines)))
	for _, s := range r.scenarios {
		fmt.Fprintf(&b, "| %s |", s)
		for _, e := range r.engines {
			cell := ""
			if passed, ran := r.passed[[2]string{s, e}]; ran {
				cell = map[bool]string{true: passedCell, false: failedCell}[passed]
			}
			fmt.Fprintf(&b, " %s |", cell)
		}
		b.WriteString("\n")
	}
	return replaceBetween(path, tableBegin, tableEnd, b.String())
}

// readOthers takes over the results in the file of what did not run now.
func (r *table) readOthers(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(data), tableBegin)
	text, _, _ := strings.Cut(rest, tableEnd)
	var scenarios, engines []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "|") {
			continue // when it was run
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case engines == nil:
			engines = cells[1:]
			continue
		case strings.HasPrefix(cells[0], "---"):
			continue
		}
		scenarios = append(scenarios, cells[0])
		for i, cell := range cells[1:] {
			key := [2]string{cells[0], engines[i]}
			if _, ran := r.passed[key]; !ran && cell != "" {
				r.passed[key] = cell == passedCell
			}
		}
	}
	r.scenarios, r.engines = union(scenarios, r.scenarios), union(engines, r.engines)
	return nil
}

func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}

// replaceBetween replaces what is between two marks in a file.
func replaceBetween(path, begin, end, text string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(data), begin)
	_, after, foundEnd := strings.Cut(rest, end)
	if !found || !foundEnd {
		return fmt.Errorf("%s: no marks for the table: %s", path, begin)
	}
	return os.WriteFile(path, []byte(before+begin+text+end+after), 0o644)
}

// binary is the path of one of rt's programs.
func binary(t testing.TB, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(*binaries, name))
	must(t, err)
	_, err = os.Stat(path)
	must(t, err)
	return path
}

// ownNamespace is the test's namespace of a type, as a link of /proc shows it.
func ownNamespace(t *testing.T, kind string) string {
	t.Helper()
	link, err := os.Readlink("/proc/self/ns/" + kind)
	must(t, err)
	return link
}

// parent is the pid of a process's parent.
func parent(t testing.TB, pid string) string {
	t.Helper()
	status, err := os.ReadFile("/proc/" + pid + "/status")
	must(t, err)
	_, rest, _ := strings.Cut(string(status), "PPid:")
	return strings.Fields(rest)[0]
}
