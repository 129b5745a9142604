package jsontext

import (
	"fmt"
	"strings"

	"github.com/rtcontainers/rt/internal/defence"
)

// Remarks are about the names of members in a document.
type Remarks struct {
	// Folded members were accepted, though their names are in other letter cases.
	Folded []string
	// Unknown members were ignored.
	Unknown []string
}

// remark is one remark. name is the member that it was accepted as, "" if it is unknown.
type remark struct {
	at   int
	name string
}

// maxRemarks is how many are kept: nobody reads more.
const maxRemarks = 100

// Fold accepts an unknown member as encoding/json and other readers of the document do: as
// the first name that differs only in letter case. Otherwise rt would skip a "readOnly"
// that its author means and others see. The member then has that name.
func (m *Members) Fold(names ...string) bool {
	if m.d.err != nil {
		return false
	}
	folded := ""
	if !defence.Off(defence.FoldedMembers) {
		folded = fold(m.Key, names)
	}
	if len(m.d.remarks) < maxRemarks {
		m.d.remarks = append(m.d.remarks, remark{m.at, folded})
	}
	if folded == "" {
		return false
	}
	m.Key = folded
	return true
}

func fold(key string, names []string) string {
	for _, name := range names {
		if strings.EqualFold(name, key) {
			return name
		}
	}
	return ""
}

// Remarks must be called after the document was read. If there are remarks, it walks
// through the document again.
func (d *Decoder) Remarks() (r Remarks) {
	if d.err != nil || len(d.remarks) == 0 {
		return r
	}
	w := &walk{d: NewDecoder(d.text), remarks: d.remarks}
	w.value("")
	for i, remark := range d.remarks {
		if remark.name == "" {
			r.Unknown = append(r.Unknown, w.paths[i]+": unknown, and ignored")
		} else {
			r.Folded = append(r.Folded, fmt.Sprintf("%s: taken as %q; write it so", w.paths[i], remark.name))
		}
	}
	return r
}

// walk finds the paths of members by their offsets.
type walk struct {
	d       *Decoder
	remarks []remark
	paths   []string
}

// value walks through the value at a path, if there may be a remark in it.
func (w *walk) value(path string) {
	c := w.d.peek()
	switch {
	case len(w.paths) == len(w.remarks) || c != '{' && c != '[':
		w.d.Skip()
	case c == '{':
		for m := w.d.Object(); m.Next(); {
			member := join(path, m.Key)
			if n := len(w.paths); n < len(w.remarks) && w.remarks[n].at == m.at {
				w.paths = append(w.paths, member)
			}
			w.value(member)
		}
	default:
		i := 0
		for e := w.d.Array(); e.Next(); i++ {
			w.value(fmt.Sprintf("%s[%d]", path, i))
		}
	}
}

// join adds a member to a path. It quotes an ambiguous name and truncates a long one.
func join(path, key string) string {
	const (
		letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
		longest = 64
	)
	if len(key) > longest || strings.Trim(key, letters) != "" || key == "" {
		return fmt.Sprintf("%s[%+.*q]", path, longest, key)
	}
	return strings.TrimPrefix(path+"."+key, ".")
}
