package libcontainer

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/rtcontainers/rt/internal/sysfile"
)

// procStat is what rt needs of proc_pid_stat(5).
type procStat struct {
	state byte
	start uint64 // clock ticks after boot
}

// dead tells whether the process has ended and only waits for its parent.
func (s procStat) dead() bool { return s.state == 'Z' || s.state == 'X' || s.state == 'x' }

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
	const state, start = 3, 22 // the numbers of the fields; the third is fields[0]
	if len(fields) <= start-state {
		return procStat{}, fmt.Errorf("malformed /proc/PID/stat: %q", data)
	}
	ticks, err := strconv.ParseUint(string(fields[start-state]), 10, 64)
	if err != nil {
		return procStat{}, err
	}
	return procStat{state: fields[0][0], start: ticks}, nil
}
