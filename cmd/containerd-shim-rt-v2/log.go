package main

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/containerd/log"
	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"
)

// sharedLog is the log of a shim that serves many pods. containerd reads what it logs from
// a fifo in each bundle for which it has started the shim: the log uses that of the
// newest bundle that is still there. A reader that is stuck, or gone, does not stop the
// shim. As standard error, the fifo has the trace of a crash, too.
type sharedLog struct {
	mu      sync.Mutex
	bundles []string
	current string
}

func newSharedLog(ctx context.Context) *sharedLog {
	l := new(sharedLog)
	_ = log.SetFormat(log.TextFormat) // as the shim package does
	logger := log.G(ctx).Logger
	if debug := flag.Lookup("debug"); debug != nil && debug.Value.String() == "true" {
		logger.SetLevel(logrus.DebugLevel)
	}
	logger.SetOutput(l)
	return l
}

// add is told of a bundle.
func (l *sharedLog) add(bundle string) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Contains(l.bundles, bundle) {
		l.bundles = append(l.bundles, bundle)
		l.use(bundle)
	}
}

// remove is told that a bundle is going.
func (l *sharedLog) remove(bundle string) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bundles = slices.DeleteFunc(l.bundles, func(b string) bool { return b == bundle })
	if l.current == bundle {
		l.find(nil)
	}
}

// Write writes a message to a bundle's fifo; without one that takes it, it is lost.
func (l *sharedLog) Write(message []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current == "" || !put(message) {
		l.find(message)
	}
	return len(message), nil
}

// find uses the newest bundle that takes a message, if there is one.
func (l *sharedLog) find(message []byte) {
	for _, bundle := range slices.Backward(l.bundles) {
		if l.use(bundle) && (message == nil || put(message)) {
			return
		}
	}
	if null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0); err == nil {
		_ = unix.Dup3(int(null.Fd()), unix.Stderr, 0)
		null.Close()
	}
	l.current = ""
}

// use makes a bundle's fifo the standard error.
func (l *sharedLog) use(bundle string) bool {
	fd, err := unix.Open(filepath.Join(bundle, "log"), unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false // ENXIO: nobody reads it
	}
	defer unix.Close(fd)
	if unix.Dup3(fd, unix.Stderr, 0) != nil {
		return false
	}
	l.current = bundle
	return true
}

// put writes a message that is taken at once, or not.
func put(message []byte) bool {
	n, err := unix.Write(unix.Stderr, message)
	return err == nil && n == len(message)
}
