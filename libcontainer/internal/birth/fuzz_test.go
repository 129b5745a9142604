package birth

import (
	"context"
	"encoding/binary"
	"os"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/internal/cgroup"
	"github.com/rtcontainers/rt/libcontainer/internal/compile"
	"github.com/rtcontainers/rt/libcontainer/internal/launch"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"github.com/rtcontainers/rt/libcontainer/internal/state"
	"golang.org/x/sys/unix"
)

// untilEnd is a server whose program has no process that could be asked for its end.
type untilEnd struct{ server }

func (untilEnd) ended(err error) error { return err }

// conversation is one with a program that this test plays: the second file is its end.
func conversation(t testing.TB, dir *state.Dir) (*launch.Conversation, *os.File) {
	gate, err := launch.OpenGate(dir.File)
	if err != nil {
		t.Fatal(err)
	}
	defer gate.Close()
	defer launch.RemoveGate(dir.File)
	c, err := launch.PassGate(dir.File, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd, _, err := unix.Accept4(int(gate.Fd()), unix.SOCK_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	return c, os.NewFile(uintptr(fd), "program")
}

// servers are one of each kind, with a program that may ask for everything.
func servers(c *launch.Conversation, dir *state.Dir, root string) []server {
	config := &specs.Spec{
		Process: &specs.Process{}, Linux: &specs.Linux{Seccomp: &specs.LinuxSeccomp{}},
		Hooks: &specs.Hooks{CreateContainer: []specs.Hook{{Path: "/bin/true"}}, StartContainer: []specs.Hook{{Path: "/bin/true"}}},
	}
	container := Container{dir, &state.State{ID: "box"}}
	birth := func() Birth {
		return Birth{
			ctx: context.Background(), spec: config, container: container, place: &cgroup.Placement{},
			proc: &launch.Process{Conversation: *c, Pid: os.Getpid(), PidFD: -1},
			plan: &compile.Plan{
				Program: &program.Program{Instructions: make([]program.Instruction, 1)}, Births: 1,
				Paths:   []compile.Path{{Name: "/made", Source: "mounts[0]"}},
				Sources: []compile.Source{{Path: root, Field: "mounts[0]"}, {Path: root, IDMap: &compile.IDMap{}, Field: "mounts[1]"}},
			},
		}
	}
	f := &first{Birth: birth(), hooks: hookWatch{hooks: config.Hooks}}
	e := &further{Birth: birth()}
	m := &change{Birth: birth()}
	f.kind, e.kind, m.kind = f, e, m
	return []server{f, e, m, &start{container: container, program: c, hooks: hookWatch{hooks: config.Hooks}}}
}

// Whatever a hostile program sends, in whatever order and with whatever files, its parent
// does not crash and does not wait for it. The first byte chooses the kind of the birth;
// then each message has a byte for its length and its file.
func FuzzRequests(f *testing.F) {
	messages := func(kind byte, codes ...uint64) []byte {
		data := []byte{kind}
		for i, code := range codes {
			data = append(data, 16/8|byte(i%3)<<6)
			data = binary.LittleEndian.AppendUint64(data, code)
			data = binary.LittleEndian.AppendUint64(data, uint64(i))
		}
		return data
	}
	for kind := range byte(4) {
		f.Add(messages(kind, 1, 2, 3, 5, 6, 7))
		f.Add(messages(kind, 8, 9, 10, 11, 12, 13, 14, 15, 16))
		f.Add(messages(kind, 4, 255))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 {
			return
		}
		root := t.TempDir()
		dir, err := state.Create(root, "box")
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close()
		c, program := conversation(t, dir)
		defer c.Close()
		all := servers(c, dir, root)
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = serve(c, untilEnd{all[int(data[0])%len(all)]})
		}()
		send(program, root, data[1:])
		program.Close()
		select {
		case <-served:
		case <-time.After(20 * time.Second):
			t.Error("the parent waits for a program that is gone")
		}
	})
}

// send sends messages, and takes no answer.
func send(to *os.File, root string, data []byte) {
	for len(data) > 0 {
		n := min(int(data[0]&0x3f)*8, len(data)-1)
		var rights []byte
		if name := [...]string{"", root, "/dev/null", "/proc/self/ns/net"}[data[0]>>6]; name != "" {
			if fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
				rights = unix.UnixRights(fd)
				defer unix.Close(fd)
			}
		}
		if unix.Sendmsg(int(to.Fd()), data[1:1+n], rights, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT) != nil {
			return
		}
		data = data[1+n:]
	}
}
