// Package docs runs the commands that README.md and docs show. RT names the
// binary.
package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

// blocks are the fenced blocks of a language in a document.
func blocks(t *testing.T, name, language string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(string(data), -1) {
		list = append(list, m[1])
	}
	return list
}

// Every command that README.md shows works, one after the other, in an empty directory.
func TestReadmeCommands(t *testing.T) {
	rt := os.Getenv("RT")
	if rt == "" || os.Geteuid() != 0 {
		t.Fatal("RT must name the rt binary, and the test needs root: use `make docs-test`")
	}
	dir, bin := t.TempDir(), t.TempDir()
	if err := os.Symlink(rt, filepath.Join(bin, "rt")); err != nil {
		t.Fatal(err)
	}
	script := strings.Join(blocks(t, "README.md", "sh"), "\n")
	if !strings.Contains(script, "rt run mybundle") {
		t.Fatal("README.md shows no commands")
	}
	// The state of these containers is the test's own.
	script = "rt() { command rt --root \"$STATE\" \"$@\"; }\nset -eux\n" + script
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "STATE="+filepath.Join(dir, "state"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, w := range []string{"uid=0 gid=0", "CLONE_NEWPID", `"status": "created"`, "running"} {
		if !strings.Contains(string(out), w) {
			t.Errorf("no %q in\n%s", w, out)
		}
	}
}

// Links between the documents are valid.
func TestLinks(t *testing.T) {
	documents, err := filepath.Glob(root + "/docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	documents = append(documents, root+"/README.md", root+"/tests/README.md")
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	for _, doc := range documents {
		data, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(data), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(doc), m[1])); err != nil {
				t.Errorf("%s: %v", doc, err)
			}
		}
	}
}
