package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// logger is a program that gets the output of a process: containerd's schemes
// binary:// and binary-v2://.
type logger struct {
	process *os.Process
	ended   chan struct{} // is closed when it has
}

// isLogger tells whether the scheme of an address is that of a logger.
func isLogger(scheme string) bool { return scheme == "binary" || scheme == readyScheme }

// readyScheme is that of loggers which say that they are ready: one that closes
// descriptor 5 without having written to it has failed.
const readyScheme = "binary-v2"

// startLogger starts the program, with the reading ends of stdout and stderr as
// descriptors 3 and 4, and waits until it closes descriptor 5. It returns the
// writing ends.
func startLogger(ctx context.Context, uri *url.URL, namespace, id string) (_ *logger, writers [2]*os.File, err error) {
	var theirs []*os.File
	defer func() {
		for _, f := range theirs {
			f.Close()
		}
		for _, f := range writers {
			if err != nil && f != nil {
				f.Close()
			}
		}
	}()
	cmd := exec.Command(uri.Path)
	query := uri.Query()
	for _, key := range slices.Sorted(maps.Keys(query)) {
		cmd.Args = append(cmd.Args, key, query.Get(key))
	}
	cmd.Env = []string{"CONTAINER_ID=" + id, "CONTAINER_NAMESPACE=" + namespace}
	for i := range writers {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, writers, err
		}
		theirs, writers[i] = append(theirs, r), w
	}
	ready, w, err := os.Pipe()
	if err != nil {
		return nil, writers, err
	}
	defer ready.Close()
	theirs = append(theirs, w)
	cmd.ExtraFiles = theirs
	if err := cmd.Start(); err != nil {
		return nil, writers, err
	}
	w.Close()
	l := &logger{cmd.Process, make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(l.ended)
	}()
	defer context.AfterFunc(ctx, func() { _ = ready.SetReadDeadline(time.Now()) })()
	_, err = ready.Read(make([]byte, 1))
	switch {
	case err != io.EOF:
	case uri.Scheme == readyScheme:
		err = errors.New("it closed descriptor 5, or exited, before it wrote to it")
	default:
		err = nil
	}
	if err != nil {
		_ = cmd.Process.Kill()
		<-l.ended
		return nil, writers, fmt.Errorf("the logger did not get ready: %w", err)
	}
	return l, writers, nil
}

// How long a logger may take to end: after its input has, and after SIGTERM.
const (
	loggerPatience = 2 * time.Second
	loggerTimeout  = 10 * time.Second
)

// end waits for the logger, which sees the end of its input when no process has
// the other ends any more.
func (l *logger) end() {
	term := time.AfterFunc(loggerPatience, func() { _ = l.process.Signal(unix.SIGTERM) })
	defer term.Stop()
	kill := time.AfterFunc(loggerPatience+loggerTimeout, func() { _ = l.process.Kill() })
	defer kill.Stop()
	<-l.ended
}
