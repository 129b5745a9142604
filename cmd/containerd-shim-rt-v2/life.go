package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/pkg/shim"
	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// How long the shim waits, without a container, for the first one, and for Shutdown after
// the last one. containerd asks for both at once; if it was killed, or its client as it
// waited for an answer, it may never ask, and containerd 1.6 keeps the id until the shim
// is gone.
const (
	createPatience   = time.Minute
	shutdownPatience = 5 * time.Second
	// joinPatience is how long it waits for a pod whose start has asked for its version.
	joinPatience = 10 * time.Second
)

// answerCheck is how often the shim of a pod that is gone looks whether containerd has
// had its answer.
const answerCheck = 20 * time.Millisecond

// sharedEnv is the variable that has the address of a shim that is not the first
// bundle's: it serves all pods of a namespace of containerd.
const sharedEnv = "RT_SHIM_SHARED"

// life tells when the shim ends. It is guarded by the mutex of the service.
type life struct {
	// address is the shim's socket. If all pods share the shim, it is the guard's, and the
	// shim itself serves that of the worker.
	address, worker string
	shared          bool
	// expected is until when somebody may come who has asked for the shim's version.
	expected time.Time
	// ending is true when nobody can come any more.
	ending bool
}

// ownLife finds the shim's socket, and removes it when the shim ends. The bundle, the
// working directory, may be gone by then.
func (s *service) ownLife() {
	if s.life.address = os.Getenv(sharedEnv); s.life.address != "" {
		s.life.shared, s.life.worker = true, os.Getenv(workerEnv)
		os.Unsetenv(sharedEnv) // they are nothing for hooks and loggers
		os.Unsetenv(workerEnv)
		s.log, s.keeper = newSharedLog(s.ctx), &keeper{fd: workerStore}
		// As it would be called if it had been executed by its name.
		_ = os.WriteFile("/proc/self/comm", []byte(filepath.Base(os.Args[0])), 0)
	}
	if address, err := shim.ReadAddress(addressFile); err == nil && !s.life.shared {
		s.life.address = address
	}
	s.end.RegisterCallback(func(context.Context) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.life.ending { // a signal ends it
			s.removeSocket()
		}
		return nil
	})
}

// expect is told that somebody wants to use the shim. It fails if that is too late.
func (s *service) expect() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.life.expected = time.Now().Add(joinPatience)
	return s.stays()
}

// stays fails if the shim is ending.
func (s *service) stays() error {
	if s.life.ending {
		return fmt.Errorf("this shim is ending: %w", errdefs.ErrUnavailable)
	}
	return nil
}

// endUnused ends the shim if it has neither a container nor a pod. A shared one stays as
// long as somebody is connected: it may be for a pod that is about to come.
func (s *service) endUnused() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.containers) > 0 || len(s.sandboxes) > 0 || s.life.ending {
		return
	}
	if s.life.shared {
		if left := time.Until(s.life.expected); left > 0 || connections(s.life.worker) > 0 {
			s.idle.Reset(max(left, shutdownPatience))
			return
		}
	}
	s.life.ending = true
	s.removeSocket() // before another shim makes it anew
	s.end.Shutdown()
}

func (s *service) removeSocket() {
	switch {
	case s.life.shared:
		// In this order: as soon as the first one is gone, another guard may make both.
		_ = os.Remove(s.life.worker)
		_ = shim.RemoveSocket(s.life.address)
	case s.life.address != "":
		removeAddress(".", s.life.address)
	}
}

// endAnswered ends the shim of a pod that is gone as soon as containerd has its answer,
// which it would not get from a shim that ends at once.
func (s *service) endAnswered() {
	go func() {
		for until := time.Now().Add(shutdownPatience); time.Now().Before(until) && connections(s.life.address) > 0; {
			time.Sleep(answerCheck)
		}
		s.endUnused()
	}()
}

// connections counts the connections of others to the shim's socket.
func connections(address string) int {
	fds, _ := os.ReadDir("/proc/self/fd")
	n := 0
	for _, entry := range fds {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		name, err := unix.Getsockname(fd)
		if err != nil {
			continue
		}
		own, ok := name.(*unix.SockaddrUnix)
		if !ok || own.Name == "" || own.Name != strings.TrimPrefix(address, "unix://") {
			continue
		}
		if listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err == nil && listens == 0 {
			n++
		}
	}
	return n
}
