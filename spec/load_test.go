package spec

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// A member in other letter cases is meant, and other readers accept it. If rt ignored it,
// the container would be less restricted.
func TestMembersInOtherCases(t *testing.T) {
	dir := t.TempDir()
	document := `{"ociVersion": "1.3.0", "Process": {"NoNewPrivileges": true, "cwd": "/", "args": ["a"], "user": {"uid": 0, "gid": 0}},
		"root": {"path": "r", "readOnly": true}, "x-future": {"y": 1},
		"linux": {"MaskedPaths": ["/proc/kcore"], "resources": {"Devices": [{"allow": false, "Access": "rwm"}]}}}`
	if err := os.WriteFile(filepath.Join(dir, ConfigName), []byte(document), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !c.Process.NoNewPrivileges || !c.Root.Readonly || len(c.Linux.MaskedPaths) != 1 || c.Linux.Resources.Devices[0].Access != "rwm" {
		t.Errorf("%+v", c.Spec)
	}
	warnings := []string{
		`Process: taken as "process"; write it so`,
		`Process.NoNewPrivileges: taken as "noNewPrivileges"; write it so`,
		`root.readOnly: taken as "readonly"; write it so`,
		`linux.MaskedPaths: taken as "maskedPaths"; write it so`,
		`linux.resources.Devices: taken as "devices"; write it so`,
		`linux.resources.Devices[0].Access: taken as "access"; write it so`,
	}
	if !slices.Equal(c.Warnings, warnings) {
		t.Errorf("got  %q\nwant %q", c.Warnings, warnings)
	}
	if want := []string{"x-future: unknown, and ignored"}; !slices.Equal(c.Unknown, want) {
		t.Errorf("got  %q\nwant %q", c.Unknown, want)
	}
}

// Sections for other systems are known, and cause no remarks.
func TestOtherPlatforms(t *testing.T) {
	_, remarks, err := parse([]byte(`{"ociVersion": "1.3.0", "windows": {"a": 1}, "vm": {}, "solaris": null, "zos": {}, "freebsd": {}}`))
	if err != nil || remarks.Folded != nil || remarks.Unknown != nil {
		t.Error(remarks, err)
	}
}

func TestParseProcess(t *testing.T) {
	p, remarks, err := ParseProcess([]byte(`{"args": ["a"], "noNewPrivileges": false, "nonewprivileges": true, "new": 1}`))
	if err != nil || !p.NoNewPrivileges || len(p.Args) != 1 {
		t.Errorf("%+v, %v", p, err)
	}
	want := Remarks{[]string{`nonewprivileges: taken as "noNewPrivileges"; write it so`}, []string{"new: unknown, and ignored"}}
	if !reflect.DeepEqual(remarks, want) {
		t.Errorf("%q", remarks)
	}
	if _, _, err := ParseProcess([]byte(`{"args": "a"}`)); err == nil {
		t.Error("a string is an array")
	}
}

// Objects are merged with existing ones, lists replace them.
func TestParseResources(t *testing.T) {
	r := &specs.LinuxResources{
		Memory:  &specs.LinuxMemory{Limit: pointer(int64(5)), Swap: pointer(int64(6))},
		Devices: []specs.LinuxDeviceCgroup{{Allow: true, Type: "c", Access: "r"}, {Allow: true}},
	}
	remarks, err := ParseResources([]byte(`{"Memory": {"limit": 7}, "devices": [{"access": "w"}]}`), r)
	if err != nil || *r.Memory.Limit != 7 || *r.Memory.Swap != 6 || !reflect.DeepEqual(r.Devices, []specs.LinuxDeviceCgroup{{Access: "w"}}) {
		t.Errorf("%+v, %+v, %v", r.Memory, r.Devices, err)
	}
	if want := []string{`Memory: taken as "memory"; write it so`}; !slices.Equal(remarks.Folded, want) {
		t.Errorf("%q", remarks)
	}
	if _, err := ParseResources([]byte(`{"memory": 1}`), r); err == nil || *r.Memory.Limit != 7 {
		t.Error(err)
	}
}
