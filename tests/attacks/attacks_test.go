package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rtcontainers/rt/internal/defence"
)

// allDefences reads the constants of package defence.
func allDefences(t *testing.T) (list []defence.Name) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../internal/defence/defence.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for _, v := range spec.Values {
			name, err := strconv.Unquote(v.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, defence.Name(name))
		}
		return false
	})
	if len(list) < 30 {
		t.Fatalf("only %d defences", len(list))
	}
	return list
}

func TestEveryDefenceIsAttacked(t *testing.T) {
	known := allDefences(t)
	for _, name := range known {
		alone := slices.ContainsFunc(attacks, func(a attack) bool { return slices.Equal(a.defences, []defence.Name{name}) })
		if !alone {
			t.Errorf("no attack succeeds without %s alone", name)
		}
	}
	for _, a := range slices.Concat(attacks, openAttacks) {
		for _, name := range a.defences {
			if !slices.Contains(known, name) {
				t.Errorf("%s: no defence %q", a.name, name)
			}
		}
	}
}

func TestEveryAttackIsWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range slices.Concat(attacks, openAttacks) {
		if seen[a.name] {
			t.Errorf("%s is there twice", a.name)
		}
		seen[a.name] = true
		if a.about == "" || len(a.kinds) == 0 || a.mount == nil {
			t.Errorf("%s is not complete", a.name)
		}
	}
	for _, a := range attacks {
		if len(a.defences) == 0 {
			t.Errorf("%s: no defence stops it", a.name)
		}
	}
}

// documented are the names in back quotes in the documentation.
func documented(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestEveryAttackIsDocumented(t *testing.T) {
	text := documented(t)
	rules, _, found := strings.Cut(text, tableBegins)
	if !found {
		t.Fatalf("no line %q", tableBegins)
	}
	for _, a := range slices.Concat(attacks, openAttacks) {
		if !strings.Contains(rules, "`"+a.name+"`") {
			t.Errorf("docs/security.md: no rule names `%s`", a.name)
		}
	}
}

func TestEveryDefenceIsUsed(t *testing.T) {
	root := "../.."
	var code strings.Builder
	for _, dir := range []string{"cmd", "internal", "libcontainer", "spec"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d os.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") && filepath.Base(filepath.Dir(path)) != "defence" {
				data, err := os.ReadFile(path)
				code.Write(data)
				return err
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "internal/defence/defence.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			for _, name := range spec.Names {
				if !strings.Contains(code.String(), "defence.Off(defence."+name.Name+")") {
					t.Errorf("nothing in rt can be switched off with %s", name.Name)
				}
			}
		}
		return true
	})
}

// A release has no way to switch a defence off.
func TestOnlyTheWeakenedBuildCanBeWeakened(t *testing.T) {
	for tags, weak := range map[string]bool{"": false, "weakened": true} {
		name := filepath.Join(t.TempDir(), "rt")
		build := exec.Command("go", "build", "-buildvcs=false", "-tags", tags, "-o", name, "../../cmd/rt")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if found := strings.Contains(string(data), "RT_WEAKENED"); found != weak {
			t.Errorf("tags %q: RT_WEAKENED in the binary: %v", tags, found)
		}
	}
}
