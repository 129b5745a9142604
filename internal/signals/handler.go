//go:build !os_signal

package signals

import (
	"math/bits"
	"os"
	"os/signal"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

var (
	// target is the pidfd to which the handler sends signals, or -1.
	target int64 = -1
	// received are the signals that were not sent to anybody yet: bit n is signal n.
	received uint64
)

// handler returns the addresses of the handler and of its return code. Only the kernel
// calls them.
func handler() (signalled, restore uintptr)

// sigaction is the kernel's struct sigaction on amd64 and arm64.
type sigaction struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

const (
	sigIgn     = 1
	saRestorer = 0x04000000
	saOnStack  = 0x08000000
	saRestart  = 0x10000000
)

// rtSigaction changes what a signal does: sigaction(2).
func rtSigaction(s unix.Signal, action *sigaction) (old sigaction, err error) {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(action)),
		uintptr(unsafe.Pointer(&old)), unsafe.Sizeof(action.mask), 0, 0)
	if errno != 0 {
		return old, os.NewSyscallError("rt_sigaction", errno)
	}
	return old, nil
}

// Caught are the previous actions of the forwarded signals.
type Caught map[unix.Signal]sigaction

// Catch makes the forwarded signals wait for SendTo or Release.
func Catch() (Caught, error) {
	c := make(Caught, len(Forwarded))
	ours := sigaction{flags: saRestorer | saOnStack | saRestart}
	ours.handler, ours.restorer = handler()
	for _, s := range Forwarded {
		s := s.(unix.Signal)
		old, err := rtSigaction(s, &ours)
		if err != nil {
			return nil, err
		}
		c[s] = old
	}
	return c, nil
}

// SendTo sends the signals that have arrived, and those that will arrive, to the process
// that pidfd refers to. If pidfd is -1, they wait.
func (c Caught) SendTo(pidfd int) {
	atomic.StoreInt64(&target, int64(pidfd))
	c.pass(func(s unix.Signal) { _ = unix.PidfdSendSignal(pidfd, s, nil, 0) })
}

// Terminating returns a signal that asks rt to end and waits for a process, or 0.
func (c Caught) Terminating() unix.Signal {
	set := atomic.LoadUint64(&received)
	for _, s := range terminating {
		if set>>s&1 == 1 {
			return s
		}
	}
	return 0
}

// pass sends the signals that arrived before.
func (c Caught) pass(to func(unix.Signal)) {
	for set := atomic.SwapUint64(&received, 0); set != 0; set &= set - 1 {
		to(unix.Signal(bits.TrailingZeros64(set)))
	}
}

// Release sends the signals to the channel: those that have arrived and those that will.
func (c Caught) Release(signals chan os.Signal) {
	atomic.StoreInt64(&target, -1)
	signal.Notify(signals, Forwarded...)
	for s, old := range c {
		if old.handler > sigIgn { // os/signal has just installed its own handler for the others
			_, _ = rtSigaction(s, &old)
		}
	}
	c.pass(func(s unix.Signal) { signals <- s })
}
