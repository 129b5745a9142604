package machine

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Host is what a report says about the machine.
type Host struct {
	Kernel  string
	CPUs    int
	CPU     string
	Machine Kind
	// Load is the load average of the last minute, before the first measurement.
	Load float64
}

// MeasureHost is to be called before the first measurement.
func MeasureHost() (h Host, err error) {
	h = Host{Kernel: kernel(), CPUs: runtime.NumCPU(), CPU: cpuModel()}
	if h.Load, err = loadAverage(); err != nil {
		return h, err
	}
	h.Machine, err = Measure()
	return h, err
}

// Print writes items of a list.
func (h Host) Print(w io.Writer) {
	fmt.Fprintf(w, "- Linux %s, %d × %s\n", h.Kernel, h.CPUs, h.CPU)
	fmt.Fprintf(w, "- kind of machine: %s\n", h.Machine)
	// Half a CPU of work besides is a machine that does something else.
	busy := ""
	if h.Load > float64(h.CPUs)/2 {
		busy = ": a busy machine, whose times mean little; ratios meet all alike"
	}
	fmt.Fprintf(w, "- load average before: %.1f%s\n", h.Load, busy)
}

// loadAverage is the first number of proc_loadavg(5).
func loadAverage() (float64, error) {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), " ")
	return strconv.ParseFloat(first, 64)
}

func kernel() string {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(name.Release[:])
}

func cpuModel() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range bytes.Lines(text) {
		key, value, _ := strings.Cut(string(line), ":")
		if strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
