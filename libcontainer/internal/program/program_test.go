package program

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func build(t *testing.T, b *Builder) *Program {
	t.Helper()
	p, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// ended adds an end and a failure handler that the simulator can tell apart.
func ended(b *Builder) {
	b.Do(ExitGroup, Imm(0))
	b.FailAt(b.Here("failure"))
	b.Do(ExitGroup, Imm(1))
}

// kernel answers by the name of the call and halts at exit_group.
func kernel(answers map[Call]int64, trace *[]string) KernelFunc {
	return func(m *Machine, c Call, args [6]uint64) int64 {
		*trace = append(*trace, c.String())
		if c == ExitGroup {
			*trace = append(*trace, map[uint64]string{0: "end", 1: "failure"}[args[0]])
			m.Halt()
		}
		return answers[c]
	}
}

func simulate(t *testing.T, p *Program, answers map[Call]int64) string {
	t.Helper()
	m, err := NewMachine(p)
	if err != nil {
		t.Fatal(err)
	}
	var trace []string
	if err := m.Run(kernel(answers, &trace), 1000); err != nil {
		t.Fatal(err)
	}
	return strings.Join(trace, " ")
}

// Programming errors are found when the program is built.
func TestSlipsWithRegisters(t *testing.T) {
	CheckRegisters = true
	defer func() { CheckRegisters = false }()
	for name, write := range map[string]func(b *Builder, r Reg){
		"freed twice":                func(b *Builder, r Reg) { b.Free(r); b.Free(r) },
		"used after it was freed":    func(b *Builder, r Reg) { b.Move(r, Imm(1)); b.Free(r); b.Do(Close, R(r)) },
		"written after that":         func(b *Builder, r Reg) { b.Free(r); b.Do(Getpid).To(r) },
		"read before it was written": func(b *Builder, r Reg) { b.Do(Close, R(r)) },
		"compared before that":       func(b *Builder, r Reg) { b.Branch(r, Eq, 0, b.NewLabel("l")) },
		"stored before that":         func(b *Builder, r Reg) { b.Store(r, 4, b.Buffer("b", 8)) },
		"taken again, not written":   func(b *Builder, r Reg) { b.Move(r, Imm(1)); b.Free(r); b.Do(Close, R(b.Reg())) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("nobody noticed")
				}
			}()
			b := NewBuilder()
			write(b, b.Reg())
		})
	}
	b := NewBuilder()
	r := b.Reg()
	b.Do(Getpid).To(r)
	b.Do(Close, R(r))
	b.Free(r)
}

func TestListingReadsLikeTheManual(t *testing.T) {
	b := NewBuilder()
	b.Source("mounts[3]", "mount tmpfs")
	fd := b.Reg()
	done := b.NewLabel("done")
	b.Do(Openat, AtFdcwd, b.Str("/dev"), Imm(unix.O_PATH|unix.O_CLOEXEC), Imm(0)).To(fd).OnError(done, unix.ENOENT)
	b.Do(Mkdirat, R(fd), b.Str("shm"), Imm(0o755)).Ignore(unix.EEXIST)
	b.Do(Prctl, Imm(unix.PR_SET_DUMPABLE), Imm(0), Imm(0), Imm(0), Imm(0)).Ignore()
	b.Branch(fd, Ge, -1, done)
	b.Bind(done)
	b.Source("", "end")
	ended(b)
	want := `mounts[3]: mount tmpfs
    r1 = openat(AT_FDCWD, "/dev", O_PATH|O_CLOEXEC, 0) on ENOENT goto done
    mkdirat(r1, "shm", 0755) ignoring EEXIST
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) ignoring any error
    if r1 >= -1 goto done
end
  done:
    exit_group(0)
  failure:
    exit_group(1)
`
	if got := build(t, b).String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestEveryCallHasANameAndANumber(t *testing.T) {
	seen := map[uint32]string{}
	for c := range numCalls {
		if c.String() == "" {
			t.Errorf("call %d has no name", c)
		}
		if other := seen[c.Number()]; other != "" {
			t.Errorf("%s and %s have the same number", c, other)
		}
		seen[c.Number()] = c.String()
	}
}

func TestErrorsBranch(t *testing.T) {
	b := NewBuilder()
	missing := b.NewLabel("missing")
	b.Do(Chdir, b.Str("/x")).OnError(missing, unix.ENOENT, unix.ENOTDIR)
	b.Do(Setsid)
	b.Bind(missing)
	ended(b)
	p := build(t, b)
	for errno, want := range map[unix.Errno]string{
		0:            "chdir setsid exit_group end",
		unix.ENOENT:  "chdir exit_group end",
		unix.ENOTDIR: "chdir exit_group end",
		unix.EACCES:  "chdir exit_group failure",
	} {
		if got := simulate(t, p, map[Call]int64{Chdir: -int64(errno)}); got != want {
			t.Errorf("%v: %s, want %s", errno, got, want)
		}
	}
}

// A timed program does the same, and every step that is carried out has its time first.
func TestTimedProgramDoesTheSame(t *testing.T) {
	b := NewBuilder()
	missing := b.NewLabel("missing")
	b.Do(Chdir, b.Str("/x")).OnError(missing, unix.ENOENT)
	b.Do(Setsid)
	b.Bind(missing)
	ended(b)
	plain := build(t, b)
	const base = 1 << 32
	timed, moved := plain.Timed(base, 1<<20, func(i int) bool { return plain.Instructions[i].Call != Setsid })
	for errno, want := range map[unix.Errno]string{
		0:           "clock_gettime chdir setsid clock_gettime exit_group end",
		unix.ENOENT: "clock_gettime chdir clock_gettime exit_group end",
		unix.EACCES: "clock_gettime chdir clock_gettime exit_group failure",
	} {
		if got := simulate(t, timed, map[Call]int64{Chdir: -int64(errno), ClockGettime: -int64(unix.EFAULT)}); got != want {
			t.Errorf("%v: %s, want %s", errno, got, want)
		}
	}
	for i, at := range moved {
		if timed.Instructions[at].Call != plain.Instructions[i].Call {
			t.Errorf("instruction %d is now %s, not %s", at, timed.Text(at), plain.Text(i))
		}
		if stamp := &timed.Instructions[at-1]; at > 0 && stamp.Call == ClockGettime && stamp.Args[1] != Imm(uint64(base+at*stampSize)) {
			t.Errorf("the time of instruction %d: %s", at, timed.Text(at-1))
		}
	}
	small, _ := plain.Timed(base, stampSize, func(int) bool { return true })
	if len(small.Instructions) != len(plain.Instructions) {
		t.Error("a time was written behind the memory for it")
	}
}

func TestMemory(t *testing.T) {
	b := NewBuilder()
	src := b.Struct("source", U16(1), U32(0x01020304), Ptr(b.StrRef("text")))
	buf := b.Buffer("buffer", 16)
	r := b.Reg()
	b.Load(r, 4, src.Plus(4)) // U32 is aligned as in C
	b.Store(r, 2, buf.Plus(2))
	b.Load(r, 8, src.Plus(8))
	b.Store(r, 8, buf.Plus(8))
	ended(b)
	m, err := NewMachine(build(t, b))
	if err != nil {
		t.Fatal(err)
	}
	var trace []string
	if err := m.Run(kernel(nil, &trace), 100); err != nil {
		t.Fatal(err)
	}
	got, err := m.Memory(m.layout.Addr(buf), 16)
	if err != nil || got[2] != 4 || got[3] != 3 || got[4] != 0 {
		t.Errorf("%v %v", got, err)
	}
	if s := m.CString(m.Regs[r]); s != "text" {
		t.Errorf("%q", s)
	}
}

func TestBuildRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		build func(b *Builder)
		words string
	}{
		"unbound label":        {func(b *Builder) { b.Jump(b.NewLabel("nowhere")); ended(b) }, "nowhere"},
		"label bound twice":    {func(b *Builder) { l := b.Here("twice"); b.Do(Setsid); b.Bind(l); ended(b) }, "bound twice"},
		"no failure handler":   {func(b *Builder) { b.Do(Setsid) }, "no failure handler"},
		"store to a constant":  {func(b *Builder) { b.Store(1, 8, b.Struct("constant", U64(1))); ended(b) }, "constant"},
		"too many errnos":      {func(b *Builder) { b.Do(Setsid).Ignore(1, 2, 3, 4, 5); ended(b) }, "too many"},
		"two targets of error": {func(b *Builder) { b.Do(Setsid).Ignore(1).Ignore(2); ended(b) }, "too many"},
		"out of registers": {func(b *Builder) {
			for range NumRegs {
				b.Reg()
			}
			ended(b)
		}, "out of registers"},
	} {
		b := NewBuilder()
		c.build(b)
		if _, err := b.Build(); err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEndlessProgramStops(t *testing.T) {
	b := NewBuilder()
	b.Jump(b.Here("again"))
	ended(b)
	m, err := NewMachine(build(t, b))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Run(kernel(nil, new([]string)), 100); !errors.Is(err, ErrSteps) {
		t.Error(err)
	}
}

func TestFailureIsAnAddress(t *testing.T) {
	b := NewBuilder()
	b.Source("mounts[2]", `mount source "/srv" on "/data"`)
	b.Do(MoveMount, Imm(3), b.Str(""), Imm(4), b.Str(""), Imm(0))
	ended(b)
	f := build(t, b).Failure(0, unix.EPERM, "")
	if got, want := f.Error(), `mounts[2]: mount source "/srv" on "/data": move_mount: operation not permitted`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if !errors.Is(f, unix.EPERM) {
		t.Error("errors.Is does not find the errno")
	}
}
