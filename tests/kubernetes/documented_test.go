package kubernetes

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// documented is the first block of docs/kubernetes.md in a language that contains all words.
func documented(t testing.TB, language string, words ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(*documents, "kubernetes.md"))
	must(t, err)
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(string(data), -1) {
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(m[1], word) }) {
			return m[1]
		}
	}
	t.Fatalf("docs/kubernetes.md has no block of %s with %q", language, words)
	return ""
}
