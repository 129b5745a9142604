package plain

import "testing"

func TestText(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"two\n\tlines, ü and 漢字", "two\n\tlines, ü and 漢字"},
		{"\x1b]0;title\a\x1b[2J", `\x1b]0;title\a\x1b[2J`},
		{"a\rb\x00\u007f", `a\rb\x00\x7f`},
		{"\u009b1m C1", `\u009b1m C1`},
		{"user\u202e gnp", `user\u202e gnp`},
		{"\xff\xfe�", `\xff\xfe�`},
	} {
		if got := Text(c.in); got != c.want {
			t.Errorf("%q: %s, want %s", c.in, got, c.want)
		}
	}
}
