// Package jsontext reads and writes JSON without reflection. A runtime starts for every
// container, and encoding/json spends more time on preparing itself for the types of a
// configuration than on reading it. The code for each type is generated
// (internal/jsongen). It agrees with encoding/json, which other readers of the same
// documents use, even for names of members in other letter cases and for members that
// occur twice.
package jsontext

import (
	"encoding"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Decoder reads one document. The first error stays: all methods return zero
// values after it.
type Decoder struct {
	text string
	pos  int
	err  *Error
	// depth guards the stack against nested documents.
	depth int
	// remarks are about names of members, in the order of the document.
	remarks []remark
}

// maxDepth is encoding/json's limit, too.
const maxDepth = 10000

// NewDecoder reads text. Strings without escapes share its memory.
func NewDecoder(text string) *Decoder { return &Decoder{text: text} }

// Error says what is wrong with a document.
type Error struct {
	// Line and Column count from 1; columns are bytes.
	Line, Column int
	// Field is the member that was being read, such as "mounts[2].source"; it
	// is empty for errors of syntax.
	Field   string
	Message string
}

func (e *Error) Error() string {
	s := fmt.Sprintf("line %d, column %d: ", e.Line, e.Column)
	if e.Field != "" {
		s += e.Field + ": "
	}
	return s + e.Message
}

// End checks that nothing follows the document and returns the first error.
func (d *Decoder) End() error {
	if d.peek(); d.err == nil && d.pos < len(d.text) {
		d.syntax("after the document")
	}
	if d.err == nil {
		return nil
	}
	return d.err
}

// fail notes an error at a place in the text.
func (d *Decoder) fail(at int, field, message string) {
	if d.err == nil {
		line, column := Position(d.text, at)
		d.err = &Error{line, column, shorten(field), shorten(message)}
	}
	d.pos = len(d.text)
}

// shorten truncates a long message in the middle: its beginning and its end say what is
// wrong.
func shorten(s string) string {
	const side = 400
	if len(s) <= 3*side {
		return s
	}
	return strings.ToValidUTF8(s[:side], "") + " ... " + strings.ToValidUTF8(s[len(s)-side:], "")
}

// Position converts an offset to a line and a column; both count from 1.
func Position(text string, at int) (line, column int) {
	before := text[:min(at, len(text))]
	return 1 + strings.Count(before, "\n"), len(before) - strings.LastIndexByte(before, '\n')
}

// syntax fails at the current character.
func (d *Decoder) syntax(where string) {
	if d.pos >= len(d.text) {
		d.fail(max(len(d.text)-1, 0), "", "unexpected end of the document")
		return
	}
	r, _ := utf8.DecodeRuneInString(d.text[d.pos:])
	d.fail(d.pos, "", fmt.Sprintf("unexpected character %q %s", r, where))
}

// mismatch fails because the value has another type.
func (d *Decoder) mismatch(expected string) {
	at := d.pos
	found := "number"
	switch d.peek() {
	case '"':
		found = "string"
	case '{':
		found = "object"
	case '[':
		found = "array"
	case 't', 'f':
		found = "boolean"
	case 'n':
		found = "null"
	}
	// A value that is not JSON is a syntax error first.
	d.Skip()
	if d.err == nil {
		d.fail(at, fieldAt(d.text, at), fmt.Sprintf("found a JSON %s where %s is expected", found, expected))
	}
}

// peek skips white space and returns the next character, 0 at the end.
func (d *Decoder) peek() byte {
	for d.pos < len(d.text) {
		switch c := d.text[d.pos]; c {
		case ' ', '\t', '\n', '\r':
			d.pos++
		default:
			return c
		}
	}
	return 0
}

// Null reads a null, if there is one.
func (d *Decoder) Null() bool {
	if d.peek() != 'n' {
		return false
	}
	return d.literal("null")
}

func (d *Decoder) literal(word string) bool {
	if strings.HasPrefix(d.text[d.pos:], word) {
		d.pos += len(word)
		return true
	}
	d.syntax("in a value; " + word + " is spelt so")
	return false
}

// Members walks through an object.
type Members struct {
	d     *Decoder
	first bool
	// at is where the current member begins.
	at int
	// Key is the current member's name.
	Key string
}

// Object begins an object; a null is an empty one.
func (d *Decoder) Object() Members {
	if d.Null() || !d.open('{', "an object") {
		return Members{}
	}
	return Members{d: d, first: true}
}

func (d *Decoder) open(bracket byte, expected string) bool {
	if d.peek() != bracket {
		d.mismatch(expected)
		return false
	}
	d.pos++
	if d.depth++; d.depth > maxDepth {
		d.fail(d.pos, "", "nested too deeply")
	}
	return d.err == nil
}

// more goes to the next element, or past the closing bracket.
func (d *Decoder) more(first *bool, bracket byte) bool {
	c := d.peek()
	if c == bracket {
		d.pos++
		d.depth--
		return false
	}
	if !*first {
		if c != ',' {
			d.syntax("after an element; a comma or " + string(bracket) + " is expected")
			return false
		}
		d.pos++
		d.peek()
	}
	*first = false
	return d.err == nil
}

// Next goes to the next member; the caller must read its value.
func (m *Members) Next() bool {
	if m.d == nil || m.d.err != nil || !m.d.more(&m.first, '}') {
		return false
	}
	if m.d.peek() != '"' {
		m.d.syntax("where the name of a member is expected")
		return false
	}
	m.at = m.d.pos
	m.Key = m.d.string()
	if m.d.peek() != ':' {
		m.d.syntax("where a colon is expected")
		return false
	}
	m.d.pos++
	return m.d.err == nil
}

// Elements walks through an array.
type Elements struct {
	d     *Decoder
	first bool
}

// Array begins an array.
func (d *Decoder) Array() Elements {
	if !d.open('[', "an array") {
		return Elements{}
	}
	return Elements{d: d, first: true}
}

// Next goes to the next element; the caller must read it.
func (e *Elements) Next() bool {
	return e.d != nil && e.d.err == nil && e.d.more(&e.first, ']')
}

// Bool reads true or false.
func (d *Decoder) Bool() bool {
	switch d.peek() {
	case 't':
		return d.literal("true")
	case 'f':
		d.literal("false")
	default:
		d.mismatch("true or false")
	}
	return false
}

// Int reads a whole number that fits into that many bits.
func (d *Decoder) Int(bits int) int64 {
	text, at := d.number()
	if text == "" {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, bits)
	if err != nil {
		d.fail(at, fieldAt(d.text, at), fmt.Sprintf("%s is not a whole number from %d to %d", text, int64(-1)<<(bits-1), int64(1)<<(bits-1)-1))
	}
	return n
}

// Uint reads an unsigned whole number that fits into that many bits.
func (d *Decoder) Uint(bits int) uint64 {
	text, at := d.number()
	if text == "" {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, bits)
	if err != nil {
		d.fail(at, fieldAt(d.text, at), fmt.Sprintf("%s is not a whole number from 0 to %d", text, uint64(math.MaxUint64)>>(64-bits)))
	}
	return n
}

// number reads a number as text and returns where it began.
func (d *Decoder) number() (string, int) {
	if c := d.peek(); c != '-' && (c < '0' || c > '9') {
		d.mismatch("a number")
		return "", 0
	}
	at := d.pos
	if !d.skipNumber() {
		return "", 0
	}
	return d.text[at:d.pos], at
}

func (d *Decoder) skipNumber() bool {
	if d.pos < len(d.text) && d.text[d.pos] == '-' {
		d.pos++
	}
	if d.pos < len(d.text) && d.text[d.pos] == '0' {
		d.pos++
	} else if !d.digits() {
		return false
	}
	if d.pos < len(d.text) && d.text[d.pos] == '.' {
		d.pos++
		if !d.digits() {
			return false
		}
	}
	if d.pos < len(d.text) && d.text[d.pos]|0x20 == 'e' {
		d.pos++
		if d.pos < len(d.text) && (d.text[d.pos] == '+' || d.text[d.pos] == '-') {
			d.pos++
		}
		return d.digits()
	}
	return true
}

func (d *Decoder) digits() bool {
	at := d.pos
	for d.pos < len(d.text) && d.text[d.pos] >= '0' && d.text[d.pos] <= '9' {
		d.pos++
	}
	if d.pos == at {
		d.syntax("in a number")
		return false
	}
	return true
}

// String reads a string.
func (d *Decoder) String() string {
	if d.peek() != '"' {
		d.mismatch("a string")
		return ""
	}
	return d.string()
}

func (d *Decoder) string() string {
	d.pos++
	begin := d.pos
	for ; d.pos < len(d.text); d.pos++ {
		switch c := d.text[d.pos]; {
		case c == '"':
			s := d.text[begin:d.pos]
			d.pos++
			return s
		case c == '\\' || c >= utf8.RuneSelf:
			return d.unescape(begin)
		case c < ' ':
			d.syntax("in a string")
			return ""
		}
	}
	d.syntax("")
	return ""
}

var escapes = map[byte]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// unescape reads the rest of a string that needs a copy. Invalid UTF-8 becomes the
// replacement character.
func (d *Decoder) unescape(begin int) string {
	b := []byte(d.text[begin:d.pos])
	for d.pos < len(d.text) {
		c := d.text[d.pos]
		switch {
		case c == '"':
			d.pos++
			return string(b)
		case c == '\\':
			d.pos++
			b = d.escape(b)
		case c < ' ':
			d.syntax("in a string")
			return ""
		case c < utf8.RuneSelf:
			b = append(b, c)
			d.pos++
		default:
			r, size := utf8.DecodeRuneInString(d.text[d.pos:])
			b = utf8.AppendRune(b, r)
			d.pos += size
		}
	}
	d.syntax("")
	return ""
}

func (d *Decoder) escape(b []byte) []byte {
	if d.pos >= len(d.text) {
		return b
	}
	c := d.text[d.pos]
	if plain, ok := escapes[c]; ok {
		d.pos++
		return append(b, plain)
	}
	if c != 'u' {
		d.syntax("behind a backslash")
		return b
	}
	r := d.hex()
	if utf16.IsSurrogate(r) {
		low := rune(-1)
		if strings.HasPrefix(d.text[d.pos:], `\u`) {
			back := d.pos
			d.pos++
			if low = d.hex(); utf16.DecodeRune(r, low) == utf8.RuneError {
				d.pos = back // the second one stands for itself
			}
		}
		r = utf16.DecodeRune(r, low)
	}
	return utf8.AppendRune(b, r)
}

// hex reads the u and four digits of an escape.
func (d *Decoder) hex() rune {
	const digits = 4
	at := d.pos + 1
	for d.pos = at; d.pos < at+digits; d.pos++ {
		if d.pos >= len(d.text) || !strings.ContainsRune("0123456789abcdefABCDEF", rune(d.text[d.pos])) {
			d.syntax("where four hexadecimal digits are expected")
			return utf8.RuneError
		}
	}
	n, _ := strconv.ParseUint(d.text[at:d.pos], 16, 32)
	return rune(n)
}

// Text reads a string that the value itself can parse.
func (d *Decoder) Text(v encoding.TextUnmarshaler) {
	at := d.pos
	s := d.String()
	if d.err == nil {
		if err := v.UnmarshalText([]byte(s)); err != nil {
			d.fail(at, fieldAt(d.text, at), err.Error())
		}
	}
}

// Skip reads a value of any type.
func (d *Decoder) Skip() {
	switch c := d.peek(); {
	case c == '"':
		d.string()
	case c == '{':
		for m := d.Object(); m.Next(); {
			d.Skip()
		}
	case c == '[':
		for e := d.Array(); e.Next(); {
			d.Skip()
		}
	case c == 't':
		d.literal("true")
	case c == 'f':
		d.literal("false")
	case c == 'n':
		d.literal("null")
	case c == '-' || c >= '0' && c <= '9':
		d.skipNumber()
	default:
		d.syntax("where a value is expected")
	}
}

// fieldAt names the member whose value begins at an offset. The document is well-formed up
// to there. Only errors need it.
func fieldAt(text string, at int) string {
	d := NewDecoder(text)
	return strings.TrimPrefix(d.find(at), ".")
}

// find walks to the value at an offset and returns the path to it.
func (d *Decoder) find(at int) string {
	c := d.peek()
	if d.pos >= at || d.err != nil {
		return ""
	}
	switch c {
	case '{':
		for m := d.Object(); m.Next(); {
			if way := d.find(at); d.pos >= at {
				return "." + m.Key + way
			}
		}
	case '[':
		i := 0
		for e := d.Array(); e.Next(); i++ {
			if way := d.find(at); d.pos >= at {
				return fmt.Sprintf("[%d]", i) + way
			}
		}
	default:
		d.Skip()
	}
	return ""
}
