package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer"
)

// manner is a way of using rt.
type manner struct {
	name   string
	weight int
	// script is that of the container's process; any if it is empty.
	script string
	// terminal: the container may have one. library: not by the command line. wrong: the
	// configuration gets a fault.
	terminal, library, wrong bool
	live                     func(l *lifecycle, ctx context.Context) error
}

// script is what the container's process does. ID becomes the container's name.
type script struct {
	name, text string
	ends       bool
	code       int
}

var scripts = []script{
	{"ends", "echo ID", true, 0},
	{"ends with 7", "echo ID; exit 7", true, 7},
	{"writes much", "echo ID; dd if=/dev/zero bs=1000 count=200 2>/dev/null", true, 0},
	{"leaves children", "(sleep 100000 &); echo ID", true, 0},
	{"sleeps", "echo ID; exec sleep 100000", false, 0},
	{"has children", "sleep 100000 & sleep 100000 & echo ID; wait", false, 0},
}

func scriptOf(name string) script {
	return scripts[slices.IndexFunc(scripts, func(s script) bool { return s.name == name })]
}

var manners []manner

// It refers to features, which refer to manners.
func init() {
	manners = []manner{
		{name: "run", weight: 4, live: (*lifecycle).run},
		{name: "run, rt killed", weight: 1, live: (*lifecycle).runKilled},
		{name: "run -d", weight: 3, terminal: true, live: (*lifecycle).runDetached},
		{name: "create and start", weight: 6, terminal: true, live: (*lifecycle).createAndStart},
		{name: "never started", weight: 1, terminal: true, live: (*lifecycle).neverStarted},
		{name: "create killed", weight: 2, live: (*lifecycle).createKilled},
		{name: "create interrupted", weight: 1, live: (*lifecycle).createInterrupted},
		{name: "another command killed", weight: 2, script: "sleeps", live: (*lifecycle).otherKilled},
		{name: "wrong configuration", weight: 2, wrong: true, live: (*lifecycle).wrong},
		{name: "library, Run", weight: 2, terminal: true, library: true, live: (*lifecycle).libraryRun},
		{name: "library, Create", weight: 3, terminal: true, library: true, live: (*lifecycle).libraryCreate},
		{name: "library, cancelled", weight: 1, library: true, live: (*lifecycle).libraryCancelled},
		{name: "library, wrong configuration", weight: 1, library: true, wrong: true, live: (*lifecycle).libraryWrong},
	}
}

// create is the command line of create or run, as an engine gives it.
func (l *lifecycle) create(command ...string) ([]string, error) {
	args := append(append([]string{"--log", l.logFile(), "--log-format", "json"}, command...), "--bundle", l.bundle, "--pid-file", l.pidFile())
	args = append(args, l.flags...)
	if l.spec.Process.Terminal {
		var err error
		if l.console, err = listen(filepath.Join(l.dir, "console")); err != nil {
			return nil, err
		}
		args = append(args, "--console-socket", l.console.path)
	}
	return append(args, l.id), nil
}

func (l *lifecycle) run(context.Context) error {
	if !l.script.ends {
		return l.runKilledByRt()
	}
	out, code, err := l.rt("run", "--bundle", l.bundle, l.id)
	if err != nil {
		return err
	}
	if code != l.script.code || !strings.HasPrefix(out, l.id+"\n") {
		said, _ := l.said()
		return fmt.Errorf("run: exit status %d, want %d; %.100q; %s", code, l.script.code, out, said)
	}
	return nil
}

// runKilledByRt ends a container that is run in the foreground by rt kill.
func (l *lifecycle) runKilledByRt() error {
	ended := make(chan error, 1)
	go func() {
		_, code, err := l.rt("run", "--bundle", l.bundle, l.id)
		if err == nil && code != 128+int(syscall.SIGKILL) {
			err = fmt.Errorf("run of a killed container: exit status %d", code)
		}
		ended <- err
	}()
	// It is another lifecycle's view of the same container, with its own files.
	other := *l.w.places[0]
	other.dir, other.root = filepath.Join(l.dir, "other"), l.root
	if err := os.Mkdir(other.dir, 0o700); err != nil {
		return err
	}
	defer os.RemoveAll(other.dir)
	k := &lifecycle{place: &other, w: l.w, id: l.id}
	// A container is running shortly before its process executes the command. If it is killed
	// between, run fails with another message.
	err := errors.Join(l.awaitOutput(), k.is(libcontainer.Running))
	if err == nil {
		_, err = k.ok("kill", l.id, "KILL")
	}
	if err != nil {
		_, _, _ = k.rt("delete", "--force", l.id)
	}
	return errors.Join(err, <-ended)
}

// awaitOutput waits until the container's process has written its name.
func (l *lifecycle) awaitOutput() error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if text, _ := os.ReadFile(l.outFile()); strings.HasPrefix(string(text), l.id) {
			return nil
		}
	}
	return errors.New("the container writes nothing")
}

// is checks the status.
func (l *lifecycle) is(want specs.ContainerState) error {
	out, err := l.ok("state", l.id)
	if err != nil {
		return err
	}
	var state specs.State
	if err := json.Unmarshal([]byte(out), &state); err != nil || state.Status != want || state.ID != l.id {
		return fmt.Errorf("state: %s, want %s (%w)", out, want, err)
	}
	return nil
}

func (l *lifecycle) runDetached(context.Context) error {
	args, err := l.create("run", "--detach")
	if err != nil {
		return err
	}
	if _, err := l.ok(args...); err != nil {
		return err
	}
	return l.started()
}

func (l *lifecycle) createAndStart(context.Context) error {
	if err := l.created(); err != nil {
		return err
	}
	if l.chance(0.5) {
		if err := l.is(libcontainer.Created); err != nil {
			return err
		}
	}
	if _, err := l.ok("start", l.id); err != nil {
		return err
	}
	return l.started()
}

func (l *lifecycle) created() error {
	args, err := l.create("create")
	if err != nil {
		return err
	}
	if _, err := l.ok(args...); err != nil {
		return err
	}
	return l.readPid()
}

// started does some things with a running container, and ends it.
func (l *lifecycle) started() error {
	if err := l.readPid(); err != nil {
		return err
	}
	if l.console != nil {
		if err := l.console.shows(l.id); err != nil {
			return err
		}
	}
	if l.script.ends {
		return l.endByItself()
	}
	for range l.rng.IntN(4) {
		if err := l.operate(); err != nil {
			return err
		}
	}
	return l.end()
}

func (l *lifecycle) neverStarted(context.Context) error {
	if err := l.created(); err != nil {
		return err
	}
	if l.chance(0.5) {
		_, err := l.ok("delete", "--force", l.id)
		return err
	}
	if _, err := l.ok("kill", l.id, "KILL"); err != nil {
		return err
	}
	if !l.reap() {
		return errors.New("a killed container that was never started lives on")
	}
	_, err := l.ok("delete", l.id)
	return err
}

// moment is a random time within the life of a command.
func (l *lifecycle) moment() time.Duration {
	return time.Duration(l.rng.Int64N(int64(12 * time.Millisecond))).Round(10 * time.Microsecond)
}

// cleared deletes by force what a harmed command may have left.
func (l *lifecycle) cleared() error {
	if l.pid == 0 && exists(l.pidFile()) {
		// It may have been written in part.
		_ = l.readPid()
	}
	_, err := l.ok("delete", "--force", l.id)
	return err
}

func (l *lifecycle) runKilled(context.Context) error {
	_, _, err := l.harmed(&harm{syscall.SIGKILL, l.moment()}, "run", "--bundle", l.bundle, "--pid-file", l.pidFile(), l.id)
	if !l.script.ends || l.chance(0.5) {
		return errors.Join(err, l.cleared())
	}
	// Perhaps it ends in the middle of this.
	time.Sleep(l.moment())
	return errors.Join(err, l.cleared())
}

func (l *lifecycle) createKilled(context.Context) error { return l.createHarmed(syscall.SIGKILL) }

func (l *lifecycle) createInterrupted(context.Context) error {
	if l.chance(0.5) {
		return l.createHarmed(syscall.SIGINT)
	}
	return l.createHarmed(syscall.SIGTERM)
}

func (l *lifecycle) createHarmed(signal syscall.Signal) error {
	args, err := l.create("create")
	if err != nil {
		return err
	}
	if _, _, err := l.harmed(&harm{signal, l.moment()}, args...); err != nil {
		return err
	}
	return l.cleared()
}

// otherKilled kills rt while it starts, executes, kills or deletes.
func (l *lifecycle) otherKilled(context.Context) error {
	if err := l.created(); err != nil {
		return err
	}
	h := &harm{syscall.SIGKILL, l.moment() / 3}
	commands := [][]string{
		{"start", l.id}, {"exec", l.id, "/bin/true"}, {"pause", l.id}, {"kill", l.id, "KILL"}, {"delete", "--force", l.id}, {"state", l.id},
	}
	harmed := l.rng.IntN(len(commands))
	for i, command := range commands[:harmed+1] {
		// exec works in a created container, too: the first is left out now and then.
		if i != harmed && (i > 0 || l.chance(0.3)) {
			continue
		}
		use := h
		if i != harmed {
			use = nil
		}
		if _, _, err := l.harmed(use, command...); err != nil {
			return err
		}
	}
	return l.cleared()
}

// wrong makes a container that rt has to refuse.
func (l *lifecycle) wrong(context.Context) error {
	refuses := func(args ...string) error {
		_, code, err := l.rt(args...)
		if err != nil {
			return err
		}
		said, err := l.said()
		if code == 0 || !strings.Contains(said, l.refused) {
			return errors.Join(err, fmt.Errorf("rt %s: exit status %d, and says %q, not %q", strings.Join(args, " "), code, said, l.refused))
		}
		return err
	}
	if l.chance(0.5) {
		if err := refuses("run", "--bundle", l.bundle, l.id); err != nil {
			return err
		}
		return l.checkOwn()
	}
	args, err := l.create("create")
	if err != nil {
		return err
	}
	if l.early {
		// Nothing may be left without anybody's deleting it.
		return refuses(args...)
	}
	if err := l.created(); err != nil {
		return err
	}
	if err := refuses("start", l.id); err != nil {
		return err
	}
	return l.cleared()
}
