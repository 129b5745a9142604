package start

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The region is asked for when the package is initialised, which was before this test.
func TestHeapHasAHugePage(t *testing.T) {
	text, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled")
	if err != nil || !strings.Contains(string(text), "[madvise]") {
		t.Skipf("huge pages are not for those who ask for them: %q %v", text, err)
	}
	if !advisable() {
		t.Error("not advisable")
	}
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	// proc_pid_smaps(5): hg is set by MADV_HUGEPAGE.
	advised := regexp.MustCompile(`(?m)^Size: +2048 kB\n(?:[A-Z].*\n)*VmFlags:.* hg`)
	if !advised.Match(maps) {
		t.Errorf("no mapping of 2 MiB has the flag hg:\n%s", maps)
	}
}
