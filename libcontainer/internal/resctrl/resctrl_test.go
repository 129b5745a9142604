package resctrl

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// tree is a fake resctrl file system: its directories get the files that the kernel would
// make.
func tree(t *testing.T, classes ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, dir := range append(classes, "", "mon_groups") {
		fill(t, filepath.Join(root, dir))
	}
	return root
}

func fill(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "mon_groups"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"schemata": "L3:0=7ff\nMB:0=100\n", "tasks": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func content(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestExistingClass(t *testing.T) {
	root := tree(t, "gold")
	if err := Apply(root, "box", &specs.LinuxIntelRdt{ClosID: "gold"}, 42); err != nil {
		t.Fatal(err)
	}
	if got := content(t, root+"/gold/tasks"); got != "42" {
		t.Errorf("tasks: %q", got)
	}
	if got := content(t, root+"/gold/schemata"); !strings.HasPrefix(got, "L3:0=7ff") {
		t.Errorf("schemata were written: %q", got)
	}
	if g := Plan(root, "box", &specs.LinuxIntelRdt{ClosID: "gold"}); g != (Group{}) {
		t.Errorf("somebody else's class would be removed: %+v", g)
	}
}

func TestExistingClassMustAllowTheSame(t *testing.T) {
	root := tree(t, "gold")
	if err := Apply(root, "box", &specs.LinuxIntelRdt{ClosID: "gold", Schemata: []string{"L3:0=7ff"}}, 42); err != nil {
		t.Error(err)
	}
	err := Apply(root, "box", &specs.LinuxIntelRdt{ClosID: "gold", L3CacheSchema: "L3:0=f"}, 42)
	if err == nil || !strings.Contains(err.Error(), "linux.intelRdt.schemata") {
		t.Error(err)
	}
}

func TestMissingClass(t *testing.T) {
	root := tree(t)
	err := Apply(root, "box", &specs.LinuxIntelRdt{ClosID: "none"}, 42)
	if err == nil || !strings.Contains(err.Error(), "closID") {
		t.Error(err)
	}
	if _, err := os.Stat(root + "/none"); err == nil {
		t.Error("the directory is left")
	}
}

func TestDefaultClass(t *testing.T) {
	root := tree(t)
	if err := Apply(root, "box", &specs.LinuxIntelRdt{ClosID: "/"}, 42); err != nil {
		t.Fatal(err)
	}
	if got := content(t, root+"/tasks"); got != "42" {
		t.Errorf("tasks: %q", got)
	}
}

func TestOrderOfSchemata(t *testing.T) {
	got := Schemata(&specs.LinuxIntelRdt{L3CacheSchema: "L3:0=1", MemBwSchema: "MB:0=2", Schemata: []string{"L2:0=3"}})
	if strings.Join(got, " ") != "L3:0=1 MB:0=2 L2:0=3" {
		t.Error(got)
	}
}

func TestMonitoringAndRemoval(t *testing.T) {
	root := tree(t)
	fill(t, root+"/mon_groups/box") // the kernel fills what mkdir makes
	r := &specs.LinuxIntelRdt{ClosID: "/", EnableMonitoring: true}
	if err := Apply(root, "box", r, 42); err != nil {
		t.Fatal(err)
	}
	if got := content(t, root+"/mon_groups/box/tasks"); got != "42" {
		t.Errorf("tasks: %q", got)
	}
	g := Plan(root, "box", r)
	if err := os.RemoveAll(g.Monitor); err != nil {
		t.Fatal(err)
	}
	if err := g.Remove(); err != nil {
		t.Errorf("the second removal: %v", err)
	}
}

func TestUpdate(t *testing.T) {
	root := tree(t, "box")
	r := &specs.LinuxIntelRdt{L3CacheSchema: "L3:0=3"}
	if err := Update(root, "box", r, nil); err != nil {
		t.Fatal(err)
	}
	if got := content(t, filepath.Join(root, "box", "schemata")); !strings.Contains(got, "L3:0=3\n") {
		t.Errorf("%q", got)
	}
	if err := Update(root, "none", r, []string{"L3:0=1"}); err == nil || !strings.Contains(err.Error(), "linux.intelRdt.schemata") {
		t.Errorf("%v", err)
	}
}
