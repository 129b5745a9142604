package sysfile

import (
	"bytes"
	"fmt"
	"strconv"
)

// Process holds the fields of proc_pid_stat(5) that rt needs.
type Process struct {
	State   byte   // of the first thread
	Threads uint64 // that have not ended, including the first one
	Start   uint64 // clock ticks after boot
}

// Dead tells whether the process has ended and only waits for its parent. Its first thread
// may end before the others; it stays a zombie as long as they live.
func (p Process) Dead() bool {
	return (p.State == 'Z' || p.State == 'X' || p.State == 'x') && p.Threads <= 1
}

// ReadProcess reads the stat file of a process.
func ReadProcess(pid int) (Process, error) {
	data, err := ReadLine("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return Process{}, err
	}
	return parseProcess(data)
}

// parseProcess reads the fields after the program's name, which may contain spaces and
// parentheses.
func parseProcess(data []byte) (Process, error) {
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	const state, threads, start = 3, 20, 22 // the numbers of the fields; the third is fields[0]
	if len(fields) <= start-state {
		return Process{}, fmt.Errorf("malformed /proc/PID/stat: %q", data)
	}
	count, err := strconv.ParseUint(string(fields[threads-state]), 10, 64)
	if err != nil {
		return Process{}, err
	}
	ticks, err := strconv.ParseUint(string(fields[start-state]), 10, 64)
	if err != nil {
		return Process{}, err
	}
	return Process{State: fields[0][0], Threads: count, Start: ticks}, nil
}
