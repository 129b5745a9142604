package integration

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// coverage is what tests really configured: for each test, the fields of the
// configurations that it wrote. RT_SPEC_COVERAGE names docs/spec-coverage.md, whose rows
// name tests; a row is true only if the test sets the field.
var coverage = struct {
	sync.Mutex
	fields  map[string]map[string]bool
	skipped map[string]bool
}{fields: map[string]map[string]bool{}, skipped: map[string]bool{}}

// recordFields records a configuration that a test wrote.
func recordFields(t *testing.T, config []byte) {
	test, _, _ := strings.Cut(t.Name(), "/")
	coverage.Lock()
	defer coverage.Unlock()
	if coverage.fields[test] == nil {
		coverage.fields[test] = map[string]bool{}
		t.Cleanup(func() {
			coverage.Lock()
			defer coverage.Unlock()
			if t.Skipped() || t.Failed() {
				coverage.skipped[test] = true
			}
		})
	}
	var document any
	if json.Unmarshal(config, &document) == nil {
		addFields(coverage.fields[test], "", document)
	}
}

// keyed are the fields whose members are names of the user's.
var keyed = map[string]bool{"annotations": true, "linux.sysctl": true, "linux.resources.unified": true, "linux.resources.rdma": true, "linux.netDevices": true, "linux.timeOffsets": true}

// addFields adds the paths of all that is set: "mounts[].destination", "linux.rdma.*.hcaHandles".
func addFields(set map[string]bool, path string, value any) {
	if value == nil {
		return
	}
	set[path] = true
	switch value := value.(type) {
	case map[string]any:
		for name, member := range value {
			if keyed[path] {
				name = "*"
			}
			addFields(set, strings.TrimPrefix(path+"."+name, "."), member)
		}
	case []any:
		for _, entry := range value {
			addFields(set, path+"[]", entry)
		}
	}
}

// falseRows are the rows of the document whose tests ran and never set the field.
func falseRows(document []byte) (rows []string) {
	row := regexp.MustCompile("^\\| `([\\w.\\[\\]*]+)` \\|")
	test := regexp.MustCompile("`(Test\\w+)`")
	for line := range bytes.Lines(document) {
		m := row.FindSubmatch(line)
		if m == nil {
			continue
		}
		cells := bytes.Split(line, []byte("|"))
		for _, name := range test.FindAllSubmatch(cells[len(cells)-2], -1) {
			fields, ran := coverage.fields[string(name[1])]
			if ran && !coverage.skipped[string(name[1])] && !fields[string(m[1])] {
				rows = append(rows, fmt.Sprintf("%s: %s does not set it", m[1], name[1]))
			}
		}
	}
	return rows
}

// checkCoverage compares the document with what the tests did, if all of them ran.
func checkCoverage() error {
	name := os.Getenv("RT_SPEC_COVERAGE")
	if name == "" || flag.Lookup("test.list").Value.String() != "" {
		return nil
	}
	document, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if rows := falseRows(document); len(rows) > 0 {
		return fmt.Errorf("%s is wrong:\n%s", name, strings.Join(rows, "\n"))
	}
	if all := flag.Lookup("test.run").Value.String() == ""; all && len(coverage.fields) < 100 {
		return fmt.Errorf("%s: only %d tests wrote a configuration: %q", name, len(coverage.fields), slices.Collect(maps.Keys(coverage.fields)))
	}
	return nil
}
