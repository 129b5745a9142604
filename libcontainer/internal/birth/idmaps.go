package birth

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
	"github.com/rtcontainers/rt/libcontainer/internal/compile"
	"github.com/rtcontainers/rt/libcontainer/internal/hooks"
	"github.com/rtcontainers/rt/libcontainer/internal/launch"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"github.com/rtcontainers/rt/libcontainer/internal/program/image"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// writeMaps writes the maps for a program in a new user namespace: user_namespaces(7).
func (f *first) writeMaps() error {
	l := f.spec.Linux
	if err := f.writeMap("uid", l.UIDMappings); err != nil {
		return fmt.Errorf("linux.uidMappings: %w", err)
	}
	if err := f.writeMap("gid", l.GIDMappings); err != nil {
		return fmt.Errorf("linux.gidMappings: %w", err)
	}
	return nil
}

// writeMap writes the map of one kind of ids, uid or gid. If the caller may map only its
// own ids, newuidmap(1) or newgidmap(1) writes it.
func (f *first) writeMap(kind string, list []specs.LinuxIDMapping) error {
	dir, text := fmt.Sprintf("/proc/%d/", f.proc.Pid), idMap(list)
	name, helper := dir+kind+"_map", "new"+kind+"map"
	err := sysfile.Write(name, []byte(text))
	if !errors.Is(err, unix.EPERM) || os.Geteuid() == 0 {
		return err
	}
	if kind == "gid" && len(list) == 1 && list[0].Size == 1 && list[0].HostID == uint32(os.Getegid()) {
		// The caller's own group, too, if setgroups(2) is given up.
		if err := sysfile.Write(dir+"setgroups", []byte("deny")); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return sysfile.Write(name, []byte(text))
	}
	path, err := exec.LookPath(helper)
	if err != nil {
		return fmt.Errorf("an ordinary user can map ids that are not their own only with %s, which is not installed (Debian, Ubuntu: package uidmap)", helper)
	}
	result, err := hooks.Execute(f.ctx, &hooks.Command{Command: compile.Command{
		Path: path, Args: append([]string{helper, strconv.Itoa(f.proc.Pid)}, strings.Fields(text)...), Env: os.Environ(),
	}})
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if result.Status != 0 { // it has reported why
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

// hostRoot is the host's id of root in the container's new user namespace.
func hostRoot(s *specs.Spec) (uid, gid int, mapped bool) {
	if spec.FindNamespace(s, specs.UserNamespace) == nil {
		return 0, 0, false
	}
	u, okUID := spec.HostID(s.Linux.UIDMappings, 0)
	g, okGID := spec.HostID(s.Linux.GIDMappings, 0)
	return int(u), int(g), okUID && okGID
}

// userNamespace makes a user namespace with the given maps (the content of uid_map and
// gid_map, user_namespaces(7)) and no process in it. mount_setattr(2) takes the mapping of
// an idmapped mount from such a namespace.
func userNamespace(uidMap, gidMap string) (*os.File, error) {
	const conv = 3
	b := program.NewBuilder()
	b.Source("", "wait until the namespace is open")
	b.Do(program.Read, program.Imm(conv), program.At(b.Buffer("nothing", 8)), program.Imm(8)).Ignore()
	b.FailAt(b.Here("end"))
	b.Do(program.ExitGroup, program.Imm(0))
	p, err := b.Build()
	if err != nil {
		return nil, err
	}
	exe, err := image.Executable(p)
	if err != nil {
		return nil, err
	}
	defer exe.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	proc, err := launch.Start(&launch.Config{
		Image: exe, CloneFlags: unix.CLONE_NEWUSER, CgroupFD: -1, Files: []*os.File{null, null, null, nil}, Conversation: conv,
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		proc.Kill()
		proc.Close()
	}()
	for name, content := range map[string]string{"uid_map": uidMap, "gid_map": gidMap} {
		if err := sysfile.Write(fmt.Sprintf("/proc/%d/%s", proc.Pid, name), []byte(content)); err != nil {
			return nil, err
		}
	}
	return os.Open(fmt.Sprintf("/proc/%d/ns/user", proc.Pid))
}
