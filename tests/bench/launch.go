package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// commandTimeout is far longer than any command needs; it catches commands that hang.
const commandTimeout = 30 * time.Second

// launcher starts identical commands: the same stdio, environment and directory.
type launcher struct {
	attr os.ProcAttr
	// stderr is a file: a container's process that inherits it cannot keep anybody
	// waiting.
	stderr *os.File
}

func newLauncher(dir string) (*launcher, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	stderr, err := os.OpenFile(filepath.Join(dir, "stderr"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		null.Close()
		return nil, err
	}
	return &launcher{
		attr: os.ProcAttr{
			Dir: dir,
			// Nothing of the caller's: runtimes react to variables such as NOTIFY_SOCKET.
			Env:   []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
			Files: []*os.File{null, null, stderr},
		},
		stderr: stderr,
	}, nil
}

func (l *launcher) close() {
	l.attr.Files[0].Close()
	l.stderr.Close()
}

// run returns the time from the fork to the end of a command, which must succeed.
func (l *launcher) run(argv []string) (time.Duration, error) {
	if err := l.stderr.Truncate(0); err != nil {
		return 0, err
	}
	began := time.Now()
	process, err := os.StartProcess(argv[0], argv, &l.attr)
	if err != nil {
		return 0, err
	}
	hung := time.AfterFunc(commandTimeout, func() { process.Kill() })
	state, err := process.Wait()
	elapsed := time.Since(began)
	inTime := hung.Stop()
	switch {
	case err != nil:
		return 0, err
	case !inTime:
		return 0, l.failure(argv, fmt.Sprintf("killed after %v", commandTimeout))
	case !state.Success():
		return 0, l.failure(argv, state.String())
	}
	return elapsed, nil
}

// failure describes how a command failed, with what it wrote to stderr.
func (l *launcher) failure(argv []string, how string) error {
	text, err := io.ReadAll(io.NewSectionReader(l.stderr, 0, 1<<16))
	if err != nil {
		text = []byte(err.Error())
	}
	if text = bytes.TrimSpace(text); len(text) == 0 {
		text = []byte("(nothing on stderr)")
	}
	return fmt.Errorf("%s: %s\n%s", strings.Join(argv, " "), how, text)
}
