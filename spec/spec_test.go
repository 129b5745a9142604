package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestDefaultsAreValid(t *testing.T) {
	for name, change := range map[string]func(*specs.Spec){"default": func(*specs.Spec) {}, "rootless": Rootless} {
		s := Default()
		change(s)
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		if err := Validate(parsed); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestValidateNamesTheField(t *testing.T) {
	for field, change := range map[string]func(s *specs.Spec){
		"ociVersion":                      func(s *specs.Spec) { s.Version = "1.0" },
		"root.path":                       func(s *specs.Spec) { s.Root = nil },
		"process.args":                    func(s *specs.Spec) { s.Process.Args = []string{""} },
		"process.cwd":                     func(s *specs.Spec) { s.Process.Cwd = "x" },
		"process.env[1]":                  func(s *specs.Spec) { s.Process.Env[1] = "A\x00" },
		"process.args[0]":                 func(s *specs.Spec) { s.Process.Args[0] = "A\x00" },
		"process.commandLine":             func(s *specs.Spec) { s.Process.CommandLine = "cmd" },
		"process.rlimits[0].soft":         func(s *specs.Spec) { s.Process.Rlimits[0].Soft = 1 << 60 },
		"process.oomScoreAdj":             func(s *specs.Spec) { n := 1001; s.Process.OOMScoreAdj = &n },
		"process.user.umask":              func(s *specs.Spec) { n := uint32(0o1777); s.Process.User.Umask = &n },
		"mounts[0].destination":           func(s *specs.Spec) { s.Mounts[0].Destination = "" },
		"mounts[0].type":                  func(s *specs.Spec) { s.Mounts[0].Type = "" },
		"mounts[1].source":                func(s *specs.Spec) { s.Mounts[1].Type, s.Mounts[1].Source = "bind", "" },
		"linux.namespaces[0].type":        func(s *specs.Spec) { s.Linux.Namespaces[0].Type = "x" },
		"linux.namespaces[1].path":        func(s *specs.Spec) { s.Linux.Namespaces[1].Path = "x" },
		"hostname":                        func(s *specs.Spec) { s.Linux.Namespaces = nil },
		"linux.timeOffsets":               func(s *specs.Spec) { s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {}} },
		"linux.maskedPaths[0]":            func(s *specs.Spec) { s.Linux.MaskedPaths[0] = "x" },
		"linux.readonlyPaths[0]":          func(s *specs.Spec) { s.Linux.ReadonlyPaths[0] = "x" },
		"linux.rootfsPropagation":         func(s *specs.Spec) { s.Linux.RootfsPropagation = "x" },
		"linux.devices[0].path":           func(s *specs.Spec) { s.Linux.Devices = []specs.LinuxDevice{{Path: "x", Type: "c"}} },
		"linux.devices[0].type":           func(s *specs.Spec) { s.Linux.Devices = []specs.LinuxDevice{{Path: "/x", Type: "x"}} },
		"linux.resources.memory.limit":    func(s *specs.Spec) { s.Linux.Resources.Memory = &specs.LinuxMemory{Limit: pointer(int64(-2))} },
		"linux.resources.devices[0].type": func(s *specs.Spec) { s.Linux.Resources.Devices[0].Type = "x" },
	} {
		s := Default()
		change(s)
		err := Validate(s)
		var invalid Invalid
		if !errors.As(err, &invalid) || !slices.ContainsFunc(invalid, func(p Problem) bool { return p.Field == field }) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func pointer[T any](v T) *T { return &v }

func TestVersions(t *testing.T) {
	for version, ok := range map[string]bool{
		"1.0.0": true, "1.0.2-dev": true, "1.3.0": true, "1.9.9": true, "1.2.0+build": true,
		"1.0.0-rc.1+b-1.2": true, "1.03.0": false, "1.0.0-": false, "1.0.0+a_b": false, "1.0.0-a..b": false, "1.0.-1": false,
		"2.0.0": false, "0.9.0": false, "": false, "1": false, "1.0": false, "a.b.c": false, "1.0.0.0": false,
	} {
		s := Default()
		s.Version = version
		if err := Validate(s); (err == nil) != ok {
			t.Errorf("%q: %v", version, err)
		}
	}
}

func TestParseErrorsHaveAPlace(t *testing.T) {
	for text, words := range map[string]string{
		"{\n\"a\": 1,\n  x}":                        "line 3, column 3",
		"":                                          "line 1",
		"{\"process\":\n{\"cwd\": 5}}":              "line 2, column 9: process.cwd: found a JSON number where a string is expected",
		"{\"process\": {\"terminal\": \"yes\"}}":    "process.terminal: found a JSON string where true or false is expected",
		"{\"linux\": {\"maskedPaths\": {}}}":        "linux.maskedPaths: found a JSON object where an array is expected",
		"{\"process\": {\"user\": {\"uid\": -1}}}":  "process.user.uid",
		"{\"process\": {\"user\": {\"uid\": 1.5}}}": "process.user.uid",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestMountOptionTables(t *testing.T) {
	for _, name := range []string{"ro", "rro", "rw", "rrw", "nosuid", "rnosuid", "noexec", "rnoexec", "nodev", "rnodev", "noatime", "rnoatime",
		"relatime", "rrelatime", "nodiratime", "rnodiratime", "strictatime", "rstrictatime", "nosymfollow", "rnosymfollow", "suid", "rsuid"} {
		if _, ok := FindMountOption(name); !ok {
			t.Errorf("no option %s", name)
		}
	}
	ro, _ := FindMountOption("ro")
	rro, _ := FindMountOption("rro")
	if rro.Set != ro.Set || !rro.Recursive || ro.Recursive {
		t.Error("rro is not the recursive ro")
	}
	for _, name := range []string{"", "r", "x", "rx", "rbind"} {
		if _, ok := FindMountOption(name); ok {
			t.Errorf("%q is an option", name)
		}
	}
	names := MountOptionNames()
	if unique := slices.Compact(slices.Clone(names)); len(unique) != len(names) {
		t.Error("an option is in two tables")
	}
}

// config.md, "Linux mount options": every MUST and SHOULD.
func TestEveryOptionOfTheSpecification(t *testing.T) {
	const table = `async atime bind defaults dev diratime dirsync exec iversion lazytime loud noatime nodev nodiratime noexec
		noiversion nolazytime norelatime nostrictatime nosuid nosymfollow private ratime rbind rdev rdiratime relatime remount
		rexec rnoatime rnodiratime rnoexec rnorelatime rnostrictatime rnosuid rnosymfollow ro rprivate rrelatime rro rrw rshared
		rslave rstrictatime rsuid rsymfollow runbindable rw shared silent slave strictatime suid symfollow sync unbindable idmap ridmap`
	names := MountOptionNames()
	for _, name := range strings.Fields(table) {
		if !slices.Contains(names, name) {
			t.Errorf("no option %s", name)
		}
	}
}

// config.md, "Extensibility".
func TestUnknownMembersAreIgnored(t *testing.T) {
	s, err := Parse([]byte(`{"x-future": {"a": [1, {}]}, "ociVersion": "1.3.0", "process": {"cwd": "/", "x-new": null, "args": ["a"]}}`))
	if err != nil || s.Version != "1.3.0" || s.Process.Cwd != "/" || len(s.Process.Args) != 1 {
		t.Errorf("%+v, %v", s, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"bench/default.json", "testdata/docker/config.json"} {
		data, err := os.ReadFile(filepath.Join("..", "tests", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	full, err := os.ReadFile(filepath.Join("testdata", "full.json"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(full)
	f.Add([]byte(`{"ociVersion":"1.3.0","linux":{"namespaces":[{"type":"pid","path":""}]}}`))
	for _, table := range [][]problemCase{generalProblems, mountProblems, linuxProblems, resourceProblems} {
		for _, c := range table {
			f.Add([]byte(c.bad))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse(data)
		if err != nil {
			if err.Error() == "" {
				t.Error("an empty message")
			}
			return
		}
		err, again := Validate(s), Validate(s)
		if (err == nil) != (again == nil) || err != nil && err.Error() != again.Error() {
			t.Errorf("first  %v\nsecond %v", err, again)
		}
		_ = Warnings(s)
	})
}

// FuzzParseAgreesWithEncodingJSON compares the generated reader with the
// standard library's.
func FuzzParseAgreesWithEncodingJSON(f *testing.F) {
	for _, name := range []string{"bench/default.json", "testdata/docker/config.json"} {
		data, err := os.ReadFile(filepath.Join("..", "tests", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	full, err := os.ReadFile("testdata/full.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(full)
	f.Add([]byte(`{"mounts":[{"options":["a","b,c"]}],"linux":{"resources":{"memory":{"swappiness":18446744073709551615},"pids":{"limit":-5}}}}`))
	f.Add([]byte(`{"hooks":{"prestart":[{"path":"/x","timeout":3}]},"linux":{"timeOffsets":{"boottime":{"secs":-1}},"devices":[{"fileMode":438}],"resources":{"rdma":{"a":{"hcaHandles":1}}},"seccomp":null}}`))
	f.Add([]byte(`{"MOUNTS":[{"DESTINATION":"/a","type":"tmpfs"},{"type":"x"}],"mounts":[{"Destination":"/b"}],"process":{"NoNewPrivileges":true,"noNewPrivileges":false}}`))
	f.Add([]byte(`{"linu\u017f":1,"root":{"readOnly":true},"linux":{"ma\u017FkedPaths":["/a"],"mas\u212aedPaths":["/b"]},"hoo\u212as":{"poststop":[{"PATH":"/x"}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		want := new(specs.Spec)
		if json.Unmarshal(data, want) != nil {
			return
		}
		want.Solaris, want.Windows, want.VM, want.ZOS, want.FreeBSD = nil, nil, nil, nil, nil
		plain(want)
		got, err := Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(want)
		if !bytes.Equal(a, b) {
			t.Errorf("got  %s\nwant %s", a, b)
		}
	})
}
