// Package signals holds back the signals that rt forwards to a container, until there is a
// process to send them to or a channel to receive them.
//
// It uses a handler of a few machine instructions. os/signal takes half a millisecond to
// take over six signals (make weigh), and loses a signal that it is just delivering when
// the keeper replaces rt. With the build tag os_signal the package uses os/signal.
package signals

import (
	"os"

	"golang.org/x/sys/unix"
)

// Forwarded are the signals that people and service managers send.
var Forwarded = []os.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2}

// terminating are those of them that ask a program to end.
var terminating = []unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT}
