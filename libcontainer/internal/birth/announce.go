package birth

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
	"golang.org/x/sys/unix"
)

// announce tells the caller the process's pid.
func (b *Birth) announce() error {
	if b.PidFile != "" {
		if err := writeFile(b.PidFile, strconv.Itoa(b.proc.Pid)); err != nil {
			return fmt.Errorf("--pid-file: %w", err)
		}
		b.undoing(func() { _ = os.Remove(b.PidFile) })
	}
	if b.PIDFD == nil {
		return nil
	}
	fd, err := unix.FcntlInt(uintptr(b.proc.PidFD), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return os.NewSyscallError("dup", err)
	}
	return b.PIDFD(os.NewFile(uintptr(fd), "pidfd"))
}

// writeFile writes a small file so that readers see all of it or none.
func writeFile(name, content string) error {
	if defence.Off(defence.CallerFiles) {
		return os.WriteFile(name, []byte(content), 0o666)
	}
	tmp := filepath.Join(filepath.Dir(name), "."+filepath.Base(name))
	// Never into a file that somebody else has put there, or through a link.
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	f, err := os.OpenFile(tmp, flags, 0o644)
	if errors.Is(err, fs.ErrExist) && leftByRt(tmp) && os.Remove(tmp) == nil {
		f, err = os.OpenFile(tmp, flags, 0o644)
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	f.Close()
	if err == nil {
		err = os.Rename(tmp, name)
	}
	if err != nil {
		os.Remove(tmp)
	}
	return err
}

// leftByRt tells whether a file can be one that an rt of the same user left when it was killed.
func leftByRt(name string) bool {
	info, err := os.Lstat(name)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

// takeTerminal passes the master of a terminal to the caller.
func takeTerminal(master *os.File, p *specs.Process, take func(*os.File) error) error {
	if master == nil || p == nil || take == nil {
		return errors.New("process.terminal: the init program sent no terminal")
	}
	if box := p.ConsoleSize; box != nil {
		size := unix.Winsize{Row: uint16(box.Height), Col: uint16(box.Width)}
		if err := unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &size); err != nil {
			return fmt.Errorf("process.consoleSize: %w", err)
		}
	}
	return take(master)
}
