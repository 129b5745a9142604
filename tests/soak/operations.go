package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer"
	"golang.org/x/sys/unix"
)

// operations are what can be done with a running container, by the command line.
var operations = []struct {
	name string
	do   func(l *lifecycle) error
}{
	{"exec", func(l *lifecycle) error { return l.exec("/bin/true") }},
	{"exec that fails", func(l *lifecycle) error {
		_, code, err := l.rt("exec", l.id, "/bin/sh", "-c", "exit 3")
		if err == nil && code != 3 {
			err = fmt.Errorf("exec: exit status %d, want 3", code)
		}
		return err
	}},
	{"exec of what does not exist", func(l *lifecycle) error {
		_, code, err := l.rt("exec", l.id, "/bin/nosuch")
		if said, _ := l.said(); err == nil && (code == 0 || !strings.Contains(said, "nosuch")) {
			err = fmt.Errorf("exec: exit status %d, and says %q", code, said)
		}
		return err
	}},
	{"exec -d", func(l *lifecycle) error { _, err := l.ok("exec", "--detach", l.id, "/bin/sleep", "100000"); return err }},
	{"exec -p", func(l *lifecycle) error {
		data, err := json.Marshal(&specs.Process{Args: []string{"/bin/id"}, Cwd: "/", Env: []string{"PATH=/bin"}, NoNewPrivileges: true})
		if err != nil {
			return err
		}
		if err := os.WriteFile(l.processFile(), data, 0o600); err != nil {
			return err
		}
		out, err := l.ok("exec", "--process", l.processFile(), l.id)
		if err == nil && !strings.Contains(out, "uid=0") {
			err = fmt.Errorf("exec -p: %q", out)
		}
		return err
	}},
	{"pause and resume", func(l *lifecycle) error {
		if _, err := l.ok("pause", l.id); err != nil {
			return err
		}
		if err := l.is(libcontainer.Paused); err != nil {
			return err
		}
		if _, err := l.ok("resume", l.id); err != nil {
			return err
		}
		return l.is(libcontainer.Running)
	}},
	{"state", func(l *lifecycle) error { return l.is(libcontainer.Running) }},
	{"list", func(l *lifecycle) error {
		out, err := l.ok("list", "--quiet")
		if err == nil && !strings.Contains(out, l.id) {
			err = fmt.Errorf("list: %q", out)
		}
		return err
	}},
	{"ps", func(l *lifecycle) error { _, err := l.ok("ps", l.id); return err }},
	{"events", func(l *lifecycle) error { _, err := l.ok("events", "--stats", l.id); return err }},
	{"update", func(l *lifecycle) error {
		if !l.w.controllers {
			return nil
		}
		_, err := l.ok("update", "--pids-limit", "200", "--cpu-share", "300", l.id)
		return err
	}},
	{"harmless signal", func(l *lifecycle) error { _, err := l.ok("kill", l.id, "CONT"); return err }},
}

func (l *lifecycle) exec(args ...string) error {
	_, err := l.ok(append([]string{"exec", l.id}, args...)...)
	return err
}

func (l *lifecycle) operate() error {
	operation := operations[l.rng.IntN(len(operations))]
	l.drawn = append(l.drawn, operation.name)
	if err := operation.do(l); err != nil {
		return fmt.Errorf("%s: %w", operation.name, err)
	}
	return nil
}

// endByItself waits for a process that ends, and deletes the container.
func (l *lifecycle) endByItself() error {
	if !l.reap() {
		return errors.New("the container's process does not end")
	}
	if !l.status.Exited() || l.status.ExitStatus() != l.script.code {
		return fmt.Errorf("the container's process ended with %#x, not with status %d", l.status, l.script.code)
	}
	if l.chance(0.3) {
		if err := l.is(libcontainer.Stopped); err != nil {
			return err
		}
	}
	args := []string{"delete", l.id}
	if l.chance(0.3) {
		args = []string{"delete", "--force", l.id}
	}
	_, err := l.ok(args...)
	return err
}

// end ends a container that does not end by itself, and deletes it.
func (l *lifecycle) end() error {
	var how string
	var kill func() error
	command := func(args ...string) func() error {
		return func() error { _, err := l.ok(args...); return err }
	}
	switch l.rng.IntN(6) {
	case 0:
		how, kill = "rt kill", command("kill", l.id, "KILL")
	case 1:
		how, kill = "rt kill --all", command("kill", "--all", l.id, "9")
	case 2:
		how, kill = "kill -9 of the process", func() error { return unix.Kill(l.pid, syscall.SIGKILL) }
	case 3:
		l.drawn = append(l.drawn, "delete -f")
		_, err := l.ok("delete", "--force", l.id)
		return err
	case 4:
		l.drawn = append(l.drawn, "delete -f of a paused container")
		if _, err := l.ok("pause", l.id); err != nil {
			return err
		}
		_, err := l.ok("delete", "--force", l.id)
		return err
	case 5:
		l.drawn = append(l.drawn, "delete -f without the configuration")
		config := filepath.Join(l.bundle, "config.json")
		if err := os.Rename(config, config+".away"); err != nil {
			return err
		}
		_, err := l.ok("delete", "--force", l.id)
		return errors.Join(err, os.Rename(config+".away", config))
	}
	l.drawn = append(l.drawn, how)
	if err := kill(); err != nil {
		return fmt.Errorf("%s: %w", how, err)
	}
	if !l.reap() {
		return fmt.Errorf("%s: the container's process does not end", how)
	}
	if err := l.is(libcontainer.Stopped); err != nil {
		return err
	}
	_, err := l.ok("delete", l.id)
	return err
}
