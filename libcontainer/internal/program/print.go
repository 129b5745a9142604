package program

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Text returns the instruction as the kernel's own manual would write it:
// mkdirat(r3, "dev", 0755).
func (p *Program) Text(i int) string {
	return p.text(i, func(l Label) string { return fmt.Sprintf("%d (%s)", p.labels[l].at, p.labels[l].name) })
}

func (p *Program) text(i int, label func(Label) string) string {
	ins := &p.Instructions[i]
	switch ins.Op {
	case OpJump:
		return "goto " + label(ins.Target)
	case OpBranch:
		return fmt.Sprintf("if r%d %s %d goto %s", ins.Dst, ins.Cond, int64(ins.Args[0].Value), label(ins.Target))
	case OpStore:
		return fmt.Sprintf("%s = r%d (%d bytes)", p.argText(num, ins.Args[0]), ins.Dst, ins.Size)
	case OpLoad:
		return fmt.Sprintf("r%d = *%s (%d bytes)", ins.Dst, p.argText(num, ins.Args[0]), ins.Size)
	case OpMove:
		return fmt.Sprintf("r%d = %s", ins.Dst, p.argText(num, ins.Args[0]))
	}
	return p.callText(ins, label)
}

func (p *Program) callText(ins *Instruction, label func(Label) string) string {
	var s strings.Builder
	if ins.Dst != Scratch {
		fmt.Fprintf(&s, "r%d = ", ins.Dst)
	}
	s.WriteString(ins.Call.String())
	s.WriteByte('(')
	shown := formats()[ins.Call]
	for i, a := range ins.Args[:ins.NArgs] {
		if i > 0 {
			s.WriteString(", ")
		}
		format := argFormat(num)
		if i < len(shown) {
			format = shown[i]
		}
		s.WriteString(p.argText(format, a))
	}
	s.WriteByte(')')
	if ins.Errnos[0] != 0 {
		s.WriteString(p.errorText(ins, label))
	}
	return s.String()
}

// errorText is the part of a listing after the call: what happens on errors.
func (p *Program) errorText(ins *Instruction, label func(Label) string) string {
	var names []string
	for _, e := range ins.Errnos {
		switch e {
		case 0:
		case AnyErrno:
			names = append(names, "any error")
		default:
			names = append(names, unix.ErrnoName(unix.Errno(e)))
		}
	}
	if ins.Target == Next {
		return " ignoring " + strings.Join(names, ", ")
	}
	return " on " + strings.Join(names, ", ") + " goto " + label(ins.Target)
}

func (p *Program) argText(format argFormat, a Arg) string {
	switch a.Kind {
	case Register:
		return fmt.Sprintf("r%d", a.Value)
	case Address:
		it := &p.Items[a.Ref().Item]
		if it.Text {
			return fmt.Sprintf("%q", it.Bytes[a.Value:len(it.Bytes)-1])
		}
		if s := format(p, a); s[0] == '{' {
			return s
		}
		if a.Value != 0 {
			return fmt.Sprintf("&%s+%d", it.Name, a.Value)
		}
		return "&" + it.Name
	}
	return format(p, a)
}

// String lists the whole program: each field, its instructions below, and labels by their
// names. It has no instruction numbers, so that a new instruction changes only one line.
func (p *Program) String() string {
	names := p.labelNames()
	label := func(l Label) string { return names[l] }
	at := make([][]string, len(p.Instructions)+1)
	for l := range p.labels {
		if i := p.labels[l].at; i >= 0 {
			at[i] = append(at[i], names[l])
		}
	}
	var s strings.Builder
	var note Note
	for i := range p.Instructions {
		if n := *p.Instructions[i].Note; i == 0 || n != note {
			note = n
			fmt.Fprintf(&s, "%s\n", strings.TrimPrefix(n.Source+": "+n.Purpose, ": "))
		}
		for _, name := range at[i] {
			fmt.Fprintf(&s, "  %s:\n", name)
		}
		fmt.Fprintf(&s, "    %s\n", p.text(i, label))
	}
	return s.String()
}

// labelNames are the labels' names, with numbers where several have the same.
func (p *Program) labelNames() []string {
	count, names := map[string]int{}, make([]string, len(p.labels))
	for l := range p.labels {
		name := p.labels[l].name
		count[name]++
		if names[l] = name; count[name] > 1 {
			names[l] = fmt.Sprintf("%s (%d)", name, count[name])
		}
	}
	return names
}

// Failure says in words that instruction i failed with errno: the field that asked for it,
// its purpose, and the call.
type Failure struct {
	// Index is the instruction's place in the program.
	Index int
	// Source and Purpose are the instruction's.
	Source, Purpose string
	// Call is the system call as text.
	Call  string
	Errno unix.Errno
	// Log is the message of the kernel's file system context (fsopen(2)).
	Log string
}

// Failure describes the failed instruction i.
func (p *Program) Failure(i int, errno unix.Errno, log string) *Failure {
	f := &Failure{Index: i, Errno: errno, Log: log}
	if i < 0 || i >= len(p.Instructions) {
		f.Purpose = "unknown instruction"
		return f
	}
	ins := &p.Instructions[i]
	f.Source, f.Purpose, f.Call = ins.Source, ins.Purpose, ins.Call.String()
	return f
}

func (f *Failure) Error() string {
	s := f.Errno.Error()
	if f.Call != "" { // the description of the steps may be lost
		s = f.Call + ": " + s
	}
	s = f.Purpose + ": " + s
	if f.Source != "" {
		s = f.Source + ": " + s
	}
	switch {
	case f.Log != "":
		s += " (" + f.Log + ")"
	case f.Call == Openat2.String() && f.Errno == unix.ELOOP:
		s += " (the path has a symlink that rt does not follow there, or a loop of symlinks)"
	case f.Call == MoveMount.String() && f.Errno == unix.EINVAL:
		s += " (a directory can only be mounted on a directory, and a file on a file)"
	}
	return s
}

// Unwrap lets errors.Is find the errno.
func (f *Failure) Unwrap() error { return f.Errno }
