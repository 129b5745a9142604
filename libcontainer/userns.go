package libcontainer

import (
	"fmt"
	"os"

	"github.com/rtcontainers/rt/internal/sysfile"
	"github.com/rtcontainers/rt/libcontainer/internal/launch"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"github.com/rtcontainers/rt/libcontainer/internal/program/image"
	"golang.org/x/sys/unix"
)

// userNamespace makes a user namespace with the given maps (the content of
// uid_map and gid_map, user_namespaces(7)) that nobody is in. mount_setattr(2)
// takes the mapping of an idmapped mount from one.
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
	im, err := image.Link(p)
	if err != nil {
		return nil, err
	}
	exe, err := im.File()
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
