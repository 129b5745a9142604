package main

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// replay repeats one trial and shows all of it.
func (r *report) replay(w *world, text string) error {
	if !strings.Contains(text, "RT_FAIL=") {
		return r.replayCall(w, text)
	}
	flows, err := w.flows()
	if err != nil {
		return err
	}
	for _, f := range flows {
		if !r.wants("instructions/" + f.name) {
			continue
		}
		in, err := parseInjection(text)
		if err != nil {
			return err
		}
		if err := f.begin(); err != nil {
			return err
		}
		t := f.try(in)
		fmt.Printf("%s: failed command %d, killed %v\n%s%s\nleft: %v\n", f.name, t.failed, t.halted, t.stdout, t.outcome, t.left)
		f.bundle.sweep()
		return nil
	}
	return fmt.Errorf("-only names no part")
}

// parseInjection reads what flow.replay writes.
func parseInjection(text string) (in injection, err error) {
	command, env, _ := strings.Cut(text, " RT_FAIL=")
	if in.command, err = strconv.Atoi(command); err != nil {
		return in, err
	}
	for entry := range strings.SplitSeq(env, ",") {
		var p point
		var what string
		if _, err := fmt.Sscanf(strings.ReplaceAll(entry, ":", " "), "%d %d %s", &p.program, &p.step, &what); err != nil {
			return in, fmt.Errorf("%q: %w", entry, err)
		}
		if n, err := strconv.Atoi(what); err == nil {
			p.errno = unix.Errno(n)
		}
		in.points = append(in.points, p)
	}
	return in, nil
}
