package jsontext

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestSyntaxErrors(t *testing.T) {
	for text, want := range map[string]string{
		``:                              "line 1, column 1: unexpected end",
		`{`:                             "unexpected end",
		`{"a"`:                          "unexpected end",
		"{\n  oops\n}":                  `line 2, column 3: unexpected character 'o' where the name of a member is expected`,
		`{"a" 1}`:                       "where a colon is expected",
		`{"a":1 "b":2}`:                 "a comma or } is expected",
		`{"a":1,}`:                      "where the name of a member is expected",
		`[1 2]`:                         "a comma or ] is expected",
		`tru`:                           "true is spelt so",
		`{"a": nul}`:                    "null is spelt so",
		`-`:                             "unexpected end",
		`1.x`:                           "in a number",
		`"\q"`:                          "behind a backslash",
		`"\u12g4"`:                      "four hexadecimal digits",
		"\"a\nb\"":                      "in a string",
		`{} x`:                          "after the document",
		strings.Repeat("[", maxDepth+1): "nested too deeply",
	} {
		d := NewDecoder(text)
		d.Skip()
		if err := d.End(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.30q: %v, want %s", text, err, want)
		}
	}
}

// FuzzAgreesWithEncodingJSON reads any document and compares its validity, and
// strings, with encoding/json.
func FuzzAgreesWithEncodingJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,-2.5e+3,"x\u00e9\ud83d\ude00\ud800"],"b":null}`, `"\\\"\/\b\f\n\r\t"`, "\"\xff\"", `[true,false]`, ` 0 `, `01`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d := NewDecoder(text)
		d.Skip()
		if err := d.End(); (err == nil) != json.Valid([]byte(text)) {
			t.Fatalf("%q: %v", text, err)
		}
		var want string
		if json.Unmarshal([]byte(text), &want) == nil && !strings.Contains(text, "null") {
			d = NewDecoder(text)
			if got := d.String(); got != want || d.End() != nil {
				t.Errorf("%q: got %q, want %q", text, got, want)
			}
		}
		var back string
		if err := json.Unmarshal(AppendString(nil, text), &back); err != nil || back != strings.ToValidUTF8(text, "\ufffd") && !strings.Contains(text, "\xff") && len([]rune(back)) != len([]rune(text)) {
			t.Errorf("%q is written as %s: %v", text, AppendString(nil, text), err)
		}
	})
}

func TestFieldOfAMismatch(t *testing.T) {
	text := "{\"a\": {\"b\": [1, {\"c\": \"x\"}, {\"c\": 5}]}}"
	if got := fieldAt(text, strings.Index(text, "5}")); got != "a.b[2].c" {
		t.Error(got)
	}
}
