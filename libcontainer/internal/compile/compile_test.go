package compile

import (
	"encoding/binary"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

var update = flag.Bool("update", false, "write the golden files")

// v1 and v2 are hosts with either version of cgroups.
func init() { program.CheckRegisters = true }

var (
	v2 = Host{LastCap: 40, Capabilities: 1<<41 - 1, Privileged: true, Home: "/root", Cgroup: Cgroup{Unified: "/sys/fs/cgroup/box", V2: "/sys/fs/cgroup"}}
	v1 = Host{LastCap: 40, Capabilities: 1<<41 - 1, Privileged: true, Home: "/root", Cgroup: Cgroup{V1: []Hierarchy{
		{Name: "cpu,cpuacct", Options: []string{"cpu", "cpuacct"}, Path: "/sys/fs/cgroup/cpu,cpuacct/box", Aliases: []string{"cpu", "cpuacct"}},
		{Name: "systemd", Options: []string{"name=systemd"}, Path: "/sys/fs/cgroup/systemd/box"},
	}}}
	rootless = Host{LastCap: 40, Home: "/"}
)

var options = Options{ID: "box", Keyring: "_ses.box.0", Rootfs: "/bundle/rootfs", Bundle: "/bundle", Gate: true}

// plain is the default configuration without its terminal.
func plain() *specs.Spec {
	s := spec.Default()
	s.Process.Terminal = false
	return s
}

func namespace(s *specs.Spec, t specs.LinuxNamespaceType, path string) {
	if n := spec.FindNamespace(s, t); n != nil {
		n.Path = path
		return
	}
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: t, Path: path})
}

func mapping(s *specs.Spec) {
	namespace(s, specs.UserNamespace, "")
	s.Linux.UIDMappings = []specs.LinuxIDMapping{{HostID: 100000, Size: 65536}}
	s.Linux.GIDMappings = s.Linux.UIDMappings
}

// golden are the plans in the files of testdata.
var golden = map[string]struct {
	host   Host
	opt    func(o *Options)
	change func(s *specs.Spec)
	// made makes the plan, if it is not that of a new container.
	made func(s *specs.Spec, host Host) (*Plan, error)
}{
	"default": {host: v2},
	"cgroup-v1": {host: v1, change: func(s *specs.Spec) {
		s.Mounts = s.Mounts[6:]
		s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil
	}},
	"cgroup-v1-bind": {host: v1, change: func(s *specs.Spec) {
		s.Mounts = s.Mounts[6:]
		s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil
		s.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.MountNamespace}}
		s.Hostname = ""
	}},
	"terminal": {host: v2, change: func(s *specs.Spec) {
		s.Process.Terminal = true
		s.Process.User.UID = 1000
		s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil
	}},
	"user-namespace": {host: v2, change: mapping},
	"rootless":       {host: rootless, change: spec.Rootless},
	"joined": {host: v2, change: func(s *specs.Spec) {
		s.Mounts, s.Linux.MaskedPaths, s.Linux.ReadonlyPaths, s.Hostname = nil, nil, nil, ""
		namespace(s, specs.PIDNamespace, "/proc/7/ns/pid")
		namespace(s, specs.UserNamespace, "/proc/7/ns/user")
		namespace(s, specs.NetworkNamespace, "/proc/7/ns/net")
	}},
	"time": {host: v2, change: func(s *specs.Spec) {
		s.Mounts, s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil, nil
		namespace(s, specs.TimeNamespace, "")
		s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 5, Nanosecs: 6}, "monotonic": {Secs: -7}}
	}},
	"mounts": {host: v2, change: func(s *specs.Spec) {
		s.Mounts = []specs.Mount{
			{Destination: "/data", Type: "bind", Source: "relative", Options: []string{"rbind", "ro", "rnoexec", "rprivate"}},
			{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "noatime", "sync", "size=1m"}},
			{Destination: "/disk", Type: "ext4", Source: "/dev/sda1", Options: []string{"ro", "data=ordered"}},
			{Destination: "/tmp", Options: []string{"remount", "ro", "size=2m"}},
			{Destination: "/", Type: "tmpfs", Source: "tmpfs"},
		}
		s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil
		s.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "1"}
		s.Linux.RootfsPropagation = "rshared"
	}},
	"labels": {host: v2, change: func(s *specs.Spec) {
		s.Mounts = []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs"},
			{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue"},
			{Destination: "/long", Type: "overlay", Source: "overlay", Options: []string{"lowerdir=" + strings.Repeat("/a:", 100) + "/b"}},
		}
		s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = []string{"/proc/scsi"}, nil
		s.Process.SelinuxLabel, s.Linux.MountLabel = "system_u:system_r:container_t:s0:c1,c2", "system_u:object_r:container_file_t:s0:c1,c2"
	}},
	"run": {host: v2, opt: func(o *Options) { o.Gate = false; o.NoPivot = true; o.Keyring = ""; o.PreserveFDs = 2 }, change: func(s *specs.Spec) {
		s.Mounts, s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil, nil
		s.Process.Args = []string{"/bin/app", "arg"}
		s.Process.User = specs.User{UID: 5, GID: 6, AdditionalGids: []uint32{7}}
		s.Process.Capabilities = &specs.LinuxCapabilities{
			Permitted: []string{"CAP_KILL"}, Inheritable: []string{"CAP_KILL"}, Ambient: []string{"CAP_KILL", "CAP_CHOWN"}, Bounding: []string{"CAP_FLY"},
		}
	}},
	"hold": {host: v2, opt: func(o *Options) { o.Gate, o.Hold, o.Keyring = false, true, "" }, change: func(s *specs.Spec) {
		s.Mounts, s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil, nil
		s.Process.User, s.Process.Capabilities = specs.User{UID: 65535, GID: 65535}, nil
		s.Linux.Sysctl = map[string]string{"net.ipv4.ip_unprivileged_port_start": "0"}
	}},
	"add-mounts": {host: v2, change: mapping, made: func(s *specs.Spec, host Host) (*Plan, error) {
		return CompileAddMounts(s, added, host, changeOptions)
	}},
	"remove-mounts": {host: v2, made: func(s *specs.Spec, host Host) (*Plan, error) {
		return CompileRemoveMounts(s, added, host, changeOptions)
	}},
}

var (
	added = []specs.Mount{
		{Destination: "/data", Type: "bind", Source: "relative", Options: []string{"rbind", "ro"}},
		{Destination: "/scratch", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "size=1m"}},
	}
	changeOptions = ChangeOptions{Bundle: "/bundle", Namespaces: unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET}
)

func compileGolden(t testing.TB, name string) *Plan {
	t.Helper()
	c := golden[name]
	s, o := plain(), options
	if c.change != nil {
		c.change(s)
	}
	if c.opt != nil {
		c.opt(&o)
	}
	make := c.made
	if make == nil {
		make = func(s *specs.Spec, host Host) (*Plan, error) { return Compile(s, host, o) }
	}
	plan, err := make(s, c.host)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// text shows a plan as a golden file does.
func text(plan *Plan) string {
	var s strings.Builder
	s.WriteString("clone " + program.CloneFlagNames(plan.CloneFlags) + "\n")
	if plan.KeepCapabilities {
		s.WriteString("keep capabilities\n")
	}
	for _, w := range plan.Warnings {
		s.WriteString("warning: " + w + "\n")
	}
	s.WriteString(plan.Program.String())
	return s.String()
}

func TestGoldenPlans(t *testing.T) {
	for name := range golden {
		t.Run(name, func(t *testing.T) {
			compareGolden(t, name, text(compileGolden(t, name)))
		})
	}
}

func compareGolden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the plan differs (go test -update writes it):\n%s", firstDifference(got, string(want)))
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range g {
		if i >= len(w) || g[i] != w[i] {
			return "got  " + g[i] + "\nwant " + strings.Join(w[min(i, len(w)):min(i+1, len(w))], "")
		}
	}
	return "it ends too early"
}

// fake is a kernel in which all calls succeed except one instruction.
type fake struct {
	p      *program.Program
	failAt int
	errno  unix.Errno
	seen   bool
	end    program.Call
	report []byte
}

func (k *fake) Syscall(m *program.Machine, c program.Call, args [6]uint64) int64 {
	if m.At == k.failAt && !k.seen {
		k.seen = true
		return -int64(k.errno)
	}
	switch c {
	case program.Execve, program.ExitGroup:
		k.end = c
		m.Halt()
	case program.Read:
		if mem, err := m.Memory(args[1], int(args[2])); err == nil && len(mem) >= 4 {
			binary.LittleEndian.PutUint32(mem, uint32(unix.SIGTERM)) // the start of a signalfd_siginfo
		}
		return 1
	case program.Recvmsg:
		k.sendFile(m, args[1])
		return 1
	case program.Write:
		if mem, err := m.Memory(args[1], int(args[2])); err == nil && len(mem) == failureSize {
			k.report = append([]byte(nil), mem...)
		}
		return int64(args[2])
	case program.Getcwd:
		if mem, err := m.Memory(args[0], 1); err == nil {
			mem[0] = '/'
		}
	case program.Statx:
		k.statx(m, args[4])
	case program.Clone:
		if args[0]&unix.CLONE_PIDFD != 0 {
			return 77 // the one that waits for a hook
		}
	case program.Openat:
		if m.CString(args[1]) == "" {
			return -int64(unix.ENOENT) // as the real kernel: programs fail on purpose by it
		}
		return 9
	case program.Openat2, program.OpenTree, program.Fsopen, program.Fsmount, program.Socket, program.Accept4:
		return 9
	}
	return 0
}

// statx answers that the file is the device that the program then compares it with.
func (k *fake) statx(m *program.Machine, addr uint64) {
	const major, minor = 128, 132 // of struct statx
	next := k.p.Instructions[m.At+1:]
	if len(next) < 4 || next[1].Op != program.OpBranch || next[1].Cond != program.Ne || next[3].Op != program.OpBranch || next[3].Cond != program.Eq {
		return
	}
	if mem, err := m.Memory(addr, 256); err == nil {
		binary.LittleEndian.PutUint32(mem[major:], uint32(next[1].Args[0].Value))
		binary.LittleEndian.PutUint32(mem[minor:], uint32(next[3].Args[0].Value))
	}
}

// sendFile puts a descriptor into the control message of a struct msghdr.
func (k *fake) sendFile(m *program.Machine, addr uint64) {
	const msgControl, cmsgData = 32, 16
	if header, err := m.Memory(addr, 56); err == nil {
		if control, err := m.Memory(binary.LittleEndian.Uint64(header[msgControl:])+cmsgData, 4); err == nil {
			binary.LittleEndian.PutUint32(control, 8)
		}
	}
}

const stepLimit = 20000

// Whatever call fails, the program ends: with the user's process if the error was
// expected, otherwise with a report that names the instruction.
func TestEveryFailureIsReported(t *testing.T) {
	for name := range golden {
		plan := compileGolden(t, name)
		for i := range plan.Program.Instructions {
			if ins := &plan.Program.Instructions[i]; ins.Op != program.OpSyscall || ins.Call == program.ExitGroup {
				continue
			}
			for _, errno := range []unix.Errno{unix.ENOENT, unix.EPERM, unix.EIO} {
				checkFailure(t, name, plan, i, errno)
			}
		}
	}
}

func checkFailure(t *testing.T, name string, plan *Plan, i int, errno unix.Errno) {
	t.Helper()
	m, err := program.NewMachine(plan.Program)
	if err != nil {
		t.Fatal(err)
	}
	k := &fake{p: plan.Program, failAt: i, errno: errno}
	if err := m.Run(k, stepLimit); err != nil {
		t.Fatalf("%s: instruction %d: %v", name, i, err)
	}
	if k.end != program.ExitGroup || len(k.report) == 0 {
		return // expected, never reached, or nobody is left to report to
	}
	at, e := m.FailedIndex(), unix.Errno(binary.LittleEndian.Uint64(k.report[16:]))
	if binary.LittleEndian.Uint64(k.report) != failureCode || (at == i && e != errno) {
		t.Errorf("%s: instruction %d, %v: the report says %d, %v", name, i, errno, at, e)
	}
}

func TestProgramsReachTheProcess(t *testing.T) {
	for name := range golden {
		plan := compileGolden(t, name)
		m, err := program.NewMachine(plan.Program)
		if err != nil {
			t.Fatal(err)
		}
		end := program.Execve
		if golden[name].made != nil || name == "hold" {
			end = program.ExitGroup
		}
		k := &fake{p: plan.Program, failAt: -1}
		if err := m.Run(k, stepLimit); err != nil || k.end != end || len(k.report) > 0 {
			t.Errorf("%s ends with %v after instruction %d: %v", name, k.end, m.At, err)
		}
	}
}

// A container with the host's cgroups takes them as they are, with whatever options an engine
// repeats: containerd does for privileged pods.
func TestOptionsOfTheHostsCgroups(t *testing.T) {
	plan := func(more ...string) string {
		s := plain()
		s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.CgroupNamespace })
		s.Mounts = []specs.Mount{{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: append([]string{"rw", "nosuid"}, more...)}}
		p, err := Compile(s, v2, options)
		if err != nil {
			t.Fatal(err)
		}
		return text(p)
	}
	if got, want := plan("nsdelegate", "memory_recursiveprot"), plan(); got != want {
		t.Errorf("%s\nnot %s", got, want)
	}
}

func TestKeeperPlan(t *testing.T) {
	p, err := CompileKeeper(&Keeper{
		Pid: 77, PidFD: 3, Dir: "/run/rt/box", DirFD: 4, Inode: 9, Files: []string{"config.json", "state.json"},
		Cgroups: []string{"/sys/fs/cgroup/box"}, Delete: []string{"/bin/rt", "delete", "--force", "box"}, Ignored: []unix.Signal{unix.SIGPIPE},
	})
	if err != nil {
		t.Fatal(err)
	}
	compareGolden(t, "keeper", p.String())
}

func TestEveryInstructionHasAPurpose(t *testing.T) {
	for name := range golden {
		for i, ins := range compileGolden(t, name).Program.Instructions {
			if ins.Purpose == "" {
				t.Errorf("%s: instruction %d has no purpose", name, i)
			}
		}
	}
}

// The same configuration gives the same program, whatever the order of maps.
func TestCompileIsDeterministic(t *testing.T) {
	for name := range golden {
		first := text(compileGolden(t, name))
		for range 5 {
			if text(compileGolden(t, name)) != first {
				t.Errorf("%s differs from one time to the next", name)
			}
		}
	}
}

// FuzzCompile compiles every configuration that passes the checks: it must not panic, and
// the program must end.
func FuzzCompile(f *testing.F) {
	for _, name := range []string{"default.json", "docker/config.json"} {
		data, err := os.ReadFile(filepath.Join("..", "..", "..", "tests", map[bool]string{true: "bench", false: "testdata"}[name == "default.json"], name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := spec.Parse(data)
		if err != nil || spec.Validate(s) != nil {
			return
		}
		for _, host := range []Host{v1, v2, rootless} {
			plan, err := Compile(s, host, options)
			if err != nil {
				continue
			}
			_ = plan.Program.String()
			m, err := program.NewMachine(plan.Program)
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Run(&fake{p: plan.Program, failAt: -1}, 100*stepLimit); err != nil {
				t.Fatal(err)
			}
		}
	})
}
