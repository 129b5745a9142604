package jsontext

import (
	"encoding/json"
	"fmt"
	"slices"
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

// folding is a structure whose names have all kinds of letters that fold.
type folding struct {
	Mask   json.RawMessage `json:"mask"`
	Masks  json.RawMessage `json:"masks"`
	Second json.RawMessage `json:"Mask"`
	Digits json.RawMessage `json:"a-1_"`
}

// readFolding is what jsongen writes for it, but for the types of its values.
func readFolding(text string) (v folding, d *Decoder) {
	d = NewDecoder(text)
	value := func() json.RawMessage {
		d.peek()
		begin := d.pos
		d.Skip()
		return json.RawMessage(text[begin:d.pos])
	}
	for m := d.Object(); m.Next(); {
	again:
		switch m.Key {
		case "mask":
			v.Mask = value()
		case "masks":
			v.Masks = value()
		case "Mask":
			v.Second = value()
		case "a-1_":
			v.Digits = value()
		default:
			if m.Fold("mask", "masks", "Mask", "a-1_") {
				goto again
			}
			d.Skip()
		}
	}
	return v, d
}

func TestRemarks(t *testing.T) {
	text := `{"mask": 1, "MASKS": {"x": [{}, {"y": 2}]}, "\u017fecret": 3, "new thing": [1], "ma\u017f\u212a": 4, "` + strings.Repeat("n", 70) + `": 5}`
	v, d := readFolding(text)
	want := Remarks{
		Folded: []string{`MASKS: taken as "masks"; write it so`, `["ma\u017f\u212a"]: taken as "mask"; write it so`},
		Unknown: []string{
			`["\u017fecret"]: unknown, and ignored`, `["new thing"]: unknown, and ignored`, `["` + strings.Repeat("n", 64) + `"]: unknown, and ignored`,
		},
	}
	if got := d.Remarks(); !slices.Equal(got.Folded, want.Folded) || !slices.Equal(got.Unknown, want.Unknown) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if string(v.Mask) != "4" || v.Masks == nil || v.Second != nil {
		t.Errorf("%s", v)
	}
}

// Members of objects in arrays have paths, too, and there is an end to remarks.
func TestRemarksHaveAPath(t *testing.T) {
	d := NewDecoder(`{"a": [{}, {"b": {"c": 1, "D": [{"e": 2}]}}], "f": 3}`)
	var read func()
	read = func() {
		switch d.peek() {
		case '{':
			for m := d.Object(); m.Next(); {
				m.Fold("d")
				read()
			}
		case '[':
			for e := d.Array(); e.Next(); {
				read()
			}
		default:
			d.Skip()
		}
	}
	read()
	r := d.Remarks()
	got := strings.Join(append(r.Folded, r.Unknown...), "\n")
	const want = `a[1].b.D: taken as "d"; write it so
a: unknown, and ignored
a[1].b: unknown, and ignored
a[1].b.c: unknown, and ignored
a[1].b.D[0].e: unknown, and ignored
f: unknown, and ignored`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	d = NewDecoder("{" + strings.Repeat(`"x": 1, `, 100_000) + `"y": 1}`)
	read()
	if n := len(d.Remarks().Unknown); n != maxRemarks {
		t.Errorf("%d remarks", n)
	}
}

// FuzzAgreesWithEncodingJSON reads any document and compares its validity, strings
// and the names of members with encoding/json.
func FuzzAgreesWithEncodingJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,-2.5e+3,"x\u00e9\ud83d\ude00\ud800"],"b":null}`, `"\\\"\/\b\f\n\r\t"`, "\"\xff\"", `[true,false]`, ` 0 `, `01`,
		`{"mask":1,"MASK":2,"Mask":3,"ma\u017fk":4,"mas\u212a":{"mask":[]},"A-1_":5,"a_1-":6}`} {
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
		var members folding
		if json.Unmarshal([]byte(text), &members) == nil {
			got, d := readFolding(text)
			if a, b := fmt.Sprintf("%q", got), fmt.Sprintf("%q", members); a != b || d.End() != nil {
				t.Errorf("%q: got %s, want %s", text, a, b)
			}
			_ = d.Remarks()
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
