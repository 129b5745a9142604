package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// The limits that rt itself needs. Below them, the Go runtime would exit with a trace, or
// signal 25 would end rt in the middle of a file.
const (
	fewestDescriptors = 12
	smallestFiles     = 1 << 20 // bytes: the program, the state
)

// checkLimits refuses limits with which rt cannot work, and names them. The hard limit of
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
