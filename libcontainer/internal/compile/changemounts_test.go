package compile

import (
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"golang.org/x/sys/unix"
)

// rt refuses what only the creation of a container can do, and places that must not
// change, and names the field.
func TestAddMountsRefuses(t *testing.T) {
	long := "lowerdir=" + strings.Repeat("/a:", 100)
	for want, m := range map[string]specs.Mount{
		`mounts[1].options: "remount"`:                    {Destination: "/a", Options: []string{"remount", "ro"}},
		`mounts[1].options: "tmpcopyup"`:                  {Destination: "/a", Type: "tmpfs", Options: []string{"tmpcopyup"}},
		`mounts[1].options: "copy-symlink"`:               {Destination: "/a", Type: "bind", Source: "/a", Options: []string{"copy-symlink"}},
		`mounts[1].options: a value of more`:              {Destination: "/a", Type: "ext4", Options: []string{long}},
		`mounts[1].type: the kernel would look for`:       {Destination: "/a", Type: "overlay", Options: []string{"lowerdir=/a:/b"}},
		`mounts[1].type: a file system of type`:           {Destination: "/a", Type: "proc"},
		`mounts[1].destination: "/" is the root`:          {Destination: "/a/..", Type: "tmpfs"},
		`"/proc" is at or above linux.maskedPaths[0]`:     {Destination: "/proc", Type: "bind", Source: "/proc"},
		`"/proc/bus/" is at or above linux.readonlyPaths`: {Destination: "/proc/bus/", Type: "bind", Source: "/proc/bus"},
	} {
		_, err := CompileAddMounts(plain(), []specs.Mount{{Destination: "/b", Type: "tmpfs"}, m}, v2, changeOptions)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %q", m, err, want)
		}
	}
	for _, destination := range []string{"/", "/proc", "/sys/firmware"} {
		if _, err := CompileRemoveMounts(plain(), []specs.Mount{{Destination: destination}}, v2, changeOptions); err == nil {
			t.Errorf("%s can be removed", destination)
		}
	}
}

// mountCalls records mounts and unmounts.
type mountCalls struct {
	fake
	calls []program.Call
	// silent makes the parent's answers end after the first mount.
	silent bool
}

func (k *mountCalls) Syscall(m *program.Machine, c program.Call, args [6]uint64) int64 {
	if c == program.MoveMount || c == program.Umount2 {
		k.calls = append(k.calls, c)
	}
	if c == program.Recvmsg && k.silent && len(k.calls) > 0 {
		return 0
	}
	if c == program.Openat2 && k.silent && len(k.calls) > 0 {
		return -int64(unix.ENOENT) // the parent has to make the mount point
	}
	return k.fake.Syscall(m, c, args)
}

// If a call fails, or the parent exits, the mounts before are unmounted, and no others.
func TestAddMountsIsUndone(t *testing.T) {
	plan := compileGolden(t, "add-mounts")
	run := func(k *mountCalls) {
		t.Helper()
		m, err := program.NewMachine(plan.Program)
		if err != nil {
			t.Fatal(err)
		}
		k.p = plan.Program
		if err := m.Run(k, stepLimit); err != nil {
			t.Fatal(err)
		}
		mounted, off := 0, 0
		for _, c := range k.calls {
			if c == program.MoveMount {
				mounted++
			} else {
				off++
			}
		}
		if k.seen && len(k.report) > 0 && plan.Program.Instructions[k.failAt].Call == program.MoveMount {
			mounted--
		}
		switch failed := len(k.report) > 0 || k.silent; {
		case failed && off != mounted:
			t.Errorf("instruction %d fails: %v", k.failAt, k.calls)
		case !failed && (mounted != len(added) || off > 0):
			t.Errorf("instruction %d does not fail: %v", k.failAt, k.calls)
		}
	}
	run(&mountCalls{fake: fake{failAt: -1}})
	for i, ins := range plan.Program.Instructions {
		if ins.Op == program.OpSyscall && !slices.Contains([]program.Call{program.Write, program.Read, program.ExitGroup}, ins.Call) {
			run(&mountCalls{fake: fake{failAt: i, errno: unix.EIO}})
		}
	}
	run(&mountCalls{fake: fake{failAt: -1}, silent: true})
}
