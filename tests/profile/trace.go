package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// span is a step of a trace. Times are of CLOCK_MONOTONIC.
type span struct {
	row, name, field string
	begin, end       time.Duration
}

func monotonic() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return time.Duration(ts.Nano())
}

// readTrace reads a file of rt --trace.
func readTrace(name string) ([]span, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var trace struct {
		TraceEvents []struct {
			Name     string
			Phase    string  `json:"ph"`
			Time     float64 `json:"ts"`
			Duration float64 `json:"dur"`
			Thread   int     `json:"tid"`
			Args     struct{ Name, Field string }
		}
	}
	if err := json.Unmarshal(data, &trace); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	rows := map[int]string{}
	var spans []span
	for _, e := range trace.TraceEvents {
		if e.Phase == "M" {
			rows[e.Thread] = e.Args.Name
			continue
		}
		begin := time.Duration(e.Time * 1000)
		spans = append(spans, span{rows[e.Thread], e.Name, e.Args.Field, begin, begin + time.Duration(e.Duration*1000)})
	}
	return spans, nil
}
