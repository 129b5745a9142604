// Command everywhere checks that no test is skipped in all worlds:
//
//	everywhere -elsewhere FILE LOG...
//
// Each LOG is what `go test -v`, or a test binary, printed in one world; lines of guests
// may have their name before. A test passes when it passed in one of them, or is in FILE
// with the world that runs it: "TEST<tab>WORLD<tab>WHY". An entry that is not needed, since
// the test passed, is an error, too.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "everywhere:", err)
		os.Exit(1)
	}
}

func run() error {
	elsewhere := flag.String("elsewhere", "tests/integration/elsewhere.txt", "`file` with the tests that other worlds run")
	flag.Parse()
	verdicts := map[string]bool{}
	for _, name := range flag.Args() {
		if err := read(name, verdicts); err != nil {
			return err
		}
	}
	if len(verdicts) == 0 {
		return errors.New("no test is in these logs")
	}
	others, err := readTable(*elsewhere)
	if err != nil {
		return err
	}
	problems := missing(verdicts, others)
	if len(problems) > 0 {
		return errors.New(strings.Join(problems, "\n"))
	}
	fmt.Printf("each of %d tests ran in some world; %d of them in others than these\n", len(verdicts), len(others))
	return nil
}

// verdict is a line such as "--- PASS: TestX (0.1s)"; a guest's has its name before.
var verdict = regexp.MustCompile(`^(?:\[[^\]]*\] )?--- (PASS|SKIP): (Test\w+) `)

// read records for each test whether it has passed anywhere.
func read(name string, verdicts map[string]bool) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if m := verdict.FindStringSubmatch(lines.Text()); m != nil {
			verdicts[m[2]] = verdicts[m[2]] || m[1] == "PASS"
		}
	}
	return lines.Err()
}

// readTable reads which world runs a test.
func readTable(name string) (map[string]string, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	table := map[string]string{}
	for i, line := range strings.Split(string(data), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, "\t")
		if len(fields) != 3 {
			return nil, fmt.Errorf("%s:%d: not of the form TEST, WORLD, WHY with tabs between them", name, i+1)
		}
		table[fields[0]] = fields[1]
	}
	return table, nil
}

func missing(verdicts map[string]bool, others map[string]string) (problems []string) {
	for test, passed := range verdicts {
		_, known := others[test]
		switch {
		case !passed && !known:
			problems = append(problems, test+" was skipped everywhere, and the table does not say where it runs")
		case passed && known:
			problems = append(problems, test+" ran, and is in the table of those that run elsewhere")
		}
	}
	slices.Sort(problems)
	return problems
}
