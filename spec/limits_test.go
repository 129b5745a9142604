package spec

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// tooMany repeats a value once more than a list may have it.
func tooMany[T any](value T) []T { return slices.Repeat([]T{value}, maxEntries+1) }

// tooManyKeys is an object with too many members.
func tooManyKeys[T any](format string, value T) map[string]T {
	m := map[string]T{}
	for i := range maxEntries + 1 {
		m[fmt.Sprintf(format, i)] = value
	}
	return m
}

// Every list has a limit, and so has every string that the kernel would refuse or
// truncate. The error names the field, and nothing else is checked.
func TestSizes(t *testing.T) {
	path := "/" + strings.Repeat("p", maxPath)
	page := strings.Repeat("x", maxPage+1)
	resources := func(r specs.LinuxResources) func(*specs.Spec) {
		return func(s *specs.Spec) { s.Linux.Resources = &r }
	}
	blockIO := func(b specs.LinuxBlockIO) func(*specs.Spec) { return resources(specs.LinuxResources{BlockIO: &b}) }
	throttle := tooMany(specs.LinuxThrottleDevice{})
	for field, change := range map[string]func(s *specs.Spec){
		"process.args[1]":               func(s *specs.Spec) { s.Process.Args = []string{"a", strings.Repeat("a", maxArgument+1)} },
		"process.env[0]":                func(s *specs.Spec) { s.Process.Env = []string{"A=" + strings.Repeat("a", maxArgument)} },
		"process.args":                  func(s *specs.Spec) { s.Process.Env = slices.Repeat([]string{strings.Repeat("A=", 40_000)}, 80) },
		"process.cwd":                   func(s *specs.Spec) { s.Process.Cwd = path },
		"process.rlimits":               func(s *specs.Spec) { s.Process.Rlimits = tooMany(specs.POSIXRlimit{}) },
		"process.apparmorProfile":       func(s *specs.Spec) { s.Process.ApparmorProfile = page },
		"process.selinuxLabel":          func(s *specs.Spec) { s.Process.SelinuxLabel = page },
		"process.capabilities.bounding": func(s *specs.Spec) { s.Process.Capabilities.Bounding = tooMany("CAP_KILL") },
		"process.capabilities.ambient":  func(s *specs.Spec) { s.Process.Capabilities.Ambient = tooMany("CAP_KILL") },
		"root.path":                     func(s *specs.Spec) { s.Root.Path = path },
		"mounts":                        func(s *specs.Spec) { s.Mounts = tooMany(specs.Mount{}) },
		"mounts[0].destination":         func(s *specs.Spec) { s.Mounts[0].Destination = path },
		"mounts[0].source":              func(s *specs.Spec) { s.Mounts[0].Source = path },
		"mounts[0].options":             func(s *specs.Spec) { s.Mounts[0].Options = []string{"ro", "lowerdir=" + page} },
		"mounts[1].options":             func(s *specs.Spec) { s.Mounts[1].Options = tooMany("size=1k") },
		"hooks.prestart":                func(s *specs.Spec) { s.Hooks = &specs.Hooks{Prestart: make([]specs.Hook, maxHooks+1)} },
		"hooks.poststop[0].path":        func(s *specs.Spec) { s.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: path}}} },
		"hooks.poststart[0].args": func(s *specs.Spec) {
			s.Hooks = &specs.Hooks{Poststart: []specs.Hook{{Args: slices.Repeat([]string{page}, 2000)}}}
		},
		"linux.namespaces":         func(s *specs.Spec) { s.Linux.Namespaces = tooMany(specs.LinuxNamespace{Type: "pid"}) },
		"linux.namespaces[0].path": func(s *specs.Spec) { s.Linux.Namespaces[0].Path = path },
		"linux.devices":            func(s *specs.Spec) { s.Linux.Devices = tooMany(specs.LinuxDevice{}) },
		"linux.devices[0].path":    func(s *specs.Spec) { s.Linux.Devices = []specs.LinuxDevice{{Path: path}} },
		"linux.maskedPaths":        func(s *specs.Spec) { s.Linux.MaskedPaths = tooMany("/a") },
		"linux.maskedPaths[0]":     func(s *specs.Spec) { s.Linux.MaskedPaths[0] = path },
		"linux.readonlyPaths":      func(s *specs.Spec) { s.Linux.ReadonlyPaths = tooMany("/a") },
		"linux.cgroupsPath":        func(s *specs.Spec) { s.Linux.CgroupsPath = path },
		"linux.mountLabel":         func(s *specs.Spec) { s.Linux.MountLabel = page },
		"linux.netDevices":         func(s *specs.Spec) { s.Linux.NetDevices = tooManyKeys("e%d", specs.LinuxNetDevice{}) },
		"linux.timeOffsets":        func(s *specs.Spec) { s.Linux.TimeOffsets = tooManyKeys("c%d", specs.LinuxTimeOffset{}) },
		"linux.sysctl":             func(s *specs.Spec) { s.Linux.Sysctl = tooManyKeys("net.x%d", "1") },
		`linux.sysctl["net.x"]`:    func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"net.x": page} },
		"linux.personality.flags": func(s *specs.Spec) {
			s.Linux.Personality = &specs.LinuxPersonality{Flags: tooMany(specs.LinuxPersonalityFlag("x"))}
		},
		"linux.memoryPolicy.flags": func(s *specs.Spec) {
			s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Flags: tooMany(specs.MpolFStaticNodes)}
		},
		"linux.intelRdt.schemata":                         func(s *specs.Spec) { s.Linux.IntelRdt = &specs.LinuxIntelRdt{Schemata: tooMany("L3:0=f")} },
		"linux.resources.devices":                         resources(specs.LinuxResources{Devices: tooMany(specs.LinuxDeviceCgroup{})}),
		"linux.resources.hugepageLimits":                  resources(specs.LinuxResources{HugepageLimits: tooMany(specs.LinuxHugepageLimit{})}),
		"linux.resources.rdma":                            resources(specs.LinuxResources{Rdma: tooManyKeys("d%d", specs.LinuxRdma{})}),
		"linux.resources.unified":                         resources(specs.LinuxResources{Unified: tooManyKeys("memory.x%d", "1")}),
		`linux.resources.unified["memory.high"]`:          resources(specs.LinuxResources{Unified: map[string]string{"memory.high": page}}),
		"linux.resources.network.priorities":              resources(specs.LinuxResources{Network: &specs.LinuxNetwork{Priorities: tooMany(specs.LinuxInterfacePriority{})}}),
		"linux.resources.blockIO.weightDevice":            blockIO(specs.LinuxBlockIO{WeightDevice: tooMany(specs.LinuxWeightDevice{})}),
		"linux.resources.blockIO.throttleReadBpsDevice":   blockIO(specs.LinuxBlockIO{ThrottleReadBpsDevice: throttle}),
		"linux.resources.blockIO.throttleWriteBpsDevice":  blockIO(specs.LinuxBlockIO{ThrottleWriteBpsDevice: throttle}),
		"linux.resources.blockIO.throttleReadIOPSDevice":  blockIO(specs.LinuxBlockIO{ThrottleReadIOPSDevice: throttle}),
		"linux.resources.blockIO.throttleWriteIOPSDevice": blockIO(specs.LinuxBlockIO{ThrottleWriteIOPSDevice: throttle}),
		"linux.seccomp.architectures":                     func(s *specs.Spec) { s.Linux.Seccomp = &specs.LinuxSeccomp{Architectures: tooMany(specs.ArchX86_64)} },
		"linux.seccomp.flags":                             func(s *specs.Spec) { s.Linux.Seccomp = &specs.LinuxSeccomp{Flags: tooMany(specs.LinuxSeccompFlagLog)} },
		"linux.seccomp.syscalls":                          func(s *specs.Spec) { s.Linux.Seccomp = &specs.LinuxSeccomp{Syscalls: tooMany(specs.LinuxSyscall{})} },
		"linux.seccomp.syscalls ": func(s *specs.Spec) {
			s.Linux.Seccomp = &specs.LinuxSeccomp{Syscalls: slices.Repeat([]specs.LinuxSyscall{{
				Names: slices.Repeat([]string{"read"}, 500), Args: make([]specs.LinuxSeccompArg, maxConditions),
			}}, 21)}
		},
		"linux.seccomp.syscalls[0].names": func(s *specs.Spec) {
			s.Linux.Seccomp = &specs.LinuxSeccomp{Syscalls: []specs.LinuxSyscall{{Names: tooMany("read")}}}
		},
		"linux.seccomp.syscalls[0].args": func(s *specs.Spec) {
			s.Linux.Seccomp = &specs.LinuxSeccomp{Syscalls: []specs.LinuxSyscall{{Args: tooMany(specs.LinuxSeccompArg{})}}}
		},
	} {
		s := Default()
		change(s)
		problems := check(s).problems
		if len(problems) != 1 || problems[0].Field != strings.TrimSpace(field) || !strings.Contains(problems[0].Message, "at most") {
			t.Errorf("%s: %.3v", field, problems)
		}
		if err := ValidateProcess(s); strings.HasPrefix(field, "process") && err == nil {
			t.Errorf("%s is let pass in a process of its own", field)
		}
	}
}

// A configuration just within the limits is checked in a moment.
func TestLargestConfiguration(t *testing.T) {
	s := Default()
	for i := range maxEntries - len(s.Mounts) {
		s.Mounts = append(s.Mounts, specs.Mount{Destination: fmt.Sprint("/m/", i), Type: "tmpfs", Options: []string{"rw"}})
	}
	s.Mounts[0].Options = slices.Repeat([]string{"nosuid"}, maxEntries)
	s.Linux.Namespaces = slices.Repeat([]specs.LinuxNamespace{{Type: "x"}}, maxEntries)
	s.Process.Rlimits = make([]specs.POSIXRlimit, maxEntries)
	s.Linux.Resources = &specs.LinuxResources{Network: &specs.LinuxNetwork{}}
	for i := range maxEntries {
		s.Process.Rlimits[i].Type = fmt.Sprint("RLIMIT_", i)
		s.Linux.Namespaces[i].Type = specs.LinuxNamespaceType(fmt.Sprint("n", i))
		s.Linux.Resources.HugepageLimits = append(s.Linux.Resources.HugepageLimits, specs.LinuxHugepageLimit{Pagesize: fmt.Sprint(i, "KB")})
		s.Linux.Resources.Network.Priorities = append(s.Linux.Resources.Network.Priorities, specs.LinuxInterfacePriority{Name: fmt.Sprint("e", i)})
	}
	s.Process.User.AdditionalGids = make([]uint32, maxGroups)
	began := time.Now()
	err := Validate(s)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it takes %v", took)
	}
	if text := err.Error(); strings.Count(text, "\n") != maxShown+1 || !strings.Contains(text, "\n  and ") {
		t.Errorf("%d lines: %.300s", strings.Count(text, "\n"), text)
	}
}

// A message omits a long value, but keeps the advice.
func TestLongValuesInMessages(t *testing.T) {
	s := changed(t, bound(`, "`+strings.Repeat("é", 1_000_000)+`"`, ""))
	problems := check(s).problems
	if len(problems) != 1 || len(problems[0].Message) > 1000 || !strings.Contains(problems[0].Message, "correct it, or remove it") {
		t.Errorf("%.2000s", problems)
	}
	_, err := Parse([]byte(`{"process": {"oomScoreAdj": ` + strings.Repeat("9", 1_000_000) + `}}`))
	if err == nil || len(err.Error()) > 1200 || !strings.Contains(err.Error(), "is not a whole number from") {
		t.Errorf("%.2000v", err)
	}
}

func TestDocumentSize(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, ConfigName)
	document := `{"ociVersion": "1.3.0", "root": {"path": "r"}, "x": "`
	document += strings.Repeat("x", MaxSize-len(document)-2) + `"}`
	for _, c := range []struct {
		text string
		ok   bool
	}{{document, true}, {document + " ", false}} {
		if err := os.WriteFile(name, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(dir)
		if (err == nil) != c.ok || err != nil && err.Error() != name+": larger than 16 MiB, the limit of a configuration; look for what makes it so large" {
			t.Errorf("%d bytes: %v", len(c.text), err)
		}
	}
	// A file without an end.
	if _, err := LoadDocument("/dev/zero"); err == nil {
		t.Error("all of /dev/zero was read")
	}
}

// docs/limits.md has the numbers that the code has.
func TestLimitsAreDocumented(t *testing.T) {
	data, err := os.ReadFile("../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(data), ",", "")
	for _, limit := range []string{
		fmt.Sprintf("%d MiB", MaxSize>>20), fmt.Sprintf("%d entries", maxEntries), fmt.Sprintf("%d each", maxPaths), fmt.Sprintf("| %d |", maxHooks),
		fmt.Sprintf("%d bytes; all", maxArgument), fmt.Sprintf("all %d bytes", maxArguments), fmt.Sprintf("| %d bytes |", maxPath), fmt.Sprintf("| %d |", maxGroups),
		fmt.Sprintf("%d each", maxMappings), fmt.Sprintf("| %d bytes |", maxName), fmt.Sprintf("| %d bytes |", maxInterface), fmt.Sprintf("| %d bytes |", maxPage),
		fmt.Sprintf("more than %d bytes", maxOption), fmt.Sprintf("%d arguments", maxConditions), fmt.Sprintf("arguments %d", maxTests),
		fmt.Sprintf("below %d", maxListed+1), fmt.Sprintf("%d each; of a value", maxShown),
	} {
		if !strings.Contains(text, limit) {
			t.Errorf("docs/limits.md does not say %q", limit)
		}
	}
}
