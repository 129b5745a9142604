package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// programs builds the complete programs of docs/library.md.
func programs(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	var list []string
	for _, text := range blocks(t, "docs/library.md", "go") {
		_, title, _ := strings.Cut(text, "// Usage: program ")
		name := filepath.Join(dir, "program"+string(rune('0'+len(list))))
		if err := os.WriteFile(name+".go", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if formatted, err := exec.Command("gofmt", "-l", name+".go").Output(); err != nil || len(formatted) > 0 {
			t.Errorf("%q is not formatted: %v", title[:20], err)
		}
		build := exec.Command("go", "build", "-o", name, name+".go")
		build.Dir = root
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		list = append(list, name)
	}
	return list
}

// The programs of docs/library.md do what they say.
func TestLibraryPrograms(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("the test makes containers: use `make docs-test`")
	}
	list := programs(t)
	if len(list) != 4 {
		t.Fatalf("%d programs", len(list))
	}
	tmp := t.TempDir()
	rootfs := filepath.Join(tmp, "rootfs")
	script := `mkdir -p "$1/bin"; cp "$(command -v busybox)" "$1/bin/"; for name in sh echo sleep tty; do ln -s busybox "$1/bin/$name"; done`
	if out, err := exec.Command("sh", "-ec", script, "sh", rootfs).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run := func(program int, args ...string) string {
		t.Helper()
		cmd := exec.Command(list[program], args...)
		cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	if got := run(0, rootfs, "sh", "-c", "echo one; echo two >&2; exit 3"); got != "one\ntwo\nexit status 3\n" {
		t.Errorf("run: %q", got)
	}
	if got := run(1, rootfs, "echo first", "echo second"); got != "first\nsecond\n" {
		t.Errorf("pool: %q", got)
	}

	bundle, state := filepath.Join(tmp, "bundle"), filepath.Join(tmp, "state")
	script = `mkdir "$1"; rt spec --bundle "$1"; jq '.root.path = $r | .process.terminal = false | .process.args = ["sleep", "3"]' --arg r "$2" "$1/config.json" > "$1/new"
		mv "$1/new" "$1/config.json"; rt --root "$3" run --bundle "$1" --detach box > /dev/null 2>&1`
	cmd := exec.Command("sh", "-ec", script, "sh", bundle, rootfs, state)
	bin := filepath.Join(tmp, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(os.Getenv("RT"), filepath.Join(bin, "rt")); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	defer exec.Command(os.Getenv("RT"), "--root", state, "delete", "--force", "box").Run()
	if got := run(2, state, "box", "tty"); !strings.HasPrefix(got, "/dev/pts/") {
		t.Errorf("terminal: %q", got)
	}
	if got := run(3, state, "box"); !strings.Contains(got, " processes, ") || !strings.HasSuffix(got, "stopped\n") {
		t.Errorf("watch: %q", got)
	}
}
