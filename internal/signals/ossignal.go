//go:build os_signal

package signals

import (
	"os"
	"os/signal"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// Caught are the forwarded signals that wait.
type Caught struct{ *waiting }

type waiting struct {
	arriving chan os.Signal

	mu     sync.Mutex
	target int // a pidfd, or -1
	came   []unix.Signal
}

// Catch makes the forwarded signals wait for SendTo or Release.
func Catch() (Caught, error) {
	w := &waiting{arriving: make(chan os.Signal, 128), target: -1}
	signal.Notify(w.arriving, Forwarded...)
	go func() {
		for s := range w.arriving {
			w.take(s.(unix.Signal))
		}
	}()
	return Caught{w}, nil
}

func (w *waiting) take(s unix.Signal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.target < 0 {
		w.came = append(w.came, s)
		return
	}
	_ = unix.PidfdSendSignal(w.target, s, nil, 0)
}

// Terminating returns a signal that asks rt to end and waits for a process, or 0.
func (c Caught) Terminating() unix.Signal {
	if c.waiting == nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.came {
		if slices.Contains(terminating, s) {
			return s
		}
	}
	return 0
}

// SendTo sends the signals that have arrived, and those that will arrive, to the process
// that pidfd refers to. If pidfd is -1, they wait.
func (c Caught) SendTo(pidfd int) {
	c.mu.Lock()
	c.target = pidfd
	came := c.came
	c.came = nil
	c.mu.Unlock()
	for _, s := range came {
		c.take(s)
	}
}

// Release sends the signals to the channel: those that have arrived and those that will.
func (c Caught) Release(signals chan os.Signal) {
	// First, or a signal that arrives in between would be lost.
	signal.Notify(signals, Forwarded...)
	if c.waiting == nil {
		return
	}
	signal.Stop(c.arriving)
	close(c.arriving)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.came {
		signals <- s
	}
}
