package libcontainer

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/sysfile"
	"github.com/rtcontainers/rt/libcontainer/compile"
	"github.com/rtcontainers/rt/libcontainer/launch"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// openFiles opens the control descriptors of the plan. The conversation's place
// stays nil.
func (b *creation) openFiles() ([]*os.File, error) {
	files := make([]*os.File, len(b.plan.Files))
	for i, f := range b.plan.Files {
		var err error
		switch f.Kind {
		case compile.StartSocket:
			files[i], err = launch.OpenGate(b.dir.File)
		case compile.HookState:
			files[i], err = hookFile("hook-state")
			b.hookState = duplicate(files[i])
		case compile.HookOutput:
			files[i], err = hookFile("hook-output")
			b.hookOutput = duplicate(files[i])
		case compile.Release:
			files[i], b.release, err = pipe()
		case compile.Namespace:
			files[i], err = b.openNamespace(&f)
		case compile.Tree:
			files[i], err = openTree(&f)
		}
		if err != nil {
			return files, err
		}
	}
	return files, nil
}

// pipe is os.Pipe without a place in the Go runtime's poller.
func pipe() (r, w *os.File, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, os.NewSyscallError("pipe2", err)
	}
	return os.NewFile(uintptr(fds[0]), "pipe"), os.NewFile(uintptr(fds[1]), "pipe"), nil
}

// permit lets a program go on that waits at the other end of a pipe. If nobody
// reads it, Receive says so.
func permit(release *os.File) { _, _ = release.Write([]byte{1}) }

// duplicate keeps a file open beyond the launch. A nil stays nil.
func duplicate(f *os.File) *os.File {
	if f == nil {
		return nil
	}
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	return os.NewFile(uintptr(fd), f.Name())
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

// openNamespace opens a namespace to join. Kernel parameters in the configuration
// must not be set in rt's own, whatever file leads there.
func (b *creation) openNamespace(f *compile.File) (*os.File, error) {
	file, err := openNamespace(f)
	if err != nil {
		return nil, err
	}
	if field := spec.SysctlOf(b.spec, f.Namespace); field != "" {
		own, err := os.Stat("/proc/self/ns/" + procName(f.Namespace))
		theirs, otherErr := file.Stat()
		if err == nil && otherErr == nil && os.SameFile(own, theirs) {
			file.Close()
			return nil, fmt.Errorf("%s: would change the host: %s, %q, is rt's own %s namespace: leave its path out, or set the parameter on the host", field, f.Source, f.Path, f.Namespace)
		}
	}
	return file, nil
}

// openNamespace opens a namespace and checks that it is one, of the right type.
func openNamespace(f *compile.File) (*os.File, error) {
	fd, err := sysfile.OpenRegular(unix.AT_FDCWD, f.Path, 0)
	if errors.Is(err, sysfile.ErrNotRegular) {
		return nil, notNamespace(f)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: join the %s namespace: %w", f.Source, f.Namespace, err)
	}
	file := os.NewFile(uintptr(fd), f.Path)
	flag, err := unix.IoctlRetInt(int(file.Fd()), unix.NS_GET_NSTYPE)
	if err != nil {
		file.Close()
		return nil, notNamespace(f)
	}
	if uint64(flag) != spec.NamespaceFlag(f.Namespace) {
		file.Close()
		return nil, fmt.Errorf("%s: %q is a %s namespace, not a %s namespace", f.Source, f.Path, namespaceOf(uint64(flag)), f.Namespace)
	}
	return file, nil
}

func notNamespace(f *compile.File) error {
	return fmt.Errorf("%s: %q is not a namespace: give a path such as /proc/PID/ns/%s, or a file that one is bound to", f.Source, f.Path, procName(f.Namespace))
}

func procName(t specs.LinuxNamespaceType) string {
	for _, n := range spec.Namespaces {
		if n.Type == t {
			return n.Proc
		}
	}
	return string(t)
}

func namespaceOf(flag uint64) specs.LinuxNamespaceType {
	for _, n := range spec.Namespaces {
		if n.Flag == flag {
			return n.Type
		}
	}
	return "different"
}

// openTree copies a mount tree for a program that may not reach it itself. As
// in the program's own copy of the host's mounts, nothing propagates back.
func openTree(f *compile.File) (*os.File, error) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
	recursive := uint(0)
	if f.Recursive {
		recursive = unix.AT_RECURSIVE
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, f.Path, flags|recursive)
	if err != nil {
		return nil, fmt.Errorf("%s: source %q: open_tree: %w", f.Source, f.Path, err)
	}
	if f.IDMap != nil {
		if err := mapTree(fd, f.IDMap); err != nil {
			unix.Close(fd)
			return nil, fmt.Errorf("%s: source %q: map its ids: %w", f.Source, f.Path, err)
		}
	}
	slave := unix.MountAttr{Propagation: unix.MS_SLAVE}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|recursive, &slave); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("%s: source %q: mount_setattr: %w", f.Source, f.Path, err)
	}
	return os.NewFile(uintptr(fd), f.Path), nil
}

// mapTree gives a mount tree an id mapping: mount_setattr(2).
func mapTree(fd int, m *compile.IDMap) error {
	ns, err := launch.UserNamespace(idMap(m.UIDs), idMap(m.GIDs))
	if err != nil {
		return err
	}
	defer ns.Close()
	flags := uint(unix.AT_EMPTY_PATH)
	if m.Recursive {
		flags |= unix.AT_RECURSIVE
	}
	err = unix.MountSetattr(fd, "", flags, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(ns.Fd())})
	if err == unix.EINVAL {
		return errors.New("mount_setattr: the file system cannot map ids, or is mapped already")
	}
	return os.NewSyscallError("mount_setattr", err)
}

// writeMaps serves the program of a new user namespace: user_namespaces(7).
func (b *creation) writeMaps() error {
	l := b.spec.Linux
	if err := b.writeMap("uid", l.UIDMappings); err != nil {
		return fmt.Errorf("linux.uidMappings: %w", err)
	}
	if err := b.writeMap("gid", l.GIDMappings); err != nil {
		return fmt.Errorf("linux.gidMappings: %w", err)
	}
	return nil
}

// writeMap writes the map of a kind of ids, uid or gid, or, where the caller may map no ids but their own, has
// newuidmap(1) or newgidmap(1) write it.
func (b *creation) writeMap(kind string, list []specs.LinuxIDMapping) error {
	dir, text := fmt.Sprintf("/proc/%d/", b.proc.Pid), idMap(list)
	name, helper := dir+kind+"_map", "new"+kind+"map"
	err := sysfile.Write(name, []byte(text))
	if !errors.Is(err, unix.EPERM) || os.Geteuid() == 0 {
		return err
	}
	if kind == "gid" && len(list) == 1 && list[0].Size == 1 && list[0].HostID == uint32(os.Getegid()) {
		// One's own group, too, for the price of setgroups(2).
		if err := sysfile.Write(dir+"setgroups", []byte("deny")); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return sysfile.Write(name, []byte(text))
	}
	path, err := exec.LookPath(helper)
	if err != nil {
		return fmt.Errorf("an ordinary user can map ids that are not their own only with %s, which is not installed (Debian, Ubuntu: package uidmap)", helper)
	}
	out, err := exec.Command(path, append([]string{strconv.Itoa(b.proc.Pid)}, strings.Fields(text)...)...).CombinedOutput()
	if exit := new(exec.ExitError); errors.As(err, &exit) { // it has said why, and who says so
		return fmt.Errorf("%s (the ids that a user may map are in /etc/sub%s)", bytes.TrimSpace(out), kind)
	}
	return err
}

func idMap(list []specs.LinuxIDMapping) string {
	s := ""
	for _, m := range list {
		s += fmt.Sprintf("%d %d %d\n", m.ContainerID, m.HostID, m.Size)
	}
	return s
}

// hostRoot is who the root of the container's new user namespace is on the
// host.
func hostRoot(s *specs.Spec) (uid, gid int, mapped bool) {
	if s.Linux == nil {
		return 0, 0, false
	}
	u, okUID := spec.HostID(s.Linux.UIDMappings, 0)
	g, okGID := spec.HostID(s.Linux.GIDMappings, 0)
	return int(u), int(g), okUID && okGID
}

// announce tells the caller which process it is.
func announce(p *launch.Process, pidFile string, pidfd func(*os.File) error) error {
	if pidFile != "" {
		if err := writeFile(pidFile, strconv.Itoa(p.Pid)); err != nil {
			return fmt.Errorf("--pid-file: %w", err)
		}
	}
	if pidfd == nil {
		return nil
	}
	fd, err := unix.FcntlInt(uintptr(p.PidFD), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		err = os.NewSyscallError("dup", err)
	} else {
		err = pidfd(os.NewFile(uintptr(fd), "pidfd"))
	}
	if err != nil {
		removeFile(pidFile)
	}
	return err
}
