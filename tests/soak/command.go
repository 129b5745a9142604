package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// patience is longer than any command takes.
const patience = 30 * time.Second

// harm is a signal that a command gets some time after its start.
type harm struct {
	signal syscall.Signal
	after  time.Duration
}

// rt runs rt and returns its output and its exit status: -1 if a signal ended it.
func (l *lifecycle) rt(args ...string) (out string, code int, err error) {
	return l.harmed(nil, args...)
}

// harmed runs rt, and harms it meanwhile. The output goes to files: a container may keep it open.
func (l *lifecycle) harmed(h *harm, args ...string) (out string, code int, err error) {
	// The file of the command before may be the output of a container that still writes.
	_ = os.Remove(l.outFile())
	stdout, err := os.Create(l.outFile())
	if err != nil {
		return "", 0, err
	}
	defer stdout.Close()
	_ = os.Remove(l.errFile())
	stderr, err := os.Create(l.errFile())
	if err != nil {
		return "", 0, err
	}
	defer stderr.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if l.root != "/run/rt" {
		args = append([]string{"--root", l.root}, args...)
	}
	cmd := exec.CommandContext(ctx, l.w.program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = l.dir, stdout, stderr
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	if err := cmd.Start(); err != nil {
		return "", 0, err
	}
	if h != nil {
		l.killed = l.killed || h.signal == syscall.SIGKILL
		timer := time.AfterFunc(h.after, func() { _ = cmd.Process.Signal(h.signal) })
		defer timer.Stop()
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if ctx.Err() != nil {
		return "", 0, fmt.Errorf("rt %s: killed after %v", strings.Join(args, " "), patience)
	}
	if err != nil && !errors.As(err, &exit) {
		return "", 0, err
	}
	said, err := l.said()
	text, err2 := os.ReadFile(l.outFile())
	code = cmd.ProcessState.ExitCode()
	how := ""
	if h != nil {
		how = fmt.Sprintf(", %v after %v", h.signal, h.after)
	}
	fmt.Fprintf(&l.log, "  rt %s%s: exit status %d %s\n", strings.Join(args, " "), how, code, strings.TrimSpace(said))
	return string(text), code, errors.Join(err, err2)
}

// said is what the last command complained about, on stderr and in its log.
func (l *lifecycle) said() (string, error) {
	text, err := os.ReadFile(l.errFile())
	log, _ := os.ReadFile(l.logFile())
	return string(text) + string(log), err
}

// ok runs rt, which must succeed.
func (l *lifecycle) ok(args ...string) (string, error) {
	out, code, err := l.rt(args...)
	if err == nil && code != 0 {
		said, _ := l.said()
		err = fmt.Errorf("rt %s: exit status %d: %s", strings.Join(args, " "), code, said)
	}
	return out, err
}

// readPid reads the pid file. It stays unknown if there is none.
func (l *lifecycle) readPid() error {
	text, err := os.ReadFile(l.pidFile())
	if err != nil {
		return err
	}
	l.pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
	return err
}

// console receives the terminal of a container.
type console struct {
	path     string
	listener *net.UnixListener
	master   chan *os.File
	got      *os.File
}

func listen(path string) (*console, error) {
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	c := &console{path: path, listener: listener, master: make(chan *os.File, 1)}
	go c.accept()
	return c, nil
}

func (c *console) accept() {
	defer close(c.master)
	conn, err := c.listener.AcceptUnix()
	if err != nil {
		return
	}
	defer conn.Close()
	buffer, oob := make([]byte, 4096), make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := conn.ReadMsgUnix(buffer, oob)
	if err != nil {
		return
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(messages) == 0 {
		return
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) == 0 {
		return
	}
	c.master <- pollable(fds[0])
}

// pollable is a terminal on which reading can have a deadline.
func pollable(fd int) *os.File {
	_ = unix.SetNonblock(fd, true)
	return os.NewFile(uintptr(fd), "master")
}

// shows waits until a text appears on the terminal.
func (c *console) shows(text string) error {
	if c.got == nil {
		select {
		case c.got = <-c.master:
		case <-time.After(patience):
		}
		if c.got == nil {
			return errors.New("no terminal came through the console socket")
		}
	}
	if err := c.got.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	var seen strings.Builder
	buffer := make([]byte, 4096)
	for !strings.Contains(seen.String(), text) {
		n, err := c.got.Read(buffer)
		seen.Write(buffer[:n])
		// EIO is the end of a terminal that nobody has open any more.
		if err != nil && !strings.Contains(seen.String(), text) {
			return fmt.Errorf("the terminal shows %q, not %q: %w", seen.String(), text, err)
		}
	}
	return nil
}

func (c *console) close() {
	if c.listener != nil {
		c.listener.Close()
	}
	if c.listener != nil {
		// Without it nobody sends any more.
		for file := range c.master {
			file.Close()
		}
	}
	if c.got != nil {
		c.got.Close()
	}
	_ = os.Remove(c.path)
}
