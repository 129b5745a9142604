package document

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReplace(t *testing.T) {
	const begin, end = "<!-- begin -->\n", "<!-- end -->\n"
	path := filepath.Join(t.TempDir(), "document")
	if err := os.WriteFile(path, []byte("before\n"+begin+"old\n"+end+"after\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, begin, end, "new\n"); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if want := "before\n" + begin + "new\n" + end + "after\n"; err != nil || string(data) != want {
		t.Errorf("%q, want %q", data, want)
	}
	if err := Replace(path, "elsewhere", end, ""); err == nil {
		t.Error("a document without the mark is accepted")
	}
}

func TestTables(t *testing.T) {
	rows := [][]string{{"who", "n"}, {"rt", "1"}}
	for _, test := range []struct {
		name  string
		table Table
		want  string
	}{
		{"text", Text, "who  n\nrt   1\n"},
		{"markdown", Markdown(1), "| who | n |\n|---|--:|\n| rt | 1 |\n"},
	} {
		var b strings.Builder
		if err := test.table(&b, rows); err != nil || b.String() != test.want {
			t.Errorf("%s: %q, %v, want %q", test.name, b.String(), err, test.want)
		}
	}
}

func TestNumber(t *testing.T) {
	for value, want := range map[float64]string{1.234: "1.23", 99.9: "99.90", 100: "100", 1234.5: "1234"} {
		if got := Number(value); got != want {
			t.Errorf("Number(%v) = %q, want %q", value, got, want)
		}
	}
}
