package image

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"golang.org/x/sys/unix"
)

// failing adds the shortest failure handler: exit with the errno's low byte.
func failing(b *program.Builder) {
	fail := b.Here("fail")
	b.Do(program.ExitGroup, program.R(program.FailedWith))
	b.FailAt(fail)
}

func link(t *testing.T, b *program.Builder) *Image {
	t.Helper()
	p, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	im, err := Link(p)
	if err != nil {
		t.Fatal(err)
	}
	return im
}

// run executes the image as a process of its own and returns its exit status
// and what it wrote. Under user-mode emulation /proc/self/fd is not an
// executable the emulator could load, so the image goes through a real file.
func run(t *testing.T, im *Image) (int, string) {
	t.Helper()
	path := t.TempDir() + "/image"
	if err := os.WriteFile(path, im.Bytes(), 0o755); err != nil {
		t.Fatal(err)
	}
	args := []string{path}
	if emulator := os.Getenv("RT_EMULATOR"); emulator != "" {
		args = []string{emulator, path}
	}
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if exit != nil {
		if exit.ExitCode() < 0 {
			t.Fatalf("image died: %v", exit)
		}
		return exit.ExitCode(), string(out)
	}
	return 0, string(out)
}

func TestSyscallArgumentsAndResult(t *testing.T) {
	b := program.NewBuilder()
	n := b.Reg()
	b.Do(program.Write, program.Imm(1), b.Str("hello\n"), program.Imm(6)).To(n)
	m := b.Reg()
	b.Move(m, program.R(n))
	b.Do(program.ExitGroup, program.R(m))
	failing(b)
	if code, out := run(t, link(t, b)); code != 6 || out != "hello\n" {
		t.Fatalf("exit status %d, output %q", code, out)
	}
}

func TestUnexpectedErrorGoesToTheHandler(t *testing.T) {
	b := program.NewBuilder()
	b.Do(program.Close, program.Imm(4000)).Ignore(unix.EPERM)
	b.Do(program.ExitGroup, program.Imm(0))
	failing(b)
	if code, _ := run(t, link(t, b)); code != int(unix.EBADF) {
		t.Fatalf("exit status %d, want EBADF", code)
	}
}

func TestExpectedErrors(t *testing.T) {
	for name, errnos := range map[string][]unix.Errno{
		"any": nil, "first": {unix.EBADF}, "last": {1, 2, 3, unix.EBADF},
	} {
		t.Run(name, func(t *testing.T) {
			b := program.NewBuilder()
			r := b.Reg()
			there := b.NewLabel("there")
			b.Do(program.Close, program.Imm(4000)).Ignore(errnos...)
			b.Do(program.Close, program.Imm(4000)).To(r).OnError(there, errnos...)
			b.Do(program.ExitGroup, program.Imm(1))
			b.Bind(there)
			wrong := b.NewLabel("wrong")
			b.Branch(r, program.Ne, -int64(unix.EBADF), wrong)
			b.Do(program.ExitGroup, program.Imm(7))
			b.Bind(wrong)
			b.Do(program.ExitGroup, program.Imm(2))
			failing(b)
			if code, _ := run(t, link(t, b)); code != 7 {
				t.Fatalf("exit status %d", code)
			}
		})
	}
}

// A rename anywhere makes openat2(2) return EAGAIN for a path with "..".
func TestRenamesElsewhereDoNotDisturb(t *testing.T) {
	dir := t.TempDir()
	stop, stopped := make(chan bool), make(chan bool)
	go func() {
		defer close(stopped)
		one, other := filepath.Join(dir, "one"), filepath.Join(dir, "other")
		_ = os.WriteFile(one, nil, 0o600)
		for {
			select {
			case <-stop:
				return
			default:
				_ = os.Rename(one, other)
				_ = os.Rename(other, one)
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	b := program.NewBuilder()
	how := b.Struct("open_how", program.U64(unix.O_PATH), program.U64(0), program.U64(unix.RESOLVE_IN_ROOT))
	walk := b.Str("/usr/" + strings.Repeat("lib/../", 100))
	fd := b.Reg()
	for range 1000 {
		b.Do(program.Openat2, program.AtFdcwd, walk, program.At(how), program.Imm(unix.SizeofOpenHow)).To(fd)
		b.Do(program.Close, program.R(fd))
	}
	b.Do(program.ExitGroup, program.Imm(0))
	failing(b)
	t.Chdir("/")
	if code, _ := run(t, link(t, b)); code != 0 {
		t.Fatalf("openat2: %v", unix.Errno(code))
	}
}

func TestBranches(t *testing.T) {
	for _, c := range []struct {
		reg   int64
		cond  program.Cond
		imm   int64
		taken bool
	}{
		{1, program.Eq, 1, true}, {1, program.Eq, 2, false},
		{1, program.Ne, 1, false}, {1, program.Ne, 2, true},
		{-1, program.Lt, 0, true}, {0, program.Lt, 0, false}, {1, program.Lt, 0, false},
		{-1, program.Ge, 0, false}, {0, program.Ge, 0, true}, {1, program.Ge, 0, true},
	} {
		b := program.NewBuilder()
		r := b.Reg()
		taken := b.NewLabel("taken")
		b.Move(r, program.Imm(c.reg))
		b.Branch(r, c.cond, c.imm, taken)
		b.Do(program.ExitGroup, program.Imm(0))
		b.Bind(taken)
		b.Do(program.ExitGroup, program.Imm(1))
		failing(b)
		if code, _ := run(t, link(t, b)); (code == 1) != c.taken {
			t.Errorf("%d %s %d: taken %v", c.reg, c.cond, c.imm, code == 1)
		}
	}
}

func TestLoadAndStoreWidths(t *testing.T) {
	b := program.NewBuilder()
	const value = 0x1122334455667788
	src := b.Struct("source", program.U64(value))
	dst := b.WritableStruct("target", program.U64(0xffffffffffffffff), program.U64(0xffffffffffffffff),
		program.U64(0xffffffffffffffff), program.U64(0xffffffffffffffff))
	zeros := b.Buffer("zeros", 32)
	r := b.Reg()
	for i, size := range []uint8{1, 2, 4, 8} {
		b.Load(r, size, src)
		b.Store(r, 8, zeros.Plus(8*i))
		b.Load(r, 8, src)
		b.Store(r, size, dst.Plus(8*i))
	}
	b.Do(program.Write, program.Imm(1), program.At(zeros), program.Imm(32))
	b.Do(program.Write, program.Imm(1), program.At(dst), program.Imm(32))
	b.Do(program.ExitGroup, program.Imm(0))
	failing(b)
	_, out := run(t, link(t, b))
	want := []uint64{
		0x88, 0x7788, 0x55667788, value,
		0xffffffffffffff88, 0xffffffffffff7788, 0xffffffff55667788, value,
	}
	for i, w := range want {
		if got := binary.LittleEndian.Uint64([]byte(out)[8*i:]); got != w {
			t.Errorf("word %d: %#x, want %#x", i, got, w)
		}
	}
}

func TestPointersInStructures(t *testing.T) {
	b := program.NewBuilder()
	argv := b.Strings("argv", []string{"/bin/echo", "a b"})
	slot := b.WritableStruct("pointer", program.Ptr(b.StrRef("/bin/echo")))
	r := b.Reg()
	b.Load(r, 8, slot)
	b.Do(program.Execve, program.R(r), program.At(argv), program.Imm(0))
	failing(b)
	if code, out := run(t, link(t, b)); out != "a b\n" {
		t.Fatalf("exit status %d, output %q", code, out)
	}
}

func TestNoSegmentIsWritableAndExecutable(t *testing.T) {
	b := program.NewBuilder()
	failing(b)
	im := link(t, b)
	for i := range segments {
		flags := binary.LittleEndian.Uint32(im.Bytes()[elfHeaderSize+i*progHeaderSize+4:])
		if flags&pfW != 0 && flags&pfX != 0 {
			t.Errorf("segment %d has flags %#x", i, flags)
		}
	}
}

func TestFileCannotBeChanged(t *testing.T) {
	b := program.NewBuilder()
	failing(b)
	im := link(t, b)
	for name, open := range map[string]func() (*os.File, error){"memfd": im.memfd, "detached tmpfs": im.detached} {
		t.Run(name, func(t *testing.T) {
			f, err := open()
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if w, err := os.OpenFile("/proc/self/fd/"+itoa(f.Fd()), os.O_WRONLY, 0); err == nil {
				if _, err := w.Write([]byte("x")); err == nil {
					t.Error("the image could be written")
				}
				w.Close()
			}
			f.Seek(0, io.SeekStart)
			got, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<20))
			if err != nil || string(got) != string(im.Bytes()) {
				t.Errorf("content differs: %v", err)
			}
		})
	}
}

func TestDecodeReadsWhatLinkWrote(t *testing.T) {
	b := program.NewBuilder()
	r := b.Reg()
	b.Do(program.Prctl, program.Imm(4), program.R(r), program.Imm(-1)).To(r).Ignore(unix.EINVAL, unix.EPERM)
	failing(b)
	recs, err := Decode(link(t, b).Code())
	if err != nil {
		t.Fatal(err)
	}
	want := Record{
		Nr: unix.SYS_PRCTL, Op: program.OpSyscall, Dst: r, Mask: 2,
		Args:   [6]uint64{4, uint64(r), 1<<64 - 1},
		Errnos: [4]program.Errno{program.Errno(unix.EINVAL), program.Errno(unix.EPERM)}, Target: uint32(Addr(1)),
	}
	if len(recs) != 2 || recs[0] != want {
		t.Errorf("got %+v\nwant %+v", recs, want)
	}
}

func itoa(n uintptr) string { return strconv.FormatUint(uint64(n), 10) }

// FuzzEncode writes an instruction and reads it back.
func FuzzEncode(f *testing.F) {
	f.Add(uint8(program.OpSyscall), uint8(3), uint64(7), uint8(2), uint16(2), true)
	f.Add(uint8(program.OpBranch), uint8(63), uint64(1<<63), uint8(3), uint16(0xffff), false)
	f.Fuzz(func(t *testing.T, op, reg uint8, value uint64, count uint8, errno uint16, register bool) {
		b := program.NewBuilder()
		there := b.NewLabel("there")
		r := program.Reg(reg % program.NumRegs)
		arg := program.Imm(value)
		if register {
			arg = program.R(r)
		}
		args := make([]program.Arg, count%7)
		for i := range args {
			args[i] = arg
		}
		switch program.Op(op % 6) {
		case program.OpSyscall:
			b.Do(program.Call(value%10), args...).To(r).OnError(there, unix.Errno(errno|1))
		case program.OpJump:
			b.Jump(there)
		case program.OpBranch:
			b.Branch(r, program.Cond(count%4), int64(value), there)
		case program.OpMove:
			b.Move(r, arg)
		case program.OpLoad:
			b.Load(r, 1<<(count%4), b.Buffer("buffer", 8))
		case program.OpStore:
			b.Store(r, 1<<(count%4), b.Buffer("buffer", 8))
		}
		b.Bind(there)
		failing(b)
		p, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		im, err := Link(p)
		if err != nil {
			t.Fatal(err)
		}
		recs, err := Decode(im.Code())
		if err != nil || len(recs) != len(p.Instructions) {
			t.Fatalf("%d records, %v", len(recs), err)
		}
		ins, rec := p.Instructions[0], recs[0]
		if rec.Op != ins.Op || rec.Dst != ins.Dst || rec.Errnos != ins.Errnos {
			t.Errorf("got %+v, want %+v", rec, ins)
		}
		for i, a := range ins.Args[:ins.NArgs] {
			if a.Kind != program.Address && (rec.Args[i] != a.Value || (rec.Mask>>i&1 == 1) != (a.Kind == program.Register)) {
				t.Errorf("argument %d: got %#x, want %+v", i, rec.Args[i], a)
			}
		}
	})
}
