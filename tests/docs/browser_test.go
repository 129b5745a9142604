//go:build browser

package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// page is the document that the browser makes of an address, after the scripts.
func page(t *testing.T, address string) string {
	t.Helper()
	out, err := exec.Command("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+t.TempDir(),
		"--virtual-time-budget=2000", "--dump-dom", address).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// The page that rt explain --html writes shows all steps, and only those that are searched.
func TestPlanInABrowser(t *testing.T) {
	dir := t.TempDir()
	script := "mkdir rootfs && $RT spec && $RT explain --html plan.html && $RT explain --json > plan.json"
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	plan, err := os.ReadFile(filepath.Join(dir, "plan.json"))
	if err != nil {
		t.Fatal(err)
	}
	visible := func(dom, element string) int {
		all := len(regexp.MustCompile(`<`+element+`\b[^>]*>`).FindAllString(dom, -1))
		return all - len(regexp.MustCompile(`<`+element+`\b[^>]* hidden=""[^>]*>`).FindAllString(dom, -1))
	}
	address := "file://" + dir + "/plan.html"
	whole := page(t, address)
	if got, want := visible(whole, "tr"), strings.Count(string(plan), `"step":`); got != want {
		t.Errorf("%d steps of %d", got, want)
	}
	found := page(t, address+"#devpts%20gid")
	if rows, fields := visible(found, "tr"), visible(found, "details"); rows < 1 || rows > 5 || fields != 1 || !strings.Contains(found, " steps</output>") {
		t.Errorf("%d steps in %d fields", rows, fields)
	}
	if !regexp.MustCompile(`<details[^>]* open=""`).MatchString(found) {
		t.Error("what was found is not open")
	}
	if nothing := page(t, address+"#no-such-word"); visible(nothing, "tr") != 0 || visible(nothing, "section") != 0 {
		t.Error("something is found that is not there")
	}
}
