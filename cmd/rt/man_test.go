package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Every command has a page, with every option.
func TestManPages(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("go", "run", "-tags", "man", ".", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	page := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name+".8"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.NewReplacer(`\-`, "-", `\fB`, "", `\fP`, "", `\[ha]`, "^").Replace(string(text))
	}
	index := page("rt")
	for _, c := range commandLine([]string{"help"}, io.Discard, nil).Commands {
		text := page("rt-" + c.Name)
		for _, f := range c.Flags {
			if !strings.Contains(text, "--"+f.Names()[0]) {
				t.Errorf("%s: no --%s: %s", c.Name, f.Names()[0], text)
			}
		}
		if !strings.Contains(index, "rt-"+c.Name+"(8)") {
			t.Errorf("rt.8 does not name %s", c.Name)
		}
	}
}
