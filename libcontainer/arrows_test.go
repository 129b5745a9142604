package libcontainer

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// arrows are the imports that are allowed within rt: data flows one way, and nothing
// imports upwards. docs/architecture.md, "The house". What internal/ at the top has is
// for all.
var arrows = map[string][]string{
	"cmd/rt":                              {"libcontainer", "libcontainer/seccomp", "spec"},
	"spec":                                nil,
	"libcontainer/seccomp":                {"libcontainer/seccomp/simulate", "spec"},
	"libcontainer/seccomp/simulate":       nil,
	"libcontainer/internal/program":       nil,
	"libcontainer/internal/program/image": {"libcontainer/internal/program"},
	"libcontainer/internal/compile":       {"libcontainer/internal/program", "libcontainer/seccomp", "spec"},
	"libcontainer/internal/launch":        nil,
	"libcontainer/internal/state":         nil,
	"libcontainer/internal/cgroup":        {"spec"},
	"libcontainer/internal/netdev":        nil,
	"libcontainer/internal/resctrl":       nil,
	"libcontainer/internal/hooks": {
		"libcontainer/internal/compile", "libcontainer/internal/launch", "libcontainer/internal/program/image", "spec",
	},
	"libcontainer/internal/birth": {
		"libcontainer/internal/cgroup", "libcontainer/internal/compile", "libcontainer/internal/hooks", "libcontainer/internal/launch",
		"libcontainer/internal/netdev", "libcontainer/internal/program", "libcontainer/internal/program/image",
		"libcontainer/internal/resctrl", "libcontainer/internal/state", "spec",
	},
	"libcontainer": {
		"libcontainer/internal/birth", "libcontainer/internal/cgroup", "libcontainer/internal/compile", "libcontainer/internal/launch",
		"libcontainer/internal/program", "libcontainer/internal/resctrl", "libcontainer/internal/state", "spec",
	},
}

func TestImportsPointOneWay(t *testing.T) {
	const module = "github.com/rtcontainers/rt/"
	seen := map[string]bool{}
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && (name == "../bin" || name == "../.git") {
			return fs.SkipDir
		}
		if err != nil || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		dir := path.Dir(strings.TrimPrefix(filepath.ToSlash(name), "../"))
		top, _, _ := strings.Cut(dir, "/")
		if top == "tests" || top == "internal" || strings.Contains(dir, "gen") || dir == "cmd/containerd-shim-rt-v2" {
			return nil // tests, tools, and a module of its own
		}
		seen[dir] = true
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, i := range file.Imports {
			imported, _ := strconv.Unquote(i.Path.Value)
			if rest, ok := strings.CutPrefix(imported, module); ok && !strings.HasPrefix(rest, "internal/") && !slices.Contains(arrows[dir], rest) {
				t.Errorf("%s imports %s, which it should not know", name, rest)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for dir := range arrows {
		if !seen[dir] {
			t.Errorf("there is no %s", dir)
		}
	}
	for dir := range seen {
		if _, ok := arrows[dir]; !ok {
			t.Errorf("%s may import: nobody has said what", dir)
		}
	}
}
