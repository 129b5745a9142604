package main

import "fmt"

type verdict string

const (
	pass verdict = "pass"
	fail verdict = "fail"
	skip verdict = "skip"
)

// judge decides about a program. The notes say what the counts of tests do not.
func judge(out output, tap tapReport) (verdict, []string) {
	if problems := findProblems(out, tap); tap.failed > 0 || len(problems) > 0 {
		return fail, problems
	}
	switch {
	case tap.tests() == 0:
		return pass, []string{"no tests, and nothing that tells of a failure"}
	case tap.skipped == tap.tests():
		return skip, []string{"all tests skipped"}
	}
	return pass, nil
}

// findProblems finds the reasons, other than a failed test, for which a program has failed.
func findProblems(out output, tap tapReport) []string {
	problems := tap.problems
	switch {
	case out.timedOut:
		problems = append(problems, "timeout")
	case out.status != 0:
		problems = append(problems, fmt.Sprintf("exit status %d", out.status))
	}
	if tap.bailOut != "" {
		problems = append(problems, "bail out: "+tap.bailOut)
	}
	// The programs about hooks have no tests. They report a failure by a YAML block only, and
	// exit with status 0.
	if tap.tests() == 0 && tap.blocks > 0 {
		problems = append(problems, "no tests, but the report of a failure")
	}
	return problems
}
