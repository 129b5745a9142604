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
	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/internal/sysfile"
	"github.com/rtcontainers/rt/libcontainer/internal/compile"
	"github.com/rtcontainers/rt/libcontainer/internal/hooks"
	"github.com/rtcontainers/rt/libcontainer/internal/launch"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// openFiles opens the control descriptors of the plan. The conversation's place
// stays nil.
func (b *creation) openFiles(exe *os.File) ([]*os.File, error) {
	files := make([]*os.File, len(b.plan.Files))
	for i, f := range b.plan.Files {
		var err error
		switch f.Kind {
		case compile.StartSocket:
			files[i], err = launch.OpenGate(b.dir.File)
		case compile.HookState:
			files[i], err = hooks.File("hook-state")
			b.hookState = duplicate(files[i])
		case compile.HookOutput:
			files[i], err = b.hookStream(spec.AnnotationHooksStdout)
		case compile.HookErrors:
			files[i], err = b.hookStream(spec.AnnotationHooksStderr)
		case compile.Release:
			files[i], b.release, err = pipe()
		case compile.Namespace:
			files[i], err = b.openNamespace(&f)
		case compile.Spare:
			files[i] = duplicate(exe)
		}
		if err != nil {
			return files, err
		}
	}
	return files, nil
}

// hookStream is the file that an annotation names for hooks in the container, or the
// one in memory from which rt takes what goes into their errors.
func (b *creation) hookStream(annotation string) (*os.File, error) {
	if file, err := hooks.AppendTo(b.spec.Annotations[annotation]); file != nil || err != nil {
		return file, err
	}
	if b.hookOutput == nil {
		var err error
		if b.hookOutput, err = hooks.File("hook-output"); err != nil {
			return nil, err
		}
	}
	return duplicate(b.hookOutput), nil
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

// served is a program with what it was made from, which is all that most of its
// requests take.
type served struct {
	spec *specs.Spec
	plan *compile.Plan
	proc *launch.Process
}

// sendSource opens a source of a mount for a program that may have no way to it.
// The path is walked with rt's rights, in the program's mount namespace: what is
// opened in rt's own, the program could not copy.
func (b *served) sendSource(m *launch.Message) error {
	s, err := b.source(m)
	if err != nil {
		return err
	}
	fd, err := openSource(b.proc.Pid, s)
	return b.answerSource(s, compile.SourceOpened, fd, err)
}

// answerSource sends what was opened or made for a source, if it was.
func (b *served) answerSource(s *compile.Source, answer byte, fd int, err error) error {
	if err != nil {
		return fmt.Errorf("%s: source %q: %w", s.Field, s.Path, err)
	}
	defer unix.Close(fd)
	return b.proc.Send([]byte{answer}, fd)
}

// sendSource is that of a new container, in which a source may also be a device that
// has to be made.
func (b *creation) sendSource(m *launch.Message) error {
	s, err := b.source(m)
	if err != nil || s.Device == nil {
		return b.served.sendSource(m)
	}
	fd, err := openSource(b.proc.Pid, s)
	if err == nil && isDevice(fd, s.Device) {
		return b.answerSource(s, compile.SourceOpened, fd, nil)
	}
	if err == nil {
		unix.Close(fd)
	}
	fd, err = b.makeDevice(s.Device)
	return b.answerSource(s, compile.SourceMade, fd, err)
}

func (b *served) source(m *launch.Message) (*compile.Source, error) {
	if m.Words[1] >= uint64(len(b.plan.Sources)) {
		return nil, errors.New("the init program asked for an unknown source")
	}
	return &b.plan.Sources[m.Words[1]], nil
}

func openSource(pid int, s *compile.Source) (int, error) {
	if defence.Off(defence.LockedMounts) {
		return copySource(s)
	}
	root, err := openPath(fmt.Sprintf("/proc/%d/root", pid))
	if err != nil {
		return -1, err
	}
	defer root.Close()
	flags := uint64(unix.O_PATH)
	if s.NoFollow {
		flags |= unix.O_NOFOLLOW
	}
	fd, err := sysfile.Openat2(int(root.Fd()), s.Path, &unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
	if errors.Is(err, unix.EXDEV) || errors.Is(err, unix.ELOOP) {
		// A magic link, such as /proc/PID/ns/net, leads out of every mount namespace.
		// What it leads to the kernel lets the program copy if it is a namespace.
		return unix.Open(s.Path, unix.O_PATH|unix.O_CLOEXEC, 0)
	}
	var path *os.PathError
	if errors.As(err, &path) {
		err = path.Err // the source is named already
	}
	return fd, err
}

// copySource copies a tree in rt's own mount namespace, as the program must not.
func copySource(s *compile.Source) (int, error) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
	if s.Recursive {
		flags |= unix.AT_RECURSIVE
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, s.Path, flags)
	return fd, os.NewSyscallError("open_tree", err)
}

// mapIDs gives the program's copy of a mount tree its id mapping, which takes a user
// namespace that only the parent can make.
func (b *served) mapIDs(m *launch.Message) error {
	s, err := b.source(m)
	if err != nil {
		return err
	}
	if m.File == nil || s.IDMap == nil {
		return errors.New("the init program sent no mount tree")
	}
	defer m.File.Close()
	err = mapTree(int(m.File.Fd()), s.IDMap)
	if errors.Is(err, unix.EPERM) && os.Geteuid() != 0 {
		err = fmt.Errorf("only root can map the ids of the host's file systems, leave out the option idmap, or uidMappings and gidMappings: %w", err)
	}
	if err != nil {
		return fmt.Errorf("%s: source %q: map its ids: %w", s.Field, s.Path, err)
	}
	return nil
}

// mapTree gives a mount tree an id mapping: mount_setattr(2).
func mapTree(fd int, m *compile.IDMap) error {
	var ns *os.File
	var err error
	if m.Namespace != "" {
		ns, err = os.Open(m.Namespace)
	} else {
		ns, err = userNamespace(idMap(m.UIDs), idMap(m.GIDs))
	}
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
	result, err := hooks.Execute(&hooks.Command{Command: compile.Command{
		Path: path, Args: append([]string{helper, strconv.Itoa(b.proc.Pid)}, strings.Fields(text)...), Env: os.Environ(),
	}})
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if result.Status != 0 { // it has said why, and who says so
		return fmt.Errorf("%s (the ids that a user may map are in /etc/sub%s)", bytes.TrimSpace(result.Output), kind)
	}
	return nil
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
	if spec.FindNamespace(s, specs.UserNamespace) == nil {
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
