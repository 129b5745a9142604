package birth

import (
	"path/filepath"
	"slices"

	"github.com/rtcontainers/rt/libcontainer/internal/compile"
	"github.com/rtcontainers/rt/libcontainer/internal/program/image"
	"golang.org/x/sys/unix"
)

// prepareKeeper makes the program of Keep if that can do all the work.
func (f *first) prepareKeeper() error {
	wishes, s, open := f.Keeper, f.container.State, f.container.Dir
	if wishes == nil || f.o.Gate || s.SharedPids || s.RootMount != 0 || s.Resctrl != nil || (s.Hooks != nil && len(s.Hooks.Poststop) > 0) {
		return nil
	}
	dir, err := filepath.Abs(open.Path())
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(open.Fd()), &st); err != nil {
		return err
	}
	k := &compile.Keeper{
		Pid: f.proc.Pid, PidFD: f.proc.PidFD, Dir: dir, DirFD: int(open.Fd()), Inode: st.Ino, Files: open.Names(),
		NoRemoval: wishes.NoRemoval, Delete: wishes.Delete, Ignored: wishes.Ignored,
	}
	if f.cgroup.Systemd {
		k.Leave = true // only rt can talk to systemd
	}
	for _, path := range s.Cgroup.Paths {
		if !slices.Contains(k.Cgroups, path) {
			k.Cgroups = append(k.Cgroups, path)
		}
	}
	return f.makeKeeper(k)
}

// makeKeeper makes the executable of a keeper.
func (b *Birth) makeKeeper(k *compile.Keeper) error {
	prog, err := compile.CompileKeeper(k)
	if err != nil {
		return err
	}
	b.keeper, err = image.Executable(prog)
	b.undoing(b.dropKeeper)
	return err
}

func (b *Birth) dropKeeper() {
	if b.keeper != nil {
		b.keeper.Close()
		b.keeper = nil
	}
}
