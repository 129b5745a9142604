package spec

import (
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// runc and crun accept these, and the specification does not forbid them.
func TestTaken(t *testing.T) {
	for _, text := range []string{
		`{"linux": {"uidMappings": [{"hostID": 1000, "size": 10}]}}`,
		`{"hooks": {"startContainer": [{"path": "/x", "env": ["A", ""]}]}}`,
		`{"linux": {"cgroupsPath": "/a/../b"}}`,
		`{"linux": {"cgroupsPath": "a/b/../../c"}}`,
		`{"linux": {"memoryPolicy": {"mode": "MPOL_DEFAULT", "flags": ["MPOL_F_STATIC_NODES"]}}}`,
		`{"linux": {"resources": {"cpu": {"burst": 1}}}}`,
		`{"linux": {"resources": {"blockIO": {"weight": 1, "leafWeight": 10000}}}}`,
		`{"linux": {"resources": {"pids": {"limit": -5}}}}`,
		`{"mounts": [{"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["rw", "nsdelegate", "memory_recursiveprot"]}]}`,
	} {
		if p := check(changed(t, text)).problems; len(p) > 0 {
			t.Errorf("%s: %v", text, p)
		}
	}
}

// Older engines write -1 into unsigned fields.
func TestMinusOneIsUnset(t *testing.T) {
	const none = "18446744073709551615"
	s, err := Parse([]byte(`{"linux": {"resources": {"memory": {"swappiness": ` + none + `}, "pids": {"limit": -7},
		"cpu": {"shares": ` + none + `, "period": ` + none + `, "burst": ` + none + `, "realtimePeriod": ` + none + `}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	r := s.Linux.Resources
	if r.Memory.Swappiness != nil || *r.CPU != (specs.LinuxCPU{}) || *r.Pids.Limit != -1 {
		t.Errorf("%+v %+v %d", r.Memory, r.CPU, *r.Pids.Limit)
	}
}
