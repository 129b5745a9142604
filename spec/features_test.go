package spec

import (
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestFeaturesAreTheTables(t *testing.T) {
	f := Features(nil, nil)
	if f.OCIVersionMin != VersionMin || f.OCIVersionMax != specs.Version {
		t.Errorf("%s to %s", f.OCIVersionMin, f.OCIVersionMax)
	}
	if len(f.Linux.Capabilities) != len(Capabilities) || len(f.Linux.Namespaces) != len(Namespaces) {
		t.Error("capabilities or namespaces are missing")
	}
	if !slices.IsSorted(f.MountOptions) || !slices.Contains(f.MountOptions, "rro") {
		t.Error(f.MountOptions)
	}
}

// rt accepts what it claims to support.
func TestFeaturesAreAccepted(t *testing.T) {
	for _, document := range []string{
		`{"process": {"apparmorProfile": "p"}}`, `{"process": {"selinuxLabel": "u:r:t"}}`, `{"hooks": {"poststart": [{"path": "/x"}]}}`,
		`{"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW"}}}`, `{"linux": {"intelRdt": {}}}`,
		`{"linux": {"memoryPolicy": {"mode": "MPOL_LOCAL"}}}`, `{"linux": {"netDevices": {"eth0": {}}}}`,
		bound(`, "idmap"`, `, "uidMappings": `+ids+`, "gidMappings": `+ids),
	} {
		if err := Validate(changed(t, document)); err != nil {
			t.Errorf("%s: %v", document, err)
		}
	}
}

// rt accepts every option that it claims to support, and knows every option of config.md's
// table.
func TestMountOptionsAreAccepted(t *testing.T) {
	for _, name := range MountOptionNames() {
		m := specs.Mount{Destination: "/d", Type: "tmpfs", Source: "/s", Options: []string{name}}
		if name == OptionIdmap || name == OptionRidmap {
			m.Type, m.UIDMappings, m.GIDMappings = "bind", []specs.LinuxIDMapping{{Size: 1}}, []specs.LinuxIDMapping{{Size: 1}}
		}
		s := Default()
		s.Mounts = []specs.Mount{m}
		if err := Validate(s); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	const table = "async atime bind defaults dev diratime dirsync exec iversion lazytime loud mand noatime nodev nodiratime noexec " +
		"noiversion nolazytime nomand norelatime nostrictatime nosuid nosymfollow private ratime rbind rdev rdiratime relatime remount " +
		"rexec rnoatime rnodev rnodiratime rnoexec rnorelatime rnostrictatime rnosuid rnosymfollow ro rprivate rrelatime rro rrw rshared " +
		"rslave rstrictatime rsuid rsymfollow runbindable rw shared silent slave strictatime suid symfollow sync tmpcopyup unbindable idmap ridmap"
	for name := range strings.FieldsSeq(table) {
		if !knownOption(name) {
			t.Errorf("%s is not known", name)
		}
	}
}
