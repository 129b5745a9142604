// Package bars checks limits for the ratio of a median to a peer's.
package bars

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/rtcontainers/rt/tests/bench/stats"
)

// Bar is a limit for a series, such as the time of a command, as a ratio to a peer's.
type Bar struct {
	Series string
	// Of says further whose or where the series is: a view, or a competitor.
	Of   string
	Peer string
	Max  float64
}

// Parse reads three names and a limit, for example run-default:v2:crun:0.75. The names are called
// as the benchmark calls them.
func Parse(text string, names [3]string) (Bar, error) {
	fields := strings.Split(text, ":")
	if len(fields) != 4 {
		return Bar{}, fmt.Errorf("%q is not %s:max", text, strings.Join(names[:], ":"))
	}
	for i, name := range names {
		if fields[i] == "" {
			return Bar{}, fmt.Errorf("%q has no %s", text, name)
		}
	}
	limit, err := strconv.ParseFloat(fields[3], 64)
	if err != nil || !(limit > 0) || math.IsInf(limit, 1) {
		return Bar{}, fmt.Errorf("%q: %q is not a positive number", text, fields[3])
	}
	return Bar{fields[0], fields[1], fields[2], limit}, nil
}

func (b Bar) String() string {
	return fmt.Sprintf("%s:%s:%s:%g", b.Series, b.Of, b.Peer, b.Max)
}

// Check prints how each bar came out. The error says that at least one was missed.
func Check(w io.Writer, bars []Bar, ratio func(Bar) (stats.Ratio, error)) error {
	missed := 0
	for _, b := range bars {
		found, err := ratio(b)
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
