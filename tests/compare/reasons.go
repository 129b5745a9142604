package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// reasons say why rt differs: one a line, "VARIATION<tab>PEER<tab>ASPECT<tab>REASON". The
// first three are regular expressions for the whole of what they describe. A line that
// begins with "?" is about something random, and need not match in each run.
type reasons struct{ list []*reason }

type reason struct {
	line                    string
	variation, peer, aspect *regexp.Regexp
	used, chance            bool
}

func readReasons(name string) (*reasons, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	r := new(reasons)
	for i, line := range strings.Split(string(data), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		text, chance := strings.CutPrefix(line, "?")
		fields := strings.Split(text, "\t")
		if len(fields) != 4 || fields[3] == "" {
			return nil, fmt.Errorf("%s:%d: not of the form VARIATION, PEER, ASPECT, REASON with tabs between them", name, i+1)
		}
		var compiled [3]*regexp.Regexp
		for j := range compiled {
			if compiled[j], err = regexp.Compile("^(?:" + fields[j] + ")$"); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", name, i+1, err)
			}
		}
		r.list = append(r.list, &reason{line: line, variation: compiled[0], peer: compiled[1], aspect: compiled[2], chance: chance})
	}
	return r, nil
}

func (r *reasons) explains(variation string, d difference) bool {
	for _, one := range r.list {
		if one.variation.MatchString(variation) && one.peer.MatchString(d.peer) && one.aspect.MatchString(d.aspect) {
			one.used = true
			return true
		}
	}
	return false
}

func (r *reasons) unused() (lines []string) {
	for _, one := range r.list {
		if !one.used && !one.chance {
			lines = append(lines, one.line)
		}
	}
	return lines
}
