package spec

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// jsonFields lists the JSON paths of a type's fields that concern Linux, in
// order: "mounts[].destination", and "linux.rdma.*.hcaHandles" for maps.
func jsonFields(t reflect.Type, prefix string) []string {
	switch t.Kind() {
	case reflect.Pointer:
		return jsonFields(t.Elem(), prefix)
	case reflect.Slice:
		return jsonFields(t.Elem(), prefix+"[]")
	case reflect.Map:
		return jsonFields(t.Elem(), prefix+".*")
	case reflect.Struct:
	default:
		return nil
	}
	var list []string
	for i := range t.NumField() {
		f := t.Field(i)
		if platform := f.Tag.Get("platform"); platform != "" && !slices.Contains(strings.Split(platform, ","), "linux") {
			continue
		}
		if f.Anonymous {
			list = append(list, jsonFields(f.Type, prefix)...)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if prefix != "" {
			name = prefix + "." + name
		}
		list = append(append(list, name), jsonFields(f.Type, name)...)
	}
	return list
}

// testName finds the tests that the last column names.
var testName = regexp.MustCompile("`(?:(\\w+)\\.)?(Test\\w+)`")

// checkProof fails the test if the file or the tests of a row do not exist.
func checkProof(t *testing.T, row, files, tests string) {
	t.Helper()
	for _, file := range strings.Split(files, ", ") {
		file = strings.Trim(file, " `")
		switch _, err := os.Stat(filepath.Join("..", "libcontainer", "internal", file)); {
		case strings.HasPrefix(file, "spec/"):
		case err == nil:
			file = "libcontainer/internal/" + file
		default:
			file = "libcontainer/" + file
		}
		if _, err := os.Stat(filepath.Join("..", file)); err != nil && strings.TrimSpace(files) != "ignored" {
			t.Errorf("%s: %v", row, err)
		}
	}
	names := testName.FindAllStringSubmatch(tests, -1)
	if len(names) == 0 {
		t.Errorf("%s: no test", row)
	}
	for _, n := range names {
		directories := []string{filepath.Join("..", "tests", "integration")}
		if n[1] != "" {
			directories = []string{filepath.Join("..", n[1]), filepath.Join("..", "libcontainer", n[1]), filepath.Join("..", "libcontainer", "internal", n[1])}
		}
		found := false
		for _, directory := range directories {
			files, _ := filepath.Glob(filepath.Join(directory, "*_test.go"))
			for _, file := range files {
				text, err := os.ReadFile(file)
				found = found || err == nil && strings.Contains(string(text), "func "+n[2]+"(")
			}
		}
		if !found {
			t.Errorf("%s: there is no test %s", row, n[0])
		}
	}
}

// coverageRows reads the first column of the table of fields.
func coverageRows(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", "spec-coverage.md"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) == 6 && strings.Contains(cells[1], "md, ") {
			checkProof(t, cells[1]+cells[2], cells[3], cells[4])
		}
		if len(cells) < 2 || !strings.HasPrefix(cells[1], " `") {
			continue
		}
		field := strings.Trim(cells[1], " `")
		rows = append(rows, field)
		if len(cells) != 6 || slices.ContainsFunc(cells[1:5], func(c string) bool { return strings.TrimSpace(c) == "" }) {
			t.Errorf("the row of %s has not got four filled columns", field)
			continue
		}
		checkProof(t, field, cells[3], cells[4])
	}
	return rows
}

// docs/spec-coverage.md has a row for every field of a configuration, and no
// other, in the order of the specification's types.
func TestCoverageIsComplete(t *testing.T) {
	want, got := jsonFields(reflect.TypeFor[specs.Spec](), ""), coverageRows(t)
	for _, field := range want {
		if !slices.Contains(got, field) {
			t.Errorf("%s has no row in docs/spec-coverage.md", field)
		}
	}
	for i, field := range got {
		if !slices.Contains(want, field) {
			t.Errorf("docs/spec-coverage.md names %s, which does not exist", field)
		}
		if slices.Contains(got[:i], field) {
			t.Errorf("%s has two rows", field)
		}
	}
	if !t.Failed() && !slices.Equal(want, got) {
		t.Error("the rows are not in the order of the types")
	}
}
