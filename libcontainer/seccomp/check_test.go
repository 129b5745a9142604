package seccomp

import (
	"errors"
	"slices"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestCheckNamesTheField(t *testing.T) {
	errno, large := uint(1), uint(70000)
	arg := specs.LinuxSeccompArg{Index: 6, Op: "SCMP_CMP_IN"}
	p := &specs.LinuxSeccomp{
		DefaultAction: specs.ActKill, DefaultErrnoRet: &errno,
		Architectures: []specs.Arch{specs.ArchARM, "vax"},
		Flags:         []specs.LinuxSeccompFlag{"SECCOMP_FILTER_FLAG_NEW_LISTENER"}, ListenerMetadata: "m",
		Syscalls: []specs.LinuxSyscall{
			{Action: specs.ActAllow},
			{Action: specs.ActAllow, ErrnoRet: &errno, Names: []string{"read", ""}},
			{Action: specs.ActNotify, Names: []string{"read", "write"}},
			{Action: "allow", Names: []string{"read"}, Args: []specs.LinuxSeccompArg{{Op: specs.OpEqualTo}, arg}},
			{Action: specs.ActTrace, ErrnoRet: &large, Names: []string{"read"}},
		},
	}
	var fields []string
	for _, problem := range Check(p) {
		fields = append(fields, problem.Field)
	}
	want := []string{
		"linux.seccomp.defaultErrnoRet", "linux.seccomp.architectures[1]", "linux.seccomp.flags[0]",
		"linux.seccomp.listenerMetadata", "linux.seccomp.listenerPath", "linux.seccomp.syscalls[0].names",
		"linux.seccomp.syscalls[1].errnoRet", "linux.seccomp.syscalls[1].names[1]",
		"linux.seccomp.syscalls[2].names[1]", "linux.seccomp.syscalls[3].action",
		"linux.seccomp.syscalls[3].args[1].index", "linux.seccomp.syscalls[3].args[1].op",
		"linux.seccomp.syscalls[4].errnoRet",
	}
	if !slices.Equal(fields, want) {
		t.Errorf("fields\n%q, want\n%q", fields, want)
	}
	var invalid Invalid
	if _, err := Compile(p); !errors.As(err, &invalid) || len(invalid) != len(want) {
		t.Errorf("Compile: %v", err)
	}
	for _, action := range []specs.LinuxSeccompAction{"", specs.ActNotify} {
		problems := Check(&specs.LinuxSeccomp{DefaultAction: action})
		if len(problems) != 1 || problems[0].Field != "linux.seccomp.defaultAction" {
			t.Errorf("default action %q: %v", action, problems)
		}
	}
}

func TestFlags(t *testing.T) {
	notify := []specs.LinuxSyscall{{Names: []string{"read"}, Action: specs.ActNotify}}
	for _, test := range []struct {
		flags    []specs.LinuxSeccompFlag
		syscalls []specs.LinuxSyscall
		want     uint64
		warnings int
	}{
		{nil, nil, unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW, 0},
		{[]specs.LinuxSeccompFlag{}, nil, 0, 0},
		{[]specs.LinuxSeccompFlag{specs.LinuxSeccompFlagLog, specs.LinuxSeccompFlagSpecAllow}, nil, 6, 0},
		{[]specs.LinuxSeccompFlag{specs.LinuxSeccompFlagWaitKillableRecv}, nil, 0, 1},
		{[]specs.LinuxSeccompFlag{specs.LinuxSeccompFlagWaitKillableRecv}, notify, 0x28, 0},
		{[]specs.LinuxSeccompFlag{"SECCOMP_FILTER_FLAG_TSYNC"}, nil, 1, 0},
		{[]specs.LinuxSeccompFlag{"SECCOMP_FILTER_FLAG_TSYNC"}, notify, 0x19, 0},
	} {
		f, err := Compile(&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, ListenerPath: "/run/agent.sock",
			Flags: test.flags, Syscalls: test.syscalls})
		if err != nil {
			t.Fatal(err)
		}
		if f.Flags != test.want || f.Listener != (test.syscalls != nil) || len(f.Warnings) != test.warnings {
			t.Errorf("%v: flags %#x listener %t warnings %q, want %#x", test.flags, f.Flags, f.Listener, f.Warnings, test.want)
		}
	}
}

func TestTables(t *testing.T) {
	for name, list := range map[string][]string{
		"architectures": Architectures(),
	} {
		if len(list) == 0 || slices.Contains(list, "") {
			t.Errorf("%s: %q", name, list)
		}
	}
	sorted := slices.IsSortedFunc(thisMachine().syscalls, func(a, b syscall) int {
		if a.name < b.name {
			return -1
		}
		return 1
	})
	if !sorted || !thisMachine().has(thisMachine().native) {
		t.Error("the tables of this machine are not as lookups need them")
	}
}

// Of some calls not all is known: they count as allowed only if that does not matter.
func TestAllows(t *testing.T) {
	f, err := Compile(&specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{
		{Names: []string{"read"}, Action: specs.ActAllow},
		{Names: []string{"write"}, Action: specs.ActLog},
		{Names: []string{"close"}, Action: specs.ActTrace},
		{Names: []string{"clone"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Index: 0, Value: unix.CLONE_NEWUSER, Op: specs.OpMaskedEqual}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	unknown := func(i int) (u [6]bool) { u[i] = true; return u }
	for _, c := range []struct {
		name string
		call Call
		want bool
	}{
		{"allowed", Call{Number: unix.SYS_READ, Unknown: [6]bool{true, true, true, true, true, true}}, true},
		{"allowed and noted", Call{Number: unix.SYS_WRITE}, true},
		{"for a tracer", Call{Number: unix.SYS_CLOSE}, false},
		{"forbidden", Call{Number: unix.SYS_GETPID}, false},
		{"an argument that is right", Call{Number: unix.SYS_CLONE, Args: [6]uint64{unix.CLONE_VM}, Unknown: unknown(1)}, true},
		{"an argument that is wrong", Call{Number: unix.SYS_CLONE, Args: [6]uint64{unix.CLONE_NEWUSER}}, false},
		{"an argument that is not known", Call{Number: unix.SYS_CLONE, Unknown: unknown(0)}, false},
	} {
		if got := f.Allows([]Call{{Number: unix.SYS_READ}, c.call}); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}

func TestBytes(t *testing.T) {
	f, err := Compile(&specs.LinuxSeccomp{DefaultAction: specs.ActAllow})
	if err != nil {
		t.Fatal(err)
	}
	b := f.Bytes()
	last := b[len(b)-8:]
	if len(b) != 8*len(f.Instructions) || last[0] != unix.BPF_RET || last[1] != 0 {
		t.Errorf("%d instructions as % x", len(f.Instructions), b)
	}
}
