package spec

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

const (
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits  = "0123456789"
)

// entry names an entry of a list: mounts[2].
func entry(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }

// member names the value of a key that the configuration chooses:
// linux.sysctl["net.ipv4.ip_forward"].
func member(of, key string) string { return fmt.Sprintf("%s[%s]", of, shorten(strconv.Quote(key))) }

// text refuses a NUL byte. JSON can contain one, but a system call would use only the part
// before it.
func (v *validator) text(field, value string) {
	if strings.IndexByte(value, 0) >= 0 {
		v.add(field, "contains a NUL byte")
	}
}

// line is text of one line, as kernel files require.
func (v *validator) line(field, value string) {
	if strings.ContainsAny(value, "\x00\n") {
		v.add(field, "contains a NUL byte or a newline")
	}
}

// texts checks every string of a list.
func (v *validator) texts(field string, list []string) {
	for i, s := range list {
		v.text(entry(field, i), s)
	}
}

// absolute requires an absolute path.
func (v *validator) absolute(field, name string) {
	switch {
	case name == "":
		v.add(field, "missing; it must be an absolute path")
	case !path.IsAbs(name):
		v.add(field, "%q is not an absolute path", name)
	default:
		v.text(field, name)
	}
}

// environment checks a list of variables: config.md requires POSIX's environ, whose
// strings have the form name=value.
func (v *validator) environment(field string, env []string) {
	for i, e := range env {
		v.text(entry(field, i), e)
		if name, _, ok := strings.Cut(e, "="); !ok || name == "" {
			v.add(entry(field, i), "%q is not of the form NAME=VALUE", e)
		}
	}
}

// oneOf requires a name of a table.
func oneOf[T any](v *validator, field, name string, t Table[T]) bool {
	_, ok := t.Find(name)
	switch {
	case name == "":
		v.add(field, "missing; use one of %s", strings.Join(t.Names(), ", "))
	case !ok:
		v.add(field, "%q is not one of %s", name, strings.Join(t.Names(), ", "))
	}
	return ok
}

// within requires a number in a range.
func (v *validator) within(field string, n, low, high int64) {
	if n < low || n > high {
		v.add(field, "%d is outside %d to %d", n, low, high)
	}
}
