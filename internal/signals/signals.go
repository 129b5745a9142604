// Package signals holds the signals back that rt is to forward to a container, until
// there is a process to send them to, or a channel to receive them.
//
// It handles them by some instructions of its own: os/signal takes half a millisecond to
// take six signals over (make weigh), and a signal that is on its way through it is lost
// when a small program takes rt's place. With the build tag os_signal it uses os/signal.
package signals

import (
	"os"

	"golang.org/x/sys/unix"
)

// Forwarded are the signals that people and service managers send.
var Forwarded = []os.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2}
