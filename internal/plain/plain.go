// Package plain makes foreign text safe for messages.
package plain

import (
	"strconv"
	"strings"
	"unicode"
)

// Text replaces what a terminal would execute instead of show, such as escape sequences,
// by its notation in Go. Newlines and tabs stay.
func Text(s string) string {
	if strings.IndexFunc(s, commands) < 0 {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == unicode.ReplacementChar && !strings.HasPrefix(s[i:], string(r)):
			b.WriteString(`\x` + strconv.FormatUint(uint64(s[i]), 16)) // no UTF-8
		case commands(r):
			q := strconv.QuoteRune(r)
			b.WriteString(q[1 : len(q)-1])
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// commands are control and format characters, including those that change the direction of
// writing, and bytes that are not UTF-8.
func commands(r rune) bool {
	return r != '\n' && r != '\t' && (r == unicode.ReplacementChar || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp))
}
