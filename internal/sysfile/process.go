package sysfile

import (
	"bytes"
	"fmt"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// Process holds the fields of proc_pid_stat(5) that rt needs.
type Process struct {
	State   byte   // of the first thread
	Threads uint64 // that have not ended, including the first one
	Start   uint64 // clock ticks after boot, in the initial time namespace
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
	p, err := parseProcess(data)
	p.Start -= ticksOff()
	return p, err
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

// initialTimeNamespace is the inode number of the first time namespace: PROC_TIME_INIT_INO
// of the kernel.
const initialTimeNamespace = 0xEFFFFFFA

// ticksOff is by how many clock ticks the start times that this process reads are later
// than those of the initial time namespace: time_namespaces(7). Otherwise another rt in
// another time namespace would take every container for one that has ended.
var ticksOff = sync.OnceValue(func() uint64 {
	var st unix.Stat_t
	if unix.Stat("/proc/self/ns/time", &st) != nil || st.Ino == initialTimeNamespace {
		return 0
	}
	offsets, err := Read("/proc/self/timens_offsets")
	if err != nil {
		return 0
	}
	return bootOffset(offsets)
})

// bootOffset reads the line "boottime SECONDS NANOSECONDS".
func bootOffset(offsets []byte) uint64 {
	const perSecond = 100 // USER_HZ
	for line := range bytes.Lines(offsets) {
		f := bytes.Fields(line)
		if len(f) != 3 || string(f[0]) != "boottime" {
			continue
		}
		seconds, _ := strconv.ParseInt(string(f[1]), 10, 64)
		nanoseconds, _ := strconv.ParseInt(string(f[2]), 10, 64)
		return uint64(seconds*perSecond + nanoseconds/(1e9/perSecond))
	}
	return 0
}
