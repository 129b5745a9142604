package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// Instructions are counted by callgrind, where the CPU has no counter for them, as in most virtual
// machines. It runs one process on a CPU of its own making, and so counts only commands that need
// nothing that it does not know: no namespaces, no re-execution from memory. A count is believed
// only if the command succeeded, printed what it prints otherwise, and used no call that valgrind
// does not know.

var (
	collected    = regexp.MustCompile(`Collected : (\d+)`)
	unknownCalls = regexp.MustCompile(`unhandled \S+ syscall: (\d+)`)
)

// countInstructions counts those of state, kill and delete, of each competitor once: the count
// varies by a thousandth.
func (c *counter) countInstructions(subjects []*subject) error {
	if _, err := exec.LookPath("valgrind"); err != nil {
		c.note(instructions, "valgrind is not installed")
		return nil
	}
	for _, s := range subjects {
		if err := c.instructionsOf(s); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return nil
}

func (c *counter) instructionsOf(s *subject) error {
	id := c.newID()
	plain := func(args ...string) error {
		_, err := c.run(s.argv(args...))
		return err
	}
	pid, err := s.create(plain, id)
	if err != nil {
		return err
	}
	if err := plain("start", id); err != nil {
		return err
	}
	reasons := map[string][]string{}
	for _, name := range []string{"state", "kill", "delete"} {
		args := []string{name, id}
		if name == "kill" {
			// A signal that the container ignores: it is also killed below.
			args = append(args, "CONT")
		}
		if name == "delete" {
			if err := plain("kill", id, "KILL"); err != nil {
				return err
			}
			if err := awaitEnd(pid); err != nil {
				return err
			}
		}
		count, reason := callgrind(s.argv(args...))
		if reason != "" {
			reasons[reason] = append(reasons[reason], name)
			continue
		}
		add(c.result.command(name).Total, instructions, s.Name, count)
		if s.Name == contender {
			add(c.result.command(name).Parts, instructions, partNames[itself], count)
		}
	}
	for reason, names := range reasons {
		c.note(instructions, fmt.Sprintf("not of %s %s: %s", s.Name, strings.Join(names, ", "), reason))
	}
	c.note(instructions, "not of commands that make processes: callgrind cannot follow them into namespaces")
	// It is gone if the counted delete succeeded.
	plain("delete", "--force", id)
	return nil
}

// callgrind counts the instructions of a command, or says why it cannot.
func callgrind(argv []string) (count float64, reason string) {
	args := append([]string{"--tool=callgrind", "--callgrind-out-file=/dev/null"}, argv...)
	output, err := exec.Command("valgrind", args...).CombinedOutput()
	if found := unknownCalls.FindAllStringSubmatch(string(output), -1); found != nil {
		return 0, "this valgrind does not know the system call " + found[0][1]
	}
	if err != nil {
		return 0, "the command fails in callgrind: " + firstOwnLine(string(output))
	}
	found := collected.FindStringSubmatch(string(output))
	if found == nil {
		return 0, "callgrind printed no count"
	}
	count, err = strconv.ParseFloat(found[1], 64)
	if err != nil {
		return 0, err.Error()
	}
	return count, ""
}

// firstOwnLine is the first line that the command itself printed.
func firstOwnLine(output string) string {
	for line := range strings.Lines(output) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "==") && !strings.HasPrefix(line, "--") {
			return line
		}
	}
	return "it says nothing"
}
