package docs

import (
	"flag"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/explain.svg anew")

const picture = root + "/docs/explain.svg"

// explained is what `rt explain mybundle` prints for the default bundle, on cgroup v2.
func explained(t *testing.T) string {
	t.Helper()
	home, err := os.MkdirTemp("/tmp", "u") // about as long as what the picture shows
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	script := "mkdir -p $HOME/mybundle/rootfs && cd $HOME && $RT spec --bundle mybundle && COLUMNS=96 $RT explain mybundle"
	view, err := filepath.Abs(root + "/tests/view")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(view, "v2", "sh", "-ec", script)
	cmd.Env = append(os.Environ(), "HOME="+home)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return strings.ReplaceAll(string(out), home, "/home/you")
}

// The picture in README.md shows the fields that rt explain shows today. The number of
// calls depends on the kernel.
func TestPictureOfExplain(t *testing.T) {
	lines := shortened(strings.Split(strings.TrimSpace(explained(t)), "\n"))
	if *update {
		if err := os.WriteFile(picture, []byte(draw("rt explain mybundle", lines)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	field := regexp.MustCompile(`(?m)^ *\d+  ([a-z][\w.\[\]]+)`)
	names := func(text string) (list []string) {
		for _, m := range field.FindAllStringSubmatch(text, -1) {
			list = append(list, m[1])
		}
		return list
	}
	shown := html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(string(data), ""))
	if got, want := names(shown), names(strings.Join(lines, "\n")); !slices.Equal(got, want) || len(got) < 20 {
		t.Errorf("docs/explain.svg shows\n%q\nand rt explain\n%q\nrun: make picture", got, want)
	}
}

// shortened leaves out all but the first two of a list's entries.
func shortened(lines []string) (short []string) {
	entry := regexp.MustCompile(`^ *\d+  (linux\.\w+Paths)\[(\d+)\]`)
	for _, line := range lines {
		m := entry.FindStringSubmatch(line)
		switch {
		case m == nil || m[2] == "0" || m[2] == "1":
			short = append(short, line)
		case m[2] == "2":
			short = append(short, "         ⋮")
		}
	}
	return short
}

// draw is a picture of a terminal.
func draw(command string, lines []string) string {
	const step, left, top = 19, 24, 62
	var b strings.Builder
	height := top + step*(len(lines)+1) + 8
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 840 %d" width="840" height="%d" role="img" aria-label="The output of %s">
<style>text { font: 13.5px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #d7dde5; white-space: pre } .dim { fill: #8b98a9 } .field { fill: #7db8f5 } .warning { fill: #f5c97d }</style>
<rect width="840" height="%d" rx="10" fill="#161b22"/>
<circle cx="24" cy="22" r="6" fill="#f5665c"/><circle cx="44" cy="22" r="6" fill="#f5bd4f"/><circle cx="64" cy="22" r="6" fill="#5fc454"/>
<text x="%d" y="%d"><tspan class="dim">$</tspan> %s</text>
`, height, height, html.EscapeString(command), height, left, top-6, html.EscapeString(command))
	columns := regexp.MustCompile(`^( *\d+  )(\S+)( +.*)$`)
	for i, line := range lines {
		fmt.Fprintf(&b, `<text x="%d" y="%d">`, left, top+step*(i+1)-6)
		m := columns.FindStringSubmatch(line)
		switch {
		case m != nil:
			fmt.Fprintf(&b, `<tspan class="dim">%s</tspan><tspan class="field">%s</tspan>%s`, m[1], html.EscapeString(m[2]), html.EscapeString(m[3]))
		case strings.HasPrefix(line, "warning:"):
			fmt.Fprintf(&b, `<tspan class="warning">%s</tspan>`, html.EscapeString(line))
		case strings.HasPrefix(line, "CALLS"):
			fmt.Fprintf(&b, `<tspan class="dim">%s</tspan>`, line)
		default:
			b.WriteString(html.EscapeString(line))
		}
		b.WriteString("</text>\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}
