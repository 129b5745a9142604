package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// knownFailures maps the programs that are known to fail to the reasons.
type knownFailures map[string]string

// readKnown joins lists.
func readKnown(paths []string) (knownFailures, error) {
	all := make(knownFailures)
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		known, err := parseKnown(string(data))
		if err != nil {
			return nil, fmt.Errorf("%s:%w", path, err)
		}
		for program, reason := range known {
			if _, ok := all[program]; ok {
				return nil, fmt.Errorf("%s: %s is in another list, too", path, program)
			}
			all[program] = reason
		}
	}
	return all, nil
}

// parseKnown reads lines of a program and a reason. Empty lines and lines that begin with # are
// comments.
func parseKnown(text string) (knownFailures, error) {
	known := make(knownFailures)
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		program, reason, _ := strings.Cut(line, " ")
		reason = strings.TrimSpace(reason)
		if reason == "" {
			return nil, fmt.Errorf("%d: %s has no reason", number, program)
		}
		if _, ok := known[program]; ok {
			return nil, fmt.Errorf("%d: %s is listed twice", number, program)
		}
		known[program] = reason
	}
	return known, nil
}

// check reports the listed programs that the suite does not have.
func (k knownFailures) check(programs []string) error {
	for program := range k {
		if !slices.Contains(programs, program) {
			return fmt.Errorf("the suite has no program %s", program)
		}
	}
	return nil
}
