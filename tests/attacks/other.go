//go:build !amd64

package main

import (
	"errors"
	"os/exec"

	"golang.org/x/sys/unix"
)

// The attacks with registers and numbers are written for amd64 only.

const (
	map32Bit     = 0
	injectedName = "attacked"
)

func call32(_, _, _ uintptr) int { return -int(unix.ENOSYS) }

func injectMknod([]string) error { return errors.New("only on amd64") }

func injectSeized(int, string) error { return errors.New("only on amd64") }

func (t *try) subvert(*exec.Cmd, func([]uint64)) { t.fail("only on amd64") }
