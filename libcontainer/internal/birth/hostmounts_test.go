package birth

import "testing"

func TestParseMountinfo(t *testing.T) {
	for line, want := range map[string][2]string{
		"22 26 0:20 / /proc rw,nosuid shared:5 - proc proc rw\n":     {"/proc", "proc"},
		`23 26 0:21 / /a\040b\134 rw - sysfs sysfs rw`:               {`/a b\`, "sysfs"},
		`24 26 0:21 / /x\ rw master:1 propagate_from:2 - tmpfs - rw`: {`/x\`, "tmpfs"},
	} {
		name, fstype, ok := parseMountinfo(line)
		if !ok || name != want[0] || fstype != want[1] {
			t.Errorf("%q: %q, %q, %v", line, name, fstype, ok)
		}
	}
	if _, _, ok := parseMountinfo("malformed"); ok {
		t.Error("a malformed line was taken")
	}
}
