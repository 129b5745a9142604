package engines

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// documented is the first block of docs/engines.md in a language that contains all
// words, with the programs under test in place of the installed ones.
func documented(t testing.TB, language string, words ...string) string {
	t.Helper()
	data, err := os.ReadFile(docs(t))
	must(t, err)
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(string(data), -1) {
		if slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(m[1], word) }) {
			continue
		}
		return strings.NewReplacer("/usr/local/bin/rt", binary(t, "rt"),
			"/usr/local/bin/containerd-shim-rt-v2", binary(t, "containerd-shim-rt-v2")).Replace(m[1])
	}
	t.Fatalf("docs/engines.md has no block of %s with %q", language, words)
	return ""
}

// docs is the path of docs/engines.md: the tests run in the directory of the
// repository or in their own.
func docs(t testing.TB) string {
	t.Helper()
	for _, dir := range []string{"docs", "../../docs"} {
		path := filepath.Join(dir, "engines.md")
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	t.Fatal("no docs/engines.md")
	return ""
}

// The commands of ctr that the document shows.
func TestDocumentedCommands(t *testing.T) {
	e := newContainerd(t, debian)
	e.load(t, "docker.io/library/busybox:latest", []string{"sh"}, "image", "import")
	for _, word := range []string{"io.containerd.rt.v2", "--runc-binary"} {
		line := strings.Fields(documented(t, "sh", word))
		equal(t, e.ok(t, line[1:]...), "hello")
	}
}
