package libcontainer

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/rtcontainers/rt/internal/sysfile"
)

// procStat is what rt needs of proc_pid_stat(5).
type procStat struct {
	state   byte   // of the first thread
	threads uint64 // that have not ended, and the first one
	start   uint64 // clock ticks after boot
}

// dead tells whether the process has ended and only waits for its parent. Its first
// thread may end before the others, and is a zombie as long as they live.
func (s procStat) dead() bool {
	return (s.state == 'Z' || s.state == 'X' || s.state == 'x') && s.threads <= 1
}

func readStat(pid int) (procStat, error) {
	data, err := sysfile.Read("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return procStat{}, err
	}
	return parseStat(data)
}

// parseStat reads the fields behind the name of the program, which may itself
// contain spaces and parentheses.
func parseStat(data []byte) (procStat, error) {
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	const state, threads, start = 3, 20, 22 // the numbers of the fields; the third is fields[0]
	if len(fields) <= start-state {
		return procStat{}, fmt.Errorf("malformed /proc/PID/stat: %q", data)
	}
	count, err := strconv.ParseUint(string(fields[threads-state]), 10, 64)
	if err != nil {
		return procStat{}, err
	}
	ticks, err := strconv.ParseUint(string(fields[start-state]), 10, 64)
	if err != nil {
		return procStat{}, err
	}
	return procStat{state: fields[0][0], threads: count, start: ticks}, nil
}
