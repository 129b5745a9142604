package main

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// bar is a limit for the ratio of rt's median to a peer's.
type bar struct {
	Series string
	View   string
	Peer   string
	Max    float64
}

// parseBar reads case:view:peer:max, for example run-default:v2:crun:0.75 or
// lifecycle/create:v1:runc:0.5.
func parseBar(text string) (bar, error) {
	fields := strings.Split(text, ":")
	if len(fields) != 4 {
		return bar{}, fmt.Errorf("%q is not case:view:peer:max", text)
	}
	for i, name := range []string{"case", "view", "peer"} {
		if fields[i] == "" {
			return bar{}, fmt.Errorf("%q has no %s", text, name)
		}
	}
	limit, err := strconv.ParseFloat(fields[3], 64)
	if err != nil || !(limit > 0) || math.IsInf(limit, 1) {
		return bar{}, fmt.Errorf("%q: %q is not a positive number", text, fields[3])
	}
	return bar{Series: fields[0], View: fields[1], Peer: fields[2], Max: limit}, nil
}

func (b bar) String() string {
	return fmt.Sprintf("%s:%s:%s:%g", b.Series, b.View, b.Peer, b.Max)
}

// checkBars prints how each bar came out. The error says that at least one was missed.
func checkBars(w io.Writer, r *report, bars []bar) error {
	missed := 0
	for _, b := range bars {
		found, err := r.ratio(b.View, b.Series, b.Peer)
		if err != nil {
			return fmt.Errorf("bar %s: %w", b, err)
		}
		verdict := "met"
		// Written so that a ratio that is not a number is a miss.
		if !(found.Value <= b.Max) {
			verdict = "missed"
			missed++
		}
		fmt.Fprintf(w, "bar %s: %s, ratio %s\n", b, verdict, found)
	}
	if missed > 0 {
		return fmt.Errorf("%d of %d bars missed", missed, len(bars))
	}
	return nil
}
