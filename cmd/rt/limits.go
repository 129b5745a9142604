package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// What rt itself needs of the limits of whoever calls it. Below, the Go runtime would
// end rt with a trace, or a file of rt's would be cut short with signal 25.
const (
	fewestDescriptors = 12
	smallestFiles     = 1 << 20 // bytes: the program, the state
)

// checkLimits refuses limits with which rt cannot work, by name. The hard limit of
// descriptors counts: the Go runtime raises the soft one to it.
func checkLimits() error {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) == nil && l.Max < fewestDescriptors {
		return fmt.Errorf("RLIMIT_NOFILE: the caller's limit of %d descriptors is too low for rt, which needs %d: raise it (ulimit -n)", l.Max, fewestDescriptors)
	}
	if unix.Getrlimit(unix.RLIMIT_FSIZE, &l) == nil && l.Cur < smallestFiles {
		return fmt.Errorf("RLIMIT_FSIZE: the caller's limit of %d bytes is too low for rt, which writes files of up to %d: raise it (ulimit -f); a container's own limit belongs in process.rlimits", l.Cur, smallestFiles)
	}
	return nil
}
